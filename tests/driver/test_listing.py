"""What `--list` says of everything that a space can name."""

from harness.driver.listing import list_options
from harness.planning.parts import REGISTRIES


def test_every_owner_of_an_option_has_its_own_default():
    """`layers`, `nodes`, `homophily` and `noise` have one default in one class and another in the next."""
    said = {
        (part, component, name): line.split(f" of {part} ")[0]
        for name, every in list_options().items()
        for line in every.split("; ")
        for part in REGISTRIES
        for component in line.partition(f" of {part} ")[2].split(", ")
        if component
    }
    known = {
        (part, component, name): option
        for part, registry in REGISTRIES.items()
        for component in registry.names()
        for name, option in registry.options(component).items()
    }
    assert said.keys() == known.keys()
    for where, option in known.items():
        assert said[where].endswith(f", default {option.default},"), where
    assert len({known["model", model, "layers"].default for model in ("rnn", "min_gru")}) == 2
