"""What a class of the user's own counts as: the code that defines it, wherever that lies."""

import importlib
import linecache
import os
import py_compile
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.identity import content_hash
from harness.planning.sources import source_hash

CELL = "class Cell:\n    scale = 0.5\n    def step(self):\n        return 1\n"

FILES = {
    "pkg/__init__.py": "from .cells import Cell\nfrom .cells import Cell as Renamed\nNOTE = 1\n",
    "pkg/cells.py": "from . import helpers\nfrom pkg.bases import Base\n"
    + CELL.replace("Cell:", "Cell(Base):"),
    "pkg/bases.py": "import consts\nclass Base:\n    pass\n",
    "pkg/helpers.py": "def f():\n    from pkg.late import g\n    return g\n",
    "pkg/late.py": "def g():\n    return 2\n",
    "pkg/other.py": "class Other:\n    pass\n",
    "consts.py": "UNITS = 3\n",
    "star.py": "from pkg import *\n",
    "factory.py": "def make(n):\n    class Cell:\n        size = n\n    return Cell\n",
    "made.py": "from factory import make\nCell = make(3)\n",
    "dynamic.py": "from importlib import import_module\nBase = import_module('bases_by_name').Base\n"
    "class Cell(Base):\n    pass\n",
    "bases_by_name.py": "class Base:\n    pass\n",
    "lazy/__init__.py": "def __getattr__(name):\n    import importlib\n"
    "    return getattr(importlib.import_module('.' + name.lower(), __name__), name)\n",
    "lazy/helper.py": "class Helper:\n    pass\n",
    "lazy_user.py": "from lazy import Helper\n" + CELL,
    "names/cells.py": "from names import helpers\n" + CELL,  # a package without __init__.py
    "names/helpers.py": "X = 1\n",
    "one.py": CELL,
}

