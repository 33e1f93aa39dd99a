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
)
def clipping(curves: Curves) -> dict[str, Any]:
    """Quantiles of the global L2 norm before clipping, share of steps clipped, mean clip coefficient.

    Over all steps of the trial up to and including the one at which it diverged, whose norm may be inf
    or NaN: such norms count as infinitely large in the quantiles (which is what they were before they
    overflowed), and as clipped when max_norm is finite. The mean coefficient is over finite norms.
    """
    norms = np.nan_to_num(curves.grad_norm.astype(np.float64), nan=np.inf, posinf=np.inf)
    p50, p90, p99 = np.quantile(norms, [0.5, 0.9, 0.99], method="inverted_cdf")
    finite = np.isfinite(norms)
    coefficients = curves.clip_coefficient[finite]
    clipped = norms > curves.trial.condition.max_norm
    return {
        "grad_norm_p50": float(p50),
        "grad_norm_p90": float(p90),
        "grad_norm_p99": float(p99),
        "grad_norm_max": float(norms.max()),
        "clipped_share": float(clipped.mean()),
        "mean_clip_coefficient": float(coefficients.mean()) if len(coefficients) else float("nan"),
    }
