"""Whether C++ can be built where the tests run."""

import pytest

from harness.training.compiled import build


def can_build() -> bool:
    """Whether the compiled engine can be had here."""
    try:
        build.check()
    except build.CannotBuild:
        return False
    return True


needs_compiler = pytest.mark.skipif(not can_build(), reason="nothing can be built here")
