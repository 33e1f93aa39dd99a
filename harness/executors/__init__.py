"""Where packs are trained: in this process, or on Ray Tune."""

from harness.executors.base import Failure, Source, attempt

__all__ = ["Failure", "Source", "attempt"]
