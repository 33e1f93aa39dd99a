"""Did the clip axis act: the gradient norm before clipping, and how often and how hard it was clipped."""

from typing import Any

import numpy as np

from harness.probes.base import Curves, probe


@probe(
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

    Quantiles are over all steps of the trial up to and including the one at which it diverged, whose norm may
    be inf or NaN: such norms count as infinitely large (which is what they were before they overflowed).
    The rest is over the steps with a finite norm, and NaN or False if there are none: a step is clipped if
    its coefficient is below 1; never active: none was; mostly active: more than half were.
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
