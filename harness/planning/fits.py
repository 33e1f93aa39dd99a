"""What fits together: which models read which tasks, in which batches; the pairs that do not are skipped."""

from collections.abc import Sequence

from harness import capabilities
from harness.clip_rules import clip_rules
from harness.errors import UserError
from harness.models import models
from harness.tasks import tasks


def fits(model: str, task: str) -> bool:
    """Whether the model reads something that the task gives."""
    given = capabilities.inputs_given(tasks.get(task))
    return not set(given).isdisjoint(capabilities.inputs_read(models.get(model)))


def fits_batch_size(task: str, batch_size: int) -> bool:
    """Whether the task gives batches of this size: one whose only sequence is the data gives 1."""
    return batch_size == 1 or not capabilities.has_one_sequence(tasks.get(task))


def has_text(task: str) -> bool:
    """Whether texts can be sampled from models of the task."""
    return isinstance(tasks.get(task), capabilities.HasText)


def uses_max_norm(clip_rule: str) -> bool:
    """Whether the rule clips at `max_norm`."""
    return capabilities.uses_max_norm(clip_rules.get(clip_rule))


def skipped_pairs(
    chosen_tasks: Sequence[str], chosen_models: Sequence[str], batch_sizes: Sequence[int]
) -> list[str]:
    """The pairs that do not fit, a line each: 'model gcn_rnn does not fit task palindrome'."""
    unread = [
        f"model {m} does not fit task {t}" for t in chosen_tasks for m in chosen_models if not fits(m, t)
    ]
    uneven = [
        f"batch_size {size} does not fit task {task}, which has one sequence"
        for task in chosen_tasks
        for size in batch_sizes
        if not fits_batch_size(task, size)
    ]
    return unread + uneven


def check_fits(chosen_tasks: Sequence[str], chosen_models: Sequence[str], batch_sizes: Sequence[int]) -> None:
    """Raise UserError for a model, a task or a batch size that fits nothing, naming what would."""
    for model in chosen_models:
        if not any(fits(model, task) for task in chosen_tasks):
            raise UserError(
                f"models={model} does not fit tasks={_text(chosen_tasks)}; models that do: "
                f"{_models_for(chosen_tasks)}; tasks that fit {model}: {_tasks_for([model])}"
            )
    for task in chosen_tasks:
        if not any(fits(model, task) for model in chosen_models):
            raise UserError(
                f"tasks={task} does not fit models={_text(chosen_models)}; tasks that do: "
                f"{_tasks_for(chosen_models)}; models that fit {task}: {_models_for([task])}"
            )
        if not any(fits_batch_size(task, size) for size in batch_sizes):
            raise UserError(_no_batches([task], batch_sizes))
    for size in batch_sizes:
        if not any(fits_batch_size(task, size) for task in chosen_tasks):
            raise UserError(_no_batches(chosen_tasks, [size]))


def _models_for(chosen_tasks: Sequence[str]) -> str:
    fitting = [name for name in models.names() if any(fits(name, task) for task in chosen_tasks)]
    return ", ".join(fitting) or "none built in"


def _tasks_for(chosen_models: Sequence[str]) -> str:
    fitting = [name for name in tasks.names() if any(fits(model, name) for model in chosen_models)]
    return ", ".join(fitting) or "none built in"


def _no_batches(chosen_tasks: Sequence[str], sizes: Sequence[int]) -> str:
    misfit = f"batch_size={_text(sizes)} does not fit tasks={_text(chosen_tasks)}"
    return f"{misfit}, which has one sequence; expected 1"


def _text(values: Sequence[object]) -> str:
    return ",".join(map(str, values))
