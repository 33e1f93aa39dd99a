"""Command lines at random: real names, near misses, numbers of every shape, paths of every kind."""

import os
from typing import Any

from hypothesis import strategies as st

from harness.condition import PARTS
from harness.planning.fields import AXES, BUDGET, SETTABLE
from harness.planning.load import built_in_spaces
from harness.planning.parts import REGISTRIES
from harness.probes import PROBES

NUMBERS = [
    "0", "1", "2", "3", "4", "7", "16", "100", "-1", "-0", "+3", "0.5", "1.5", "1e3", "1000.0", "1_000",
    "\uff11\uff12", "٣", "0x10", "1e-3", "1e-50", "1e-60", "1e-300", "1e-400", "5e-324", "1e18", "1e30",
    "1e308", "1e400", "nan", "inf", "-inf", "infinity", "1e5", "100000", "1000000", "1000000000",
    str(10**30), "9" * 5_000, "", " ", "true", "None", "1:2", "1e-3:1e-1", "2:1", "1e-300:1e300", "nan:1",
    ":", "1/2", "½", "\uff11e\uff13",
]  # fmt: skip

BIG = st.sampled_from([
    "10000", "100000", "1000000", "1000001", "1000000000", str(2**31), str(2**63), str(10**18), str(10**30),
    "1e300",
])  # fmt: skip
"""Sizes that no machine has room or time for."""

SMALL = st.sampled_from(["1", "2", "3", "4", "5", "6", "0.1"])

TEXTS = [
    "\u202eabc", "\x1b[31mred", "a\nb", "\r", "\t", "$x$", "$\\frac$", "a|b", "<script>", "%s", "{0}",
    "[red]x[/red]", "[", "'", '"', "\\", "x" * 5_000, "é", "e\u0301", "\udc80", "日本", "\u2028", "--", "-",
    "=", "a=b", ",", ";", "..", "~", "*", "none", "NaN", "\x07", "\ufeff",
]  # fmt: skip

IMPORTED = [
    "torch.nn:LSTM", "torch.optim:AdamW", "torch.nn:Linear", "json:loads", "os:PathLike", "a:b", "a:b:c",
    ":", "json:", ":x", "tests.trials:Frozen", "tests.commands:Held", "harness.models.rnn:RNN",
    "harness.models.rnn:Rnn", "__main__:X", "builtins:int", "builtins:object", "..:x",
    "harness.tasks.palindrome:Palindrome", "a-b:c d",
]  # fmt: skip

OPTIONS = sorted({
    option
    for registry in REGISTRIES.values()
    for name in registry.names()
    for option in registry.options(name)
})  # fmt: skip

NAMES = sorted({name for registry in REGISTRIES.values() for name in registry.names()} | set(PROBES))

PLACES = [
    "missing",
    "folder",
    "file",
    "fifo",
    "loop",
    "long",
    "results/x",
    "results/x/trials",
    "text.py",
    "dangling",
]
"""Of the scratch folder that `places` makes; `long` is longer than a name may be."""


def as_argv(raw: bytes) -> str:
    """What `sys.argv` holds for these bytes."""
    return os.fsdecode(raw.replace(b"\0", b""))


numbers = st.sampled_from(NUMBERS)
texts = st.sampled_from(TEXTS) | st.binary(min_size=1, max_size=12).map(as_argv)
places = st.sampled_from(PLACES).map(lambda name: f"{{here}}/{name}")


