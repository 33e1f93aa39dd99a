"""The captions of a paper's figure and table: task, n, budgets, what an interval is, and which version."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from analysis.conditions import conditions_table
from analysis.load import Results
from analysis.paper.headline import Headline
from analysis.paper.latex import latex
from analysis.paper.references import cited, versions
from analysis.table import varies
from analysis.words import text
from harness.condition import Outcome

Definition = Mapping[str, Any]


def figure_caption(results: Results, shown: Headline) -> str:
    """The caption of the headline figure, in LaTeX."""
    said = [
        r"\textbf{Success of training against sequence length.}",
        f"Task {tasks(results)} at length $T$. P(solved) is the share of runs that solved it within",
        f"{of_all(results, steps)}, P(stable) the share that also never fell back in the",
        f"{of_all(results, watched)} after; {runs(shown)}.",
        r"Bands are 95\,\% Wilson score intervals of each point, not adjusted for their number.",
        *map(latex, shown.left_out),
        *budgets(results),
    ]
    return "\n".join(said)


def table_caption(results: Results) -> str:
    """The caption of the table, in LaTeX."""
    said = [
        r"\textbf{Runs that solved their task and, in brackets, never fell back after.}",
        f"Task {tasks(results)} at length $T$;",
        f"within {of_all(results, steps)}, and {of_all(results, watched)} after.",
        r"$T_{50}$ is the length up to which half of the runs succeed, interpolated on log length after",
        r"isotonic regression, with 95\,\% limits of a logistic fit by penalised profile likelihood; $>$ and",
        r"$<$ are bounds, and a dash joins the lengths between which it must lie.",
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


def runs(shown: Headline) -> str:
    """How many runs a point is of."""
    low, high = shown.points["n"].min(), shown.points["n"].max()
    n = f"{low}" if low == high else f"{low}$ to ${high}"
    return f"$n = {n}$ runs a point, each with a seed of its own"


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
    whom = "condition and run" if definition.get("tuned_by") == "seed" else "condition"
    return f"tuned for each {whom}, {definition['lr_trials']} rates on {apart}"


def listed(values: Iterable[Any]) -> str:
    """Values of an axis."""
    names = [latex(text(value)) for value in values]
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
