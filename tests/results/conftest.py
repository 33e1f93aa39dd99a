"""Buckets on a server of our own."""

import itertools
from collections.abc import Iterator

import pytest

from tests.results.storage import environment, forget_storages, free_port, send, served

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[int]:
    """The port of the server."""
    port = free_port()
    with served(port):
        yield port


@pytest.fixture
def s3(s3_server, monkeypatch) -> Iterator[str]:
    """The URI of an empty bucket."""
    for name, value in environment(s3_server).items():
        monkeypatch.setenv(name, value)
    forget_storages()
    name = f"bucket-{next(NUMBERS)}"
    send("PUT", name)
    yield f"s3://{name}"
    forget_storages()
