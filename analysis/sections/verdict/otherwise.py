"""What runs at equal learning rates say otherwise than those at the rates that each side chose."""

from analysis.names import listed, sides
from analysis.sections.verdict.evidence import Evidence
from analysis.shown import ORDER, SHOWN_AT, is_shown, lead

MEASURED = {
    "solved": "how many runs solve",
    "stable": "how many are stable",
    "kept": "how many stay solved",
    "drops": "how often they drop",
}


def solving_unshown(found: Evidence) -> str:
    """That thresholds are not shown to change how many runs solve, or are so at equal rates only."""
    said = "no threshold was shown to change how many runs solve their task"
    rows = found.at_equal_rates[found.at_equal_rates["factor"] == "clipping"]
    shown = rows[rows["solved_p_holm"] < SHOWN_AT]
    if shown.empty:
        return said
    changes = 100 * shown["solved_difference"]
    by = " to ".join(dict.fromkeys(f"{value:+.0f}" for value in (changes.min(), changes.max())))
    count = f"{len(shown)} of {len(rows)}"
    return f"at the rates that each chose {said}; at equal rates {count} were, by {by} of 100 runs"


def turned_round(found: Evidence, factor: str) -> list[str]:
    """Of what is shown of a factor, what estimates at equal rates have the other way round."""
    if found.at_equal_rates.empty:
        return []
    names = ["factor", "level", "other"]
    both = found.effects.merge(found.at_equal_rates, on=names, suffixes=("", "_equal"))
    said = []
    for row in both[both["factor"] == factor].to_dict("records"):
        shown = [measure for measure in ORDER if is_shown(row, measure)]
        turned = [MEASURED[m] for m in shown if lead(row, m) * lead(row, m, "_equal") < 0]
        if turned:
            both_sides = sides(row["level"], row["other"])
            said.append(f"at equal learning rates {both_sides} differ the other way in {listed(turned)}")
    return said
