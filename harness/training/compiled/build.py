"""From C++ to a loaded library: built once per source and machine, and kept in the user's cache."""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.errors import one_line, plain, shortened

HERE = Path(__file__).parent
FILES = ("kernels.hpp", "kernels.cpp", "functions.hpp", "doubles.hpp", "block.hpp")
FLAGS = (
    "-O3",
    "-fPIC",
    "-std=c++17",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=off",
    "-w",
    f"-I{HERE}",
)
COMPILERS = ("c++", "g++", "clang++")

HOW = "install g++ or clang++ (such as: apt install g++), or set CXX to a compiler"
"""What to do where nothing can be built."""


class CannotBuild(Exception):
    """No library can be built here; the message says why."""


def library(source: str, real: str = "float", extra: Sequence[str] = ()) -> ctypes.CDLL:
    """The library of this source, from the cache or built; `real` is the type of all numbers.

    Safe under several processes: each builds beside the cache and moves what is whole into it. Raises
    CannotBuild.
    """
    compiler = find_compiler()
    flags = (*FLAGS, *native(), f"-DREAL={real}", *extra)
    texts = [(HERE / name).read_text() for name in FILES]
    key = "\0".join([*texts, *flags, version(compiler), *sorted(features())])
    folder = cache_folder()
    try:
        kernels = folder / f"{digest(key)}.o"
        if not kernels.exists():
            compiled(compiler, [*flags, "-c", str(HERE / "kernels.cpp")], kernels)
        path = folder / f"{digest(key + source)}.so"
        if not path.exists():
            build_library(compiler, flags, source, kernels, path)
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise CannotBuild(f"{folder}: {one_line(error)}") from None


def build_library(compiler: str, flags: Sequence[str], source: str, kernels: Path, to: Path) -> None:
    """Compile a source, and link it with the kernels."""
    with tempfile.NamedTemporaryFile("w", suffix=".cpp", dir=to.parent) as file:
        file.write(source)
        file.flush()
        compiled(compiler, [*flags, "-shared", file.name, str(kernels)], to)


def compiled(compiler: str, arguments: Sequence[str], to: Path) -> None:
    """Run the compiler; what it made is at `to` as a whole or not at all."""
    handle, made = tempfile.mkstemp(dir=to.parent)
    os.close(handle)
    try:
        command = [compiler, *arguments, "-o", made]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if "error" in line] or [done.stderr]
            raise CannotBuild(f"{compiler} failed: {plain(shortened(said[0].strip())) or done.returncode}")
        Path(made).replace(to)
    finally:
        Path(made).unlink(missing_ok=True)


@functools.cache
def check() -> None:
    """Raise CannotBuild unless this machine can build, and its processor fuses products and sums."""
    if platform.machine() in ("x86_64", "AMD64") and "fma" not in features():
        raise CannotBuild("this processor has no fused multiply-add (AVX2)")
    library('#include "functions.hpp"\nextern "C" R one(R x) { return vtanh(bc(x))[0]; }\n')


def find_compiler() -> str:
    """The path of a C++ compiler: CXX, or one of the usual names."""
    chosen = os.environ.get("CXX")
    found = filter(None, map(shutil.which, [chosen] if chosen else COMPILERS))
    compiler = next(found, None)
    if compiler is None:
        raise CannotBuild(f"CXX={chosen} is no compiler" if chosen else "no C++ compiler is installed")
    return compiler


@functools.cache
def version(compiler: str) -> str:
    """What a compiler says of itself."""
    try:
        done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise CannotBuild(f"{compiler}: {one_line(error)}") from None
    return compiler + done.stdout


def native() -> tuple[str, ...]:
    """The flag that lets a compiler use all that this processor has."""
    arm_mac = platform.system() == "Darwin" and platform.machine() == "arm64"
    return ("-mcpu=native",) if arm_mac else ("-march=native",)


@functools.cache
def features() -> frozenset[str]:
    """The features of this processor, as Linux names them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset({platform.processor()})
    found = [line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features"))]
    return frozenset(found[0]) if found else frozenset()


def cache_folder() -> Path:
    """Where libraries are kept: $XDG_CACHE_HOME/stability-harness, else a folder of the user's for scratch.

    Nobody else may write to it, for what lies there is run.
    """
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "stability-harness"
    for folder in (usual, Path(tempfile.gettempdir()) / f"stability-harness-{os.getuid()}"):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            status = folder.stat()
        except OSError:
            continue
        own = status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if own and os.access(folder, os.W_OK):
            return folder
    raise CannotBuild(f"{usual} cannot be written; set XDG_CACHE_HOME to a folder of your own")


def digest(text: str) -> str:
    """24 hexadecimal digits that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]