USES = {
    "pkg:Cell": {"pkg/cells.py", "pkg/bases.py", "pkg/helpers.py", "pkg/late.py", "consts.py"},
    "pkg.cells:Cell": {"pkg/cells.py", "pkg/bases.py", "pkg/helpers.py", "pkg/late.py", "consts.py"},
    "pkg:Renamed": {"pkg/cells.py", "pkg/bases.py", "pkg/helpers.py", "pkg/late.py", "consts.py"},
    "star:Cell": {"pkg/cells.py", "pkg/bases.py", "pkg/helpers.py", "pkg/late.py", "consts.py"},
    "made:Cell": {"made.py", "factory.py"},
    "dynamic:Cell": {"dynamic.py", "bases_by_name.py"},
    "lazy_user:Cell": {"lazy_user.py", "lazy/__init__.py", "lazy/helper.py"},
    "names.cells:Cell": {"names/cells.py", "names/helpers.py"},
    "one:Cell": {"one.py"},
}
"""The files whose edits make another class of it: these and no others."""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def forget() -> None:
    """As a new process would begin."""
    ours = {file.split("/")[0].removesuffix(".py") for file in FILES}
    for name in list(sys.modules):
        if name.partition(".")[0] in ours:
            del sys.modules[name]
    importlib.invalidate_caches()
    linecache.clearcache()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write(tmp_path, FILES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    forget()
    yield tmp_path
    forget()


@pytest.mark.parametrize("path", USES)
def test_a_class_counts_by_what_defines_it_and_by_nothing_else(path, folder):
    before = source_hash(path)
    for name, text in FILES.items():
        (folder / name).write_text(text + "\nEDITED = True\n")
        forget()
        assert (source_hash(path) != before) == (name in USES[path]), name
        (folder / name).write_text(text)
    forget()
    assert source_hash(path) == before


def test_a_package_that_re_exports_gives_the_hash_of_the_defining_module(folder):
    assert source_hash("pkg:Cell") == source_hash("pkg.cells:Cell") == source_hash("star:Cell")


def test_another_class_under_the_old_name_is_another(folder):
    before = source_hash("pkg:Renamed")
    text = FILES["pkg/cells.py"] + "class Gated(Base):\n    pass\n"
    (folder / "pkg/cells.py").write_text(text)
    forget()
    same_file = source_hash("pkg:Renamed")
    (folder / "pkg/__init__.py").write_text("from .cells import Cell, Gated as Renamed\n")
    forget()
    assert len({before, same_file, source_hash("pkg:Renamed")}) == 3


def test_a_class_in_one_file_has_the_hash_that_it_always_had(folder):
    assert source_hash("one:Cell") == content_hash([CELL])
    (folder / "one.py").write_text("import torch, json\nfrom harness.models.rnn import RNN\n" + CELL)
    forget()
    assert source_hash("one:Cell") == content_hash(
        ["import torch, json\nfrom harness.models.rnn import RNN\n" + CELL]
    )


def test_it_does_not_depend_on_the_place_nor_on_what_was_imported_before(folder, tmp_path, monkeypatch):
    before = {path: source_hash(path) for path in USES}
    write(tmp_path / "elsewhere", FILES)
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    forget()
    for name in ("pkg.other", "pkg.late", "lazy.helper", "consts", "names.helpers"):
        importlib.import_module(name)
    assert {path: source_hash(path) for path in reversed(USES)} == before


def test_a_class_in_a_zip_file_counts_by_its_source(folder, tmp_path, monkeypatch):
    plain = source_hash("one:Cell")
    with zipfile.ZipFile(tmp_path / "cells.zip", "w") as archive:
        archive.writestr("one.py", FILES["one.py"])
    (folder / "one.py").unlink()
    monkeypatch.syspath_prepend(tmp_path / "cells.zip")
    forget()
    assert source_hash("one:Cell") == plain


def test_an_installed_package_counts_by_its_own_modules(tmp_path, monkeypatch):
    place = tmp_path / "lib" / "site-packages"
    write(place, FILES)
    monkeypatch.syspath_prepend(place)
    forget()
    before = source_hash("pkg:Cell")
    (place / "consts.py").write_text("UNITS = 4\n")  # of another distribution
    forget()
    assert source_hash("pkg:Cell") == before
    (place / "pkg" / "late.py").write_text("def g():\n    return 3\n")
    forget()
    assert source_hash("pkg:Cell") != before
    forget()


def test_a_class_without_source_is_refused(monkeypatch):
    module = type(sys)("typed_in")
    module.Cell = type("Cell", (), {"__module__": "typed_in"})
    monkeypatch.setitem(sys.modules, "typed_in", module)
    with pytest.raises(UserError, match="typed_in:Cell: typed_in, which defines the class, has no source"):
        source_hash("typed_in:Cell")


def test_a_compiled_module_counts_by_its_bytes(folder):
    py_compile.compile(str(folder / "one.py"), cfile=str(folder / "one.pyc"))
    (folder / "one.py").unlink()
    forget()
    before = source_hash("one:Cell")
    assert before == source_hash("one:Cell")
    (folder / "one.py").write_text(CELL + "X = 1\n")
    py_compile.compile(str(folder / "one.py"), cfile=str(folder / "one.pyc"))
    (folder / "one.py").unlink()
    forget()
    assert source_hash("one:Cell") != before


EDITS = {
    "a method": (CELL.replace("return 1", "return 2"), None, r"one.py was edited \(Cell.step\) after it was"),
    "a constant of the class": (
        CELL.replace("0.5", "0.7"),
        None,
        "had Cell.scale changed after it was imported",
    ),
    "a constant of the module": (CELL + "UNITS = 4\n", None, "had UNITS changed after it was imported"),
    "a file that is no Python any more": ("class Cell(:\n", None, "was edited after it was imported"),
    "the loaded class": (None, lambda module: setattr(module.Cell, "scale", 0.7), "had Cell.scale changed"),
}


@pytest.mark.parametrize("kind", EDITS)
@pytest.mark.parametrize("asked_before", [True, False])
def test_what_was_edited_after_its_import_is_refused(kind, asked_before, folder):
    text, change, message = EDITS[kind]
    (folder / "one.py").write_text(CELL + "UNITS = 3\n")
    forget()
    module = importlib.import_module("one")
    if asked_before:
        source_hash("one:Cell")
    if text is not None:
        (folder / "one.py").write_text(text)
    if change is not None:
        change(module)
    with pytest.raises(UserError, match="one.py was edited" if asked_before and text else message):
        source_hash("one:Cell")
    if text is None or "(:" not in text:
        importlib.reload(module)
        source_hash("one:Cell")


def test_an_edited_module_that_nobody_reloaded_is_refused_once_for_all(folder):
    importlib.import_module("pkg.late")
    source_hash("pkg:Cell")
    (folder / "pkg/late.py").write_text("def g():\n    return 3\n")
    for _ in range(2):
        with pytest.raises(UserError, match=r"pkg:Cell: .*late.py was edited after it was imported; restart"):
            source_hash("pkg:Cell")


COUNTING = """
import functools
built = 0
LIMIT = None
if True:
    LIMIT = 4
for SIZE in (1, 2):
    pass
try:
    import no_such_module as fast
except ImportError:
    fast = None
class Cell:
    count = 0
    @functools.lru_cache
    def cached(self):
        return 1
    @property
    def size(self):
        return [n for n in range(3)]
    @staticmethod
    def plain():
        return lambda: 2
    def __init__(self):
        global built
        built += 1
        type(self).count += 1
Cell.later = lambda self: 3
"""


def test_a_module_that_counts_and_decorates_is_not_taken_for_edited(folder):
    (folder / "one.py").write_text(COUNTING)
    forget()
    module = importlib.import_module("one")
    before = source_hash("one:Cell")
    module.Cell().cached()
    assert (module.built, module.Cell.count) == (1, 1)
    assert source_hash("one:Cell") == before


def test_a_class_loaded_from_bytecode_is_not_taken_for_edited(folder):
    code = "from harness.planning.sources import source_hash; print(source_hash('pkg:Cell'))"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code]
    how = dict(cwd=folder, env=environment, capture_output=True, text=True, check=True)
    said = {subprocess.run(command, **how).stdout for _ in range(2)}
    assert list((folder / "pkg" / "__pycache__").glob("cells.*.pyc"))
    assert said == {source_hash("pkg:Cell") + "\n"}
