from typing import Literal

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
    with pytest.raises(UserError, match=r"no thing named 'thong' .did you mean thing..; known: thing"):
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
