"""Options of a user's own classes that are named like a column of the report's tables."""

_NAMES = """
    along at differ ended runs share solved_open stable_open
    arm at_edge back best_at_edge best_loss best_rate budget censored clipped_share_high clipped_share_low
    clipping complete conditions decades depth diverged drops_per_1000 drops_per_1000_high drops_per_1000_low
    end_step extreme failed folder grad_norm grad_state_rate grad_state_rate_high grad_state_rate_low
    grad_state_reach grad_state_reach_high grad_state_reach_low gradient gradient_high gradient_low grid high
    highest hours k kept_difference kept_high kept_low kept_p kept_p_holm kind largest_stable
    learning_rate_high learning_rate_low longest loss lost low lowest lyapunov_1 lyapunov_1_high
    lyapunov_1_low matched median_depth median_recovery median_steps_to_solve missing moment mostly_active n
    name never_active of p_logrank p_solved p_solved_high p_solved_low p_stable p_stable_high p_stable_low
    parameters_high parameters_low
    planned planned_tuning rate rates rates_high rates_low reached recorded recovered restricted_mean same
    score seconds_per_step
    sensitivity shortest sigma_max sigma_max_high sigma_max_low solved solved_T50 solved_T50_high
    solved_T50_low solved_T90 solved_T90_high solved_T90_low solved_a solved_all solved_b solved_decades
    solved_decades_high solved_decades_low solved_difference solved_high solved_low solved_none solved_nowhere
    solved_p solved_p_holm solved_separated solved_up_to solved_up_to_high solved_up_to_low spectral_radius
    spectral_radius_high spectral_radius_low stable stable_T50 stable_T50_high stable_T50_low stable_T90
    stable_T90_high stable_T90_low stable_a stable_all stable_b stable_decades stable_decades_high
    stable_decades_low stable_difference stable_high stable_low stable_none stable_nowhere stable_p
    stable_p_holm stable_separated stable_up_to stable_up_to_high stable_up_to_low start_step step to trials
    tuning_high tuning_low unsolved watched with_drops
"""

ADDED = frozenset(_NAMES.split())
"""Columns that tables add to the keys of a condition. No option of a built-in class is among them."""


def apart(option: str) -> str:
    """What tables call an option: `n` is `option n`, because tables have an n; most keep their name."""
    return f"option {option}" if option in ADDED else option
