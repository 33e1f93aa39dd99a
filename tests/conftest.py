"""What every test starts from: one thread, and no waiting for the disk."""

import os
import signal

import pytest
import torch
from hypothesis import settings

from harness.tasks import heldout_set

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Drawn inputs are the same at every run, and may take as long as a busy machine makes them.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_the_disk():
    """What a test writes need not outlive a power cut, and os.fsync can take most of its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _file: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_storage_elsewhere():
    """No test asks another machine: object storage is looked for at a closed port of this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="module")
def few_heldout():
    """Held-out sets of 300 sequences, a chunk and what is left: 2,000 take longer than a tiny training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heldout_set, "__defaults__", (300,))
        yield
