"""Of every number that the report prints: which way is better, or why neither is.

A run that diverges instead of what it did may improve no number. A column of a new section needs a line here.
"""

MORE, LESS = "more is better", "less is better"

COUNT = "how much there is, or which it is"
PARTS = "outcomes are parts of n: fewer of one are more of another"
SURE = "how sure something is: fewer successes may be more alike"
DESCRIBES = "describes gradients, cost or code, and is neither good nor bad"
CHOSEN = "what a tuning chose, or which range"
CONDITIONAL = "of the runs that solved, or that were watched: it stands beside how many those are"
ACTED = "of the pairs that clipping could change: it stands beside how many those are"
RELATIVE = "against the best rate, whose loss stands beside it"
CHOOSES = "a tuning that sees a divergence chooses another rate"


def limits(name: str, what: str = SURE) -> dict[str, str]:
    """The same for both limits of a number."""
    return {f"{name}_low": what, f"{name}_high": what}


SHARES = {name: MORE for m in ("stable", "solved") for name in (f"p_{m}", f"p_{m}_low", f"p_{m}_high", m)}

DROPS = {
    "watched": CONDITIONAL,
    "drops_per_1000": CONDITIONAL,
    **limits("drops_per_1000", CONDITIONAL),
    "diverged": LESS,
}

CONTRAST = {
    **dict.fromkeys(("conditions", "clusters", "pairs", "both_solved", "both_watched", "rates"), COUNT),
    **{f"{m}_difference": MORE for m in ("solved", "stable")},
    "kept_difference": CONDITIONAL,
    "drops_ratio": CONDITIONAL,
    "sooner": MORE,
    **{
        name: what
        for m in ("solved", "stable", "kept", "drops", "sooner")
        for name, what in limits(m).items()
    },
    **{
        f"{m}{end}": SURE
        for m in ("solved", "stable", "kept", "drops")
        for end in ("_p", "_p_holm", "_differ")
    },
}
"""`more` is meant of the level on whose side the run is."""

CRITICAL = {
    f"{m}_{name}": what
    for m in ("solved", "stable")
    for name, what in {
        "T50": MORE,
        "T90": MORE,
        **limits("T50"),
        **limits("T90"),
        "all": MORE,
        "none": MORE,
        "separated": SURE,
    }.items()
}

BETTER: dict[str, dict[str, str]] = {
    "Standings": {
        **dict.fromkeys(("conditions", "runs", "shared"), COUNT),
        "diverged": LESS, "p_solved": MORE, "p_stable": MORE, "steps_to_solve": LESS, "rank": LESS,
        **limits("p_solved"),
        **limits("p_stable"),
        **limits("steps_to_solve"),
    },
    "Verdict": {
        **dict.fromkeys(("conditions", "shortest", "longest", "n"), COUNT),
        **dict.fromkeys(("recovered", "lost", "unsolved"), PARTS),
        **dict.fromkeys(("parameters_low", "parameters_high", "seconds_per_step"), DESCRIBES),
        "reached": CONDITIONAL, "solved": MORE, "stable": MORE, "diverged": LESS,
    },
    "Clipping by length": {
        **dict.fromkeys(("length", "n", "pairs", "identical"), COUNT),
        "stable": MORE, "solved": MORE,
        **{f"{m}_{end}": ACTED for m in ("stable", "solved") for end in ("difference", "low", "high")},
    },
    "Effects": CONTRAST,
    "Where differences arise": dict.fromkeys(
        ("at", "pairs", "clusters", "differ", "value", "low", "high", "p", "p_holm"), SURE
    ),
    "At equal learning rates": CONTRAST,
    "Stability against length": {
        **SHARES,
        **DROPS,
        **dict.fromkeys(("n", "missing"), COUNT),
        **dict.fromkeys(("recovered", "lost", "unsolved"), PARTS),
        **dict.fromkeys(("learning_rate", *limits("learning_rate"), "at_edge"), CHOSEN),
        "median_steps_to_solve": LESS, "final_score": MORE, "control_score": MORE,
        "clipped_share": DESCRIBES,
    },
    "Critical length": CRITICAL | dict.fromkeys(("lengths", "n", "shortest", "longest"), COUNT),
    "Stability map": SHARES | {"n": COUNT, "diverged": LESS},
    "Stable range": {
        **dict.fromkeys(("rates", "lowest", "highest", "seeds"), COUNT),
        **{f"{m}_up_to{end}": MORE for m in ("stable", "solved") for end in ("", "_low", "_high")},
        **{f"{m}_decades": MORE for m in ("stable", "solved")},
        **limits("stable_decades"),
        **limits("solved_decades"),
        **{f"{m}_nowhere": LESS for m in ("stable", "solved")},
        **{f"{m}_open": SURE for m in ("stable", "solved")},
    },
    "Steps to solve": {
        "n": COUNT, "budget": COUNT, "solved": MORE, "restricted_mean": LESS, "p_logrank": SURE
    },
    "Drops after convergence": {
        **DROPS,
        "n": COUNT, "with_drops": LESS,
        **dict.fromkeys(("drops", "watched_steps", "median_depth", "median_recovery"), CONDITIONAL),
    },
    "Did clipping act?": dict.fromkeys(
        (
            *("n", "never_active", "mostly_active", "clipped_share", *limits("clipped_share")),
            *("mean_clip_coefficient", *(f"grad_norm_{q}" for q in ("p50", "p90", "p99", "max"))),
        ),
        DESCRIBES,
    ),
    "Learning-rate response": {
        **dict.fromkeys(("rates", "tuning_seeds"), COUNT),
        **dict.fromkeys(("best_rate", "best_at_edge", "solved_low", "solved_high"), CHOSEN),
        "best_loss": LESS, "sensitivity": RELATIVE, "largest_stable": MORE, "solved_decades": MORE,
    },
    "Tuning budget": {
        **dict.fromkeys(("conditions", "tunings"), COUNT),
        **{f"p_{m}{end}": CHOOSES for m in ("stable", "solved") for end in ("", "_low", "_high")},
    },
    "Gradient through time": {
        "n": COUNT, "seeds": COUNT,
        **{
            f"{name}{end}": DESCRIBES
            for name in ("grad_state_rate", "grad_state_reach", "lyapunov_1", "spectral_radius", "sigma_max")
            for end in ("", "_low", "_high")
        },
    },
    "Example runs": dict.fromkeys(
        ("of", "learning_rate", "seed", "steps", "solved_step", "diverged_step", "diverged_reason", "drops",
         "baseline_loss",
         "solved_at", "chance"),
        DESCRIBES,
    ),
    "Fairness and coverage": {
        **dict.fromkeys(
            ("conditions", "complete", "rates_low", "rates_high", "tuning_low", "tuning_high", "at_edge",
             "planned", "recorded", "failed"),
            COUNT,
        ),
        "diverged": LESS, "hours": DESCRIBES,
    },
    "Methods and provenance": {},
}  # fmt: skip
"""By section and column."""
