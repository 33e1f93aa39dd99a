"""An S3 of our own: moto's server in a process of its own, on a free port of this machine's loopback."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from harness.results import remote

SECONDS_TO_START = 60

SECRET = "never-to-be-seen"
"""The password to the server."""


def forget_storages() -> None:
    """Have storages opened again: what was opened keeps the address that the environment named then."""
    remote._store.cache_clear()


def environment(port: int) -> dict[str, str]:
    """What leads S3 to a port of this machine, and keeps it from asking any other machine for credentials."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def served(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The server, from when it answers until the end of the block."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + SECONDS_TO_START
        while not answers(port):
            assert process.poll() is None and time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def send(method: str, path: str, content: bytes = b"") -> None:
    """Ask the server for something, without signing it."""
    where, kind = f"{os.environ['AWS_ENDPOINT_URL']}/{path}", {"Content-Type": "text/plain"}
    request = urllib.request.Request(where, content, kind, method=method)
    urllib.request.urlopen(request, timeout=30).close()


class AtOnce:
    """Does what it is asked in this thread, so that calls come in one order."""

    def __init__(self, *_: object) -> None: ...

    def submit(self, work, *arguments):
        work(*arguments)

    def shutdown(self) -> None: ...
