"""Did clipping act? The gradient norm before clipping, and how often and how hard it was clipped."""

from typing import Any

import numpy as np

from harness.probes.base import Curves, measure


@measure(
    grad_norm_p50=float,
    grad_norm_p90=float,
    grad_norm_p99=float,
    grad_norm_max=float,
    clipped_share=float,
    mean_clip_coefficient=float,
    clip_never_active=bool,
    clip_mostly_active=bool,
)
def clipping(curves: Curves) -> dict[str, Any]:
    """Quantiles of the global L2 norm before clipping, share of steps clipped, mean clip coefficient.

    Quantiles are over all steps of the trial. At the step where a trial diverged the norm may be inf or NaN:
    it counts as infinitely large, as it was before it overflowed. The rest is over the steps with a finite
    norm; it is NaN or False if there are none. A step is clipped if its coefficient is below 1. Clipping was
    never active if no step was clipped, and mostly active if more than half were.
    """
    norms = np.nan_to_num(curves.grad_norm.astype(np.float64), nan=np.inf, posinf=np.inf)
    p50, p90, p99 = np.quantile(norms, [0.5, 0.9, 0.99], method="inverted_cdf")
    finite = np.isfinite(norms)
    coefficients = curves.clip_coefficient[finite].astype(np.float64)
    clipped = float((coefficients < 1).mean()) if len(coefficients) else float("nan")
    return {
        "grad_norm_p50": float(p50),
        "grad_norm_p90": float(p90),
        "grad_norm_p99": float(p99),
        "grad_norm_max": float(norms.max()),
        "clipped_share": clipped,
        "mean_clip_coefficient": float(coefficients.mean()) if len(coefficients) else float("nan"),
        "clip_never_active": clipped == 0,
        "clip_mostly_active": clipped > 0.5,
    }
