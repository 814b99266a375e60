"""A simulated model behind an address of this machine, for tests of whatever calls one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from stellwerk.llm.serving import Endpoint
from stellwerk.llm.simulated import SimulatedClient
from stellwerk.llm.spec import Simulation


@contextmanager
def answering() -> Iterator[str]:
    """Serve the plan of a support desk until the block ends; its address."""
    app = Endpoint(SimulatedClient("simulated", Simulation(plan="support", seed=7)), None).app()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
