"""The captions of a paper's figure and table: task, n, budgets, what an interval is, and which version."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from analysis.conditions import conditions_table
from analysis.headline import Headline
from analysis.load import Results
from analysis.names import LAYERS_LABEL, length_label
from analysis.paper.latex import latex
from analysis.paper.references import cited, versions
from analysis.table import varies
from analysis.words import text
from harness.condition import Outcome

Definition = Mapping[str, Any]


def figure_caption(results: Results, shown: Headline) -> str:
    """The caption of the headline figure, in LaTeX."""
    against = length_words(results) if shown.x == "length" else "learning rate"
    said = [
        rf"\textbf{{Success of training against {against}.}}",
        f"Task {tasks(results)}. P(solved) is the share of runs that solved it within",
        f"{of_all(results, steps)}, P(stable) the share that also never fell back in the",
        f"{of_all(results, watched)} after; ${shown.runs().replace(' to ', '$ to $')}$ runs a point, each",
        "with a seed of its own.",
        r"Bars are 95\,\% Wilson score intervals of each point, not adjusted for their number; points of one",
        "place stand side by side.",
        *map(latex, shown.left_out),
        *(["The table has all."] if shown.left_out else []),
        *budgets(results),
    ]
    return "\n".join(said)


def table_caption(results: Results) -> str:
    """The caption of the table, in LaTeX."""
    said = [
        r"\textbf{Runs that solved their task and, in brackets, never fell back after.}",
        f"Task {tasks(results)};",
        f"within {of_all(results, steps)}, and {of_all(results, watched)} after.",
        rf"$T_{{50}}$ is the {length_words(results)} up to which half of the runs succeed, interpolated on",
        r"its logarithm after isotonic regression, with 95\,\% limits of a logistic fit by penalised profile",
        r"likelihood; $>$ and $<$ are bounds, and a dash joins the lengths between which it must lie.",
        *budgets(results),
    ]
    return "\n".join(said)


def budgets(results: Results) -> list[str]:
    """What both captions say: sizes, tuning, divergence, what is missing, and the version."""
    reported = results.report_trials
    diverged = int((reported["outcome"] == Outcome.DIVERGED).sum())
    missing = int(conditions_table(results).frame["missing"].sum())
    said = [
        *same_for_all(results),
        f"Models have {of_all(results, units)}, batches {of_all(results, sequences)}.",
        f"Learning rates: {of_all(results, tuning)}.",
        f"{diverged:,} of {len(reported):,} runs diverged and count as failures.",
    ]
    if missing:
        said.append(f"{missing:,} runs that were asked for are missing.")
    return [
        *said,
        rf"Made with stability-harness {latex(versions(results))}~\cite{{{','.join(cited(results))}}}.",
    ]


def same_for_all(results: Results) -> list[str]:
    """The model, the optimizer and the way of clipping, where there is only one."""
    frame = conditions_table(results).frame
    one = [latex(text(frame[key].iloc[0])) for key in ("model", "optimizer", "arm") if not varies(frame, key)]
    return [f"All with {', '.join(one)}."] if one else []


def tasks(results: Results) -> str:
    """The tasks, by name."""
    names = [rf"\textsl{{{latex(text(name))}}}" for name in sorted(results.conditions["task"].unique())]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def length_words(results: Results) -> str:
    """What grows from left to right."""
    label = length_label(results.conditions["task"])
    return "number of layers" if label == LAYERS_LABEL else "length $T$"


def of_all(results: Results, worded: Callable[[Definition], str]) -> str:
    """What is said of the definition; of several folders, each answer once."""
    return " or ".join(dict.fromkeys(map(worded, results.definitions)))


def steps(definition: Definition) -> str:
    """The budget of training."""
    return f"{definition['max_steps']:,} updates"


def watched(definition: Definition) -> str:
    """How long a run is watched after it solved its task."""
    return f"{definition['observe']:,} updates"


def units(definition: Definition) -> str:
    """The size of the models."""
    return f"{listed(definition['hidden_size'])} hidden units"


def sequences(definition: Definition) -> str:
    """The size of a batch."""
    return f"{listed(definition['batch_size'])} sequences"


def tuning(definition: Definition) -> str:
    """How learning rates were chosen, and with what budget."""
    if isinstance(definition["learning_rate"], list):
        return f"fixed at {listed(definition['learning_rate'])}"
    seeds = definition["tuning_seeds"]
    apart = f"{seeds} {'seed' if seeds == 1 else 'seeds'} apart from the reported ones"
    whom = "run" if definition.get("tuned_by") == "seed" else "condition"
    return (
        f"each {whom} has its own, the slowest of {definition['lr_trials']} tried on {apart} that did nearly "
        f"as well as the best at {TUNED_FOR[definition.get('tune_for', 'fast')]}"
    )


TUNED_FOR = {
    "fast": "learning fast, the lowest loss over all of training",
    "loss": "ending well, the lowest loss at the end of training",
    "stable": "staying stable, and then at the lowest loss over all of training",
}
"""What learning rates are chosen for, by `tune_for`."""


def listed(values: Iterable[Any]) -> str:
    """Values of an axis."""
    names = [latex(text(value)) for value in values]
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
