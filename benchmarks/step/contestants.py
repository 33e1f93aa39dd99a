"""Who takes part in a configuration, and that all compute the same: checked before anything is timed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isclose
from typing import TYPE_CHECKING

from benchmarks.step.harness_side import HarnessSide
from benchmarks.step.loop_side import LoopSide
from benchmarks.step.work import Work
from harness.errors import UserError

if TYPE_CHECKING:
    from benchmarks.step.jax_side import JaxSide

ENGINES = ("eager", "compiled")
"""Engines of the harness; one that this version lacks or cannot build is named and left out."""

TOLERANCE = 1e-5
"""Largest difference of losses, and of gradient norms relative to their size."""

Firsts = Sequence[tuple[float, ...]]
"""Losses and norms of the first steps, by replica: see `HarnessSide.first_steps`."""


@dataclass(frozen=True)
class Contestant:
    """A way to train a pack: `run` takes so many steps of it."""

    name: str
    work: Work
    steps: int
    run: Callable[[], object]


def missing_jax() -> str | None:
    """What JAX lacks here, in a line; None if it is complete."""
    try:
        import jax  # noqa: F401
        import optax  # noqa: F401
    except ImportError as error:
        return f"no JAX columns: {error}; pip install -e '.[bench]' brings them"
    return None


def contestants(work: Work, packs: tuple[int, ...], say: Callable[[str], None]) -> list[Contestant]:
    """Everyone for one model, size and length, in packs of these sizes. ValueError if they do not agree."""
    loop = LoopSide(work)
    found = [Contestant("loop", work, work.steps(10), lambda: loop.block(work.steps(10)))]
    with_jax = missing_jax() is None
    for pack in packs:
        found += in_packs(replace(work, pack=pack), with_jax, say)
    return found


def in_packs(work: Work, with_jax: bool, say: Callable[[str], None]) -> list[Contestant]:
    """The harness's engines and JAX's forms for packs of one size."""
    sides = harness_sides(work, say)
    expected = sides[0].first_steps()
    check(work, "the usual loop", [(LoopSide(work).first_loss(),)], [expected[0][:1]])
    found = harness_forms(sides[0])
    for side in sides[1:]:
        check(work, side.engine, side.first_steps(), expected)
        found += harness_forms(side)
    if with_jax:
        from benchmarks.step.jax_side import JaxSide

        jax_side = JaxSide(work, sides[0])
        check(work, "JAX", jax_side.first_steps(), expected)
        found += jax_forms(jax_side)
    return found


def harness_sides(work: Work, say: Callable[[str], None]) -> list[HarnessSide]:
    """A pack under every engine that there is, before its first step."""
    sides = []
    for engine in ENGINES:
        try:
            side = HarnessSide(work, engine)
        except UserError as error:
            say(f"without {engine}: {error}")
            continue
        if side.engine == engine:
            sides.append(side)
        else:
            say(f"without {engine}: {work} runs {side.engine}")
    return sides


def harness_forms(side: HarnessSide) -> list[Contestant]:
    """An engine with batches drawn as in a run, and on given ones."""
    name, work = side.engine, side.work
    drawn, given = work.steps(10), work.steps(2)
    return [
        Contestant(f"{name} drawn", work, drawn, lambda: side.block(drawn, draw=True)),
        Contestant(f"{name} given", work, given, lambda: side.block(given, draw=False)),
    ]


def jax_forms(side: "JaxSide") -> list[Contestant]:
    """JAX with many steps per call, drawn inside, and with a call per step on given batches."""
    from benchmarks.step.jax_side import worth_unrolling

    work, steps = side.work, side.work.steps(2)
    found = [
        Contestant("jax given", work, steps, lambda: side.given_block(steps)),
        Contestant("jax scan", work, steps, lambda: side.block(steps, unrolled=False)),
    ]
    if worth_unrolling(work):
        found.append(Contestant("jax unrolled", work, steps, lambda: side.block(steps, unrolled=True)))
    return found


def check(work: Work, name: str, found: Firsts, expected: Firsts) -> None:
    """ValueError if losses and norms of the same steps differ in any replica."""
    for r, (own, other) in enumerate(zip(found, expected, strict=True)):
        if not all(
            isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE) for a, b in zip(own, other, strict=True)
        ):
            raise ValueError(
                f"{work}, pack of {work.pack}, replica {r}: {name} finds {own}, expected {other}"
            )
