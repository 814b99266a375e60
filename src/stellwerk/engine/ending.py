"""A process that ends with the one that started it, whatever it is doing: nothing that we start outlives its reason."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

LOOK = 0.2  # seconds


def end_with(parent: int, end: Callable[[], object] | None = None) -> None:
    """End this process when its parent is gone.

    Args:
        parent: id of the process that started this one.
        end: what ends it; at once, in the middle of its work, if left out.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK)
        if end is None:
            os._exit(1)
        end()

    threading.Thread(target=watch, daemon=True).start()
