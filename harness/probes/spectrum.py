"""Size of the recurrent weights: spectral radius and largest singular value.

For a tanh network, sigma_max(W_hh) < 1 suffices for gradients to vanish; > 1 is necessary for them to explode
(Pascanu, Mikolov & Bengio 2013).
"""

from typing import Any

import torch
from torch import Tensor

from harness.capabilities import has_recurrent_weight
from harness.probes.moments import Measured, Moment, probe


@probe("spectral_radius", "sigma_max", applies=has_recurrent_weight)
def spectrum(moment: Moment) -> Measured:
    """Largest |eigenvalue| and largest singular value of W_hh; of a gated cell, the largest over its gates.

    NaN if a weight is not finite.
    """

    def one(call: Any, weights_P: Tensor) -> Tensor:
        weight: Tensor = call(weights_P, lambda model: model.recurrent_weight())
        return weight

    weight_RGHH = moment.each(one)
    finite_R = weight_RGHH.isfinite().flatten(1).all(dim=1)
    safe_RGHH = torch.where(finite_R[:, None, None, None], weight_RGHH, 0.0)
    radius_R = torch.linalg.eigvals(safe_RGHH).abs().flatten(1).max(dim=1).values
    sigma_R = torch.linalg.svdvals(safe_RGHH).flatten(1).max(dim=1).values
    nan = torch.full_like(sigma_R, torch.nan)
    return Measured(
        {
            "spectral_radius": torch.where(finite_R, radius_R, nan),
            "sigma_max": torch.where(finite_R, sigma_R, nan),
        }
    )
