"""What is tried before a run: every model is built, and every class of the user's own is tried out.

A class of the user's own may do anything. So it is tried in a process of its own, by `apart`. `child` runs
there, and asks `tasks`, `rules` and `models` whether the class is a pure function of what it is given.
"""

import dataclasses

from harness.condition import Condition
from harness.driver.tryout.apart import tried_apart
from harness.driver.tryout.child import Job, is_own
from harness.planning.cohort import make_trial
from harness.planning.plan import make_pack
from harness.planning.space import Space
from harness.training.loop import build_task
from harness.training.replicas import build_model
from harness.training.step import Eager


def try_out(space: Space, device: str, engine: str = Eager.name) -> list[str]:
    """Build every model; try out every combination of parts that has a class named by its import path.

    A line comes back for each model that is named by its import path: what it was found to have. Raises
    UserError, which says what is wrong with a class, so that nothing is recorded of what cannot work.
    """
    built_in: dict[tuple[object, ...], Condition] = {}
    own: dict[tuple[object, ...], Condition] = {}
    for condition in sorted(space.conditions(), key=lambda c: c.length):
        if any(map(is_own, condition.parts.values())):
            own.setdefault((*condition.parts.values(), condition.options), condition)
        else:
            key = (condition.task, condition.model, condition.hidden_size, condition.options)
            built_in.setdefault(key, condition)
    for condition in built_in.values():
        build_model(condition, build_task(condition), 0)
    if not own:
        return []
    trials = [make_trial(space, condition, 1e-3, 0) for condition in own.values()]
    first_steps = [dataclasses.replace(trial, max_steps=1, observe=0, eval_every=1) for trial in trials]
    return tried_apart(Job(tuple(make_pack(space, (trial,)) for trial in first_steps), device, engine))
