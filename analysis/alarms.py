"""The top of the report: what the folders hold, and what a reader must know before reading on."""

from analysis.conditions import conditions_table
from analysis.load import Results
from analysis.sections.coverage import SECTION as COVERAGE


def overview(results: Results) -> str:
    """What the folders hold, of how much, in one sentence."""
    trials, conditions = results.report_trials, results.conditions
    counts = trials["outcome"].value_counts()
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items())
    reported, tuning = trials["condition_id"].nunique(), len(results.tuning_trials)
    tuned = f", and {of(tuning, planned_tuning(results))} tuning trials" if planned_tuning(results) else ""
    return (
        f"{of(reported, len(conditions))} conditions have report trials, "
        f"{of(len(trials), planned_reports(results))} report trials are recorded ({outcomes or 'none'})"
        f"{tuned}."
    )


def unfinished(results: Results) -> bool:
    """Whether trials that were asked for are missing, of the report or of a tuning."""
    absent = conditions_table(results).frame["missing"].sum()
    return bool(absent) or len(results.tuning_trials) < planned_tuning(results)


def of(count: int, whole: int) -> str:
    """A count of a whole; the count alone where there are more, as where versions tuned apart."""
    return f"{count:,} of {whole:,}" if count <= whole else f"{count:,}"


def planned_reports(results: Results) -> int:
    """Report trials asked for, in all conditions."""
    return int(results.conditions["planned"].sum())


def planned_tuning(results: Results) -> int:
    """Tuning trials asked for, in all conditions: each tries `lr_trials` rates on `planned_tuning` seeds.

    Those by which a range grew are added as they are recorded.
    """
    rates: dict[str, int] = {}
    for definition in results.definitions:
        name, tried = definition["name"], definition.get("lr_trials", 0)
        rates[name] = max(rates.get(name, 0), tried)
    tuned = results.conditions[results.conditions["learning_rate"].isna()]
    each = zip(tuned["space"], tuned["planned_tuning"], strict=True)
    return sum(rates[space] * int(seeds) for space, seeds in each) + beyond_grids(results)


def beyond_grids(results: Results) -> int:
    """Tuning trials at rates outside the first grid of their condition: those by which ranges grew."""
    trials, grids = results.tuning_trials, results.conditions.set_index("condition_id")["grid"]
    low, high = (grids.map(lambda grid, end=end: grid[end] if grid else float("nan")) for end in (0, -1))
    if trials.empty:
        return 0
    rate, condition = trials["learning_rate"], trials["condition_id"]
    return int(((rate < condition.map(low)) | (rate > condition.map(high))).sum())


def alarms(results: Results) -> list[str]:
    """What a reader must know before reading on: failures, missing trials, optima at the edge."""
    checks = (failed, missing, different_code, several_rates, one_tuning, at_an_edge)
    return [*results.notes, *(said for check in checks if (said := check(results)))]


def failed(results: Results) -> str:
    """How many trials failed; empty if none did."""
    if not len(results.failures):
        return ""
    return (
        f"{len(results.failures)} trials failed (a fault, not a measurement); run the same command again "
        f"to retry them. They are named under {COVERAGE.title}."
    )


def missing(results: Results) -> str:
    """How many report trials are missing; empty if none is."""
    conditions = conditions_table(results).frame
    absent, without = conditions["missing"], int((conditions["n"] == 0).sum())
    if not absent.sum():
        return ""
    return (
        f"{int(absent.sum())} report trials are missing in {int((absent > 0).sum())} of {len(conditions)} "
        f"conditions, {without} of which have none yet; the table says how many."
    )


def different_code(results: Results) -> str:
    """How many versions of code or devices made the numbers; empty if one did."""
    if len(results.code) < 2:
        return ""
    return (
        f"These numbers were made by {len(results.code)} different versions of code or devices, which "
        "may round differently; the end of the page has all that is recorded."
    )


def several_rates(results: Results) -> str:
    """How many seeds have report trials at several learning rates; empty if none has."""
    rates = results.report_trials.groupby(["condition_id", "seed"])["learning_rate"].nunique()
    if not (rates > 1).any():
        return ""
    return (
        f"{int((rates > 1).sum())} report seeds have trials at several learning rates: they were tuned "
        f"under versions or on machines that chose different rates. The lowest of them counts."
    )


def one_tuning(results: Results) -> str:
    """How many folders tuned once for all report seeds; empty if none did."""
    once = [d for d in results.definitions if d.get("learning_rate") is None and "tuned_by" not in d]
    tuned = [d for d in once if d.get("first_grids")]
    if not tuned:
        return ""
    return (
        f"{len(tuned)} of {len(results.definitions)} folders chose one learning rate for all report seeds of "
        f"a condition: what luck that choice had is in no interval and in no p."
    )


def at_an_edge(results: Results) -> str:
    """How many conditions have the lowest or highest rate tried as their best; empty if none has."""
    edge = conditions_table(results).frame["at_edge"]
    if not edge.any():
        return ""
    return (
        f"In {int(edge.sum())} of {len(edge)} conditions the best learning rate is the "
        f"lowest or highest tried (marked *): the optimum may lie outside the range."
    )
