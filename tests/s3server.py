"""A real S3 server for tests: moto's, as a child process on a free port of loopback, ended with the process that started it.

Run as a program it is that server: it says its port, and ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

KEY, SECRET = "AKIATESTACCESS", "wJalrSECRETtestKEYdoNotShow"


class S3Server:
    """The server, and a client of it that knows nothing of the product."""

    def __init__(self) -> None:
        import boto3

        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise RuntimeError("moto's server did not start")
        self.url = f"http://127.0.0.1:{json.loads(line)}"
        self.client: Any = boto3.client(
            "s3", endpoint_url=self.url, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1"
        )
        self._numbers = itertools.count()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]
        self._process.kill()
        self._process.wait()
        if hasattr(self, "client"):
            self.client.close()

    def bucket(self) -> str:
        """Make a new bucket; its name."""
        name = f"bucket-{next(self._numbers)}"
        self.client.create_bucket(Bucket=name)
        return name

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object."""
        self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def keys(self, bucket: str, prefix: str = "") -> dict[str, int]:
        """The objects below a prefix: key and size."""
        return dict(self._listed(bucket, prefix))

    def _listed(self, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from ((entry["Key"], entry["Size"]) for entry in page.get("Contents", []))

    def place(self, bucket: str, prefix: str = "store") -> dict[str, str]:
        """What stands under `store:` in stellwerk.yaml; the keys are in the environment."""
        return {
            "url": f"s3://{bucket}/{prefix}",
            "endpoint": self.url,
            "region": "us-east-1",
            "access_key": "env:TEST_S3_KEY",
            "secret_key": "env:TEST_S3_SECRET",
        }


def serve() -> None:
    """Serve until standard input ends."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print(json.dumps(server.get_host_and_port()[1]), flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    # The folder of the tests, first in the path of a program, may hold names that moto's own imports mean otherwise.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]
    serve()
