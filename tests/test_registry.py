import inspect
import math
from typing import Literal

import numpy as np
import pytest

from harness.errors import UserError
from harness.models import models
from harness.optimizers import optimizers
from harness.registry import Option, Registry
from harness.tasks import tasks


class Thing:
    """A thing.

    More about it.
    """

    def __init__(self, size: int, colour: Literal["red", "blue"] = "red", depth: int = 2, wet: bool = False):
        self.size, self.colour, self.depth, self.wet = size, colour, depth, wet


@pytest.fixture
def things() -> Registry[Thing]:
    registry: Registry[Thing] = Registry("thing", given=("size",))
    registry.register("thing")(Thing)
    return registry


def test_unknown_name_lists_the_known_ones(things):
    with pytest.raises(UserError, match=r"no thing named 'thong' \(did you mean thing\?\); known: thing"):
        things.get("thong")


def test_options_are_read_off_the_constructor(things):
    assert things.options("thing") == {
        "colour": Option("colour", str, ("red", "blue"), "red"),
        "depth": Option("depth", int, None, 2),
        "wet": Option("wet", bool, None, False),
    }


def test_build_passes_known_options_and_leaves_others_aside(things):
    thing = things.build("thing", {"colour": "blue", "momentum": 0.9}, size=3)
    assert (thing.size, thing.colour, thing.depth) == (3, "blue", 2)


class Taking(Thing):
    """A thing that takes what is offered."""

    def __init__(self, size: int, depth: int = 0, colour: str = "red"):
        super().__init__(size, depth=depth)


def test_what_is_offered_is_passed_to_those_that_take_it_and_is_no_option():
    offering: Registry[Thing] = Registry("thing", given=("size",), offered=("depth", "graph"))
    offering.register("taking")(Taking)
    assert offering.build("taking", {}, size=3, depth=7, graph=None).depth == 7
    assert set(offering.options("taking")) == {"colour"}


def test_a_class_outside_is_found_by_import_path(things):
    assert things.get("tests.test_registry:Thing") is Thing


@pytest.mark.parametrize("path", ["no.such.module:Thing", "tests.test_registry:Thong", "math:pi"])
def test_a_bad_import_path_is_a_clear_error(things, path):
    with pytest.raises(UserError, match=path.partition(":")[0].replace(".", r"\.")):
        things.get(path)


@pytest.mark.parametrize(
    ("name", "value"), [("colour", "green"), ("depth", "2.5"), ("depth", "x"), ("wet", "maybe")]
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(things, name, value):
    with pytest.raises(UserError, match=f"{name}={value}"):
        things.options("thing")[name].parse(value)


def test_option_values_parse_from_text(things):
    options = things.options("thing")
    assert [options["depth"].parse("3"), options["wet"].parse("true")] == [3, True]


def test_options_of_one_name_have_one_type_everywhere():
    """They share a column of the trials table."""
    types: dict[str, set[type]] = {}
    for registry in (tasks, models, optimizers):
        for name in registry.names():
            for option in registry.options(name).values():
                types.setdefault(option.name, set()).add(option.type)
    assert all(len(kinds) == 1 for kinds in types.values())


@pytest.mark.parametrize("registry", [tasks, models, optimizers], ids=lambda r: r.part)
def test_everything_registered_says_what_it_is_in_a_line(registry):
    for name in registry.names():
        assert 10 < len(registry.first_line(name)) < 110


class Odd:
    """Constructors whose options are refused: what is passed would be another value than the default."""

    class Half:
        def __init__(self, units: int = 2.5): ...

    class Flag:
        def __init__(self, units: int = True): ...

    class Nothing:
        def __init__(
            self,
            rate: float = None,  # noqa: RUF013
        ): ...

    class NotANumber:
        def __init__(self, rate: float = float("nan")): ...

    class Unnamed:
        def __init__(
            self,
            name: str = None,  # noqa: RUF013
        ): ...

    class Truthy:
        def __init__(self, wet: bool = 0): ...

    class Stranger:
        def __init__(self, colour: Literal["red", "blue"] = "green"): ...

    class Mixed:
        def __init__(self, colour: Literal["red", 1] = "red"): ...


@pytest.mark.parametrize("name", [name for name in vars(Odd) if name[0] != "_"])
def test_a_default_of_another_type_is_refused_by_name(name):
    odd: Registry[object] = Registry("thing", given=())
    odd.register(name)(getattr(Odd, name))
    option = next(iter(inspect.signature(getattr(Odd, name)).parameters))
    with pytest.raises(UserError, match=f"thing '{name}' has the option {option}: .*; expected"):
        odd.options(name)


class Whole:
    def __init__(self, rate: float = 1, share: float = np.float64(0.5), limit: float = math.inf): ...


def test_a_whole_number_will_do_as_the_default_of_a_float():
    registry: Registry[object] = Registry("thing", given=())
    registry.register("whole")(Whole)
    found = {name: option.default for name, option in registry.options("whole").items()}
    assert found == {"rate": 1.0, "share": 0.5, "limit": math.inf}


@pytest.mark.parametrize(
    "text", ["raise SystemExit(3)", "raise KeyError()", "1 / 0", "import no_such_module", "x ="]
)
def test_a_module_that_cannot_be_imported_is_refused_in_one_line(things, text, tmp_path, monkeypatch):
    (tmp_path / "failing_module.py").write_text(text + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"cannot import thing 'failing_module:Cell': [A-Z]") as error:
        things.get("failing_module:Cell")
    assert "\n" not in str(error.value)
