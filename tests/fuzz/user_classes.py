"""Modules of a user's own at random: classes that combine traps, and what a run of them is told."""

from dataclasses import dataclass, field

from hypothesis import strategies as st

from tests.traps import TRAPS, source

KILLERS = frozenset({
    "ExitsAtOnce", "ExitsQuietly", "Segfaults", "Aborts", "KillsItself", "Loops", "Sleeps",
    "ClosesDescriptor",
})  # fmt: skip
"""Traps that end or hold the process, so that only a process of their own may run them."""

ERRORS = {
    "NoText": "ValueError",
    "Lines": "ValueError('two' + chr(10) + 'lines')",
    "Surrogate": "ValueError('a lone ' + chr(0xD800))",
    "Escape": "ValueError(chr(27) + '[31mred')",
    "Megabytes": "ValueError('x' * 5_000_000)",
    "Unprintable": "type('Unprintable', (Exception,), {'__str__': lambda self: 1 / 0})()",
    "Group": "ExceptionGroup('several', [ValueError('a'), KeyError('b')])",
    "Exit": "SystemExit(3)",
    "QuietExit": "SystemExit",
    "OwnBase": "type('Own', (BaseException,), {})()",
    "Generator": "GeneratorExit",
    "Memory": "MemoryError",
    "Stop": "StopIteration",
    "Cause": "ValueError('outer')",
    "Disk": "OSError(28, 'No space left on device')",
    "User": "__import__('harness').UserError('mine')",
    "Odd": "type('x' * 2_000, (Exception,), {})('y')",
}
"""What a cell raises, late: when its weights have moved further than a try-out moves them."""

LATE = """
class Late{name}(Alone):
    def more(self, size):
        super().more(size)
        self.shift = nn.Parameter(torch.zeros(size))
    def along(self, inputs):
        if float(self.shift.detach().abs().max()) > 0.02:
            raise {error}
        return super().along(inputs) + self.shift
"""

PARTS = {"model": "models", "task": "tasks", "optimizer": "optimizers", "clip_rule": "clip_rules"}

NAMES = {
    part: sorted(n for n, trap in TRAPS.items() if trap.part == part and n not in KILLERS) for part in PARTS
}


@dataclass(frozen=True)
class Classes:
    """A module's text, and the class of it for each part that is the user's own."""

    text: str = field(repr=False)
    chosen: tuple[tuple[str, str], ...]
    bases: tuple[str, ...] = ()

    def sets(self, module: str) -> list[str]:
        """The settings that name the classes."""
        return [f"--set={PARTS[part]}={module}:{name}" for part, name in self.chosen]


@st.composite
def classes(draw: st.DrawFn) -> Classes:
    """A model of none to three traps, now and then with a task, an optimizer or a clip rule of one."""
    traps = draw(st.lists(st.sampled_from(NAMES["model"]), max_size=3, unique=True))
    late = draw(st.sampled_from([None] * 3 + sorted(ERRORS)))
    bases = [*traps, *([f"Late{late}"] if late else [])] or ["Alone"]
    chosen = [("model", "Built")]
    other = draw(st.sampled_from([None] * 5 + [part for part in PARTS if part != "model"]))
    if other:
        chosen.append((other, draw(st.sampled_from(NAMES[other]))))
    text = source(*traps, *(name for part, name in chosen if part != "model"))
    text += LATE.format(name=late, error=ERRORS[late]) if late else ""
    text += f"\n\nclass Built({', '.join(bases)}):\n    pass\n"
    return Classes(text, tuple(chosen), tuple(bases))
