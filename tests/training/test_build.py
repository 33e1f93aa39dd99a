"""Libraries are built once, whatever runs beside, and what cannot be built is said in a line."""

import os
import subprocess
import sys

import pytest

from harness.training.compiled import build
from tests.compiler import needs_compiler

SOURCE = 'extern "C" int number() { return 7; }\n#include "functions.hpp"\n'


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    build.check.cache_clear()
    yield tmp_path / "stability-harness"
    build.check.cache_clear()


def script(path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@needs_compiler
def test_a_library_is_built_once_and_nothing_else_stays(cache, monkeypatch):
    assert build.library(SOURCE).number() == 7
    made = {path.suffix for path in cache.iterdir()}
    assert made == {".so", ".o"}
    monkeypatch.setattr(build, "compiled", lambda *_: pytest.fail("built again"))
    assert build.library(SOURCE).number() == 7


@needs_compiler
def test_two_processes_that_build_at_once_both_have_it(cache):
    code = f"from harness.training.compiled import build; print(build.library({SOURCE!r}).number())"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in started] == [b"7", b"7"]
    assert len(list(cache.glob("*.so"))) == 1


@needs_compiler
def test_another_source_flag_compiler_or_processor_is_another_library(cache, monkeypatch):
    build.library(SOURCE)
    build.library(SOURCE, "double")
    build.library(SOURCE, extra=("-O1",))
    monkeypatch.setattr(build, "features", lambda: frozenset({"fma", "another"}))
    build.library(SOURCE)
    assert len(list(cache.glob("*.so"))) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo 'x.cpp:1: error: no such processor' >&2; exit 1", "x.cpp:1: error: no such processor"),
        ("exit 3", "failed: 3"),
        ("exit 0", "stability-harness"),
    ],
)
def test_a_broken_compiler_is_said_in_a_line(cache, tmp_path, monkeypatch, text, said):
    monkeypatch.setenv("CXX", script(tmp_path / "cxx", text))
    with pytest.raises(build.CannotBuild) as caught:
        build.check()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_compiler_is_said_in_a_line(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(build.CannotBuild, match="no C\\+\\+ compiler is installed"):
        build.check()
    monkeypatch.setenv("CXX", "nonesuch")
    with pytest.raises(build.CannotBuild, match="CXX=nonesuch is no compiler"):
        build.check()


def test_a_processor_that_does_not_fuse_products_and_sums_is_refused(cache, monkeypatch):
    monkeypatch.setattr(build.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(build, "features", lambda: frozenset({"avx"}))
    with pytest.raises(build.CannotBuild, match="no fused multiply-add"):
        build.check()


def test_a_cache_that_others_can_write_to_is_not_used(cache, tmp_path, monkeypatch):
    cache.mkdir()
    cache.chmod(0o777)
    monkeypatch.setattr(build.tempfile, "gettempdir", lambda: str(tmp_path / "other"))
    assert build.cache_folder() == tmp_path / "other" / f"stability-harness-{os.getuid()}"


def test_no_folder_for_the_cache_is_said_in_a_line(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(build.tempfile, "gettempdir", lambda: str(tmp_path / "file"))
    with pytest.raises(build.CannotBuild, match="set XDG_CACHE_HOME"):
        build.cache_folder()