def mostly(likely: st.SearchStrategy[str], *others: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """The likely one two times of three."""
    weighted = [likely] * 2 * max(1, len(others)) + list(others)
    return st.sampled_from(weighted).flatmap(lambda strategy: strategy)


@st.composite
def near(draw: st.DrawFn, names: list[str]) -> str:
    """A name with a letter lost, doubled or replaced."""
    name = draw(st.sampled_from(names))
    at = draw(st.integers(0, len(name) - 1))
    return name[:at] + draw(st.sampled_from(["", name[at] * 2, "x", "é", " "])) + name[at + 1 :]


def values_of(field: str) -> st.SearchStrategy[str]:
    """Values that may be right for a field, and others."""
    if field in PARTS.values():
        part = next(part for part, axis in PARTS.items() if axis == field)
        likely = mostly(st.sampled_from(REGISTRIES[part].names()), st.sampled_from(IMPORTED))
    elif field in AXES or field in BUDGET or field == "learning_rate":
        likely = mostly(SMALL, mostly(BIG, numbers))
    else:
        likely = mostly(SMALL, BIG, st.sampled_from([*NAMES, "one_hot", "xavier", "true", "{here}/file"]))
    return mostly(likely, numbers, mostly(numbers, near(NAMES), texts, places))


@st.composite
def settings_of(draw: st.DrawFn) -> str:
    """The argument of --set: FIELD=VALUE[,VALUE...], or not quite."""
    known = [*SETTABLE, *OPTIONS, "lengths.palindrome", "lengths.text", "paper", "name", "options", "scale"]
    field = draw(mostly(st.sampled_from(SETTABLE), st.sampled_from(known)))
    one = values_of(field)
    value = draw(mostly(one, st.lists(one, min_size=2, max_size=4).map(",".join)))
    shape = draw(st.sampled_from(["{}"] * 30 + ["[{}]", "({})", '"{}"', " {} ", "{},", ",{}"]))
    named = draw(st.sampled_from([st.just(field)] * 16 + [near(known), texts]).flatmap(lambda name: name))
    return f"{named}{draw(st.sampled_from(['='] * 30 + [' = ', '', ':', '==']))}{shape.replace('{}', value)}"


def several_settings(least: int = 0) -> st.SearchStrategy[list[str]]:
    """Settings of different fields; a field twice is refused at once."""
    return st.lists(settings_of(), min_size=least, max_size=3, unique_by=lambda text: text.partition("=")[0])


SIZES = sorted({"lengths", "hidden_size", "batch_size", "layers", "nodes"} | set(BUDGET))
"""Fields and options that say how much there is to do."""


@st.composite
def sizes(draw: st.DrawFn) -> list[str]:
    """Settings of one or two sizes, of any magnitude."""
    fields = draw(st.lists(st.sampled_from(SIZES), min_size=1, max_size=2, unique=True))
    magnitude = st.sampled_from(range(2, 20)).map(lambda power: str(10**power))
    return [f"{field}={draw(mostly(magnitude, SMALL))}" for field in fields]


@st.composite
def run_commands(draw: st.DrawFn) -> list[str]:
    """Arguments of `python -m harness.run`; "{here}" stands for the scratch folder."""
    spaces = st.sampled_from(["smoke"] * 6 + built_in_spaces())
    argv = ["--space", draw(mostly(spaces, spaces, mostly(places, near(built_in_spaces()), texts)))]
    for setting in draw(several_settings()):
        argv += ["--set", setting]
    for option, values in {
        "--scale": mostly(st.sampled_from(["laptop", "paper"]), st.sampled_from(["Paper", ""])),
        "--executor": mostly(st.sampled_from(["serial", "ray"]), st.just("dask")),
        "--workers": mostly(SMALL, numbers),
        "--address": st.sampled_from(["auto", "nonsense", "127.0.0.1:1", ""]),
        "--device": mostly(st.sampled_from(["auto", "cpu"]), st.sampled_from(["cuda", "gpu"])),
        "--format": mostly(st.sampled_from(["text", "json"]), st.just("xml")),
        "--results": places | texts.map(lambda text: "{here}/" + text),
    }.items():
        if draw(st.integers(0, 7)) == 0:
            argv += [option, draw(values)]
    argv += draw(
        st.sampled_from([[]] * 10 + [["--dry-run"]] * 6 + [["--list"], ["--help"], ["--dry"], ["x"]])
    )
    return argv


def results_folders() -> st.SearchStrategy[str]:
    """A folder of results, or no such thing."""
    good = st.just("{here}/results/x")
    return mostly(good, mostly(good, places, texts))


@st.composite
def report_commands(draw: st.DrawFn) -> list[str]:
    """Arguments of `python -m analysis.report`."""
    argv = draw(st.lists(results_folders(), min_size=1, max_size=2))
    outs = ["out", "folder", "file", "link", "loop", "drained", "long", "missing/deep/out", "dangling", "é\n"]
    argv += ["--format", draw(st.sampled_from(["json"] * 12 + ["md", "html", "paper", "pdf"]))]
    out = st.sampled_from(outs) | texts.filter(lambda text: "/" not in text and text not in ("..", "~"))
    argv += ["--out", "{here}/outs/" + draw(out)]
    return argv + draw(st.sampled_from([[]] * 6 + [["--mixed"], ["--mix"], ["-x"]]))


@st.composite
def compare_commands(draw: st.DrawFn) -> list[str]:
    """Arguments of `python -m analysis.compare`."""
    argv = [draw(results_folders()), draw(results_folders())]
    if draw(st.booleans()):
        argv += ["--tolerance", draw(mostly(st.sampled_from(["0", "1", ".5"]), numbers, texts))]
    return argv + draw(st.sampled_from([[]] * 6 + [["--allow-missing"], ["--out"]]))


@st.composite
def generate_commands(draw: st.DrawFn) -> list[str]:
    """Arguments of `python -m harness.generate`; "{trial}" stands for a trial with weights."""
    trials = mostly(near(["{trial}"]), texts, st.just(""))
    argv = ["--trial", draw(mostly(st.just("{trial}"), mostly(st.just("{trial}"), trials)))]
    argv += ["--results", draw(mostly(st.just("{weights}"), mostly(st.just("{weights}"), places, texts)))]
    prompts = st.sampled_from(["a", "abac", "cab"])
    argv += ["--prompt", draw(mostly(prompts, mostly(prompts, texts, numbers, st.just(""))))]
    options: dict[str, Any] = {
        **dict.fromkeys(["--length", "--n", "--beams", "--seed"], mostly(SMALL, mostly(BIG, numbers))),
        "--temperature": mostly(st.sampled_from(["0", "0.5", "1"]), numbers),
        "--mode": mostly(st.sampled_from(["sample", "greedy", "beam"]), st.just("Beam")),
    }
    for option, values in options.items():
        if draw(st.integers(0, 3)) == 0:
            argv += [option, draw(values)]
    return argv
