import numpy as np
import pytest
import torch

from harness.clip_rules import ZClip, clip_rules
from harness.errors import UserError

NORMS = np.concatenate([np.random.default_rng(0).lognormal(0, 0.5, 80), [50.0, 0.01, 60.0, 1.0]])


def run(rule, norms, max_norm=float("inf")):
    """Norms after clipping and coefficients, for a gradient along one axis, beside a calm replica."""
    grads = torch.zeros(len(norms), 2, 3, dtype=torch.float64)
    grads[:, 0, 1] = torch.tensor(norms)
    grads[:, 1, 1] = 1.0
    state = rule.init(grads[0], len(grads))
    after, coefficients = [], []
    for grads_RP in grads:
        norm = grads_RP.norm(dim=1, keepdim=True)
        clipped, coefficient, state = rule.clip(grads_RP, norm, torch.full((2, 1), max_norm), state)
        after.append(clipped[0].norm().item())
        coefficients.append(coefficient[0].item())
    return np.array(after), np.array(coefficients)


def test_norm_brings_the_norm_to_max_norm():
    after, coefficients = run(clip_rules.build("norm", {}), NORMS, max_norm=1.0)
    assert after == pytest.approx(np.minimum(NORMS, 1.0), rel=1e-5)
    assert coefficients == pytest.approx(np.minimum(1, 1 / NORMS), rel=1e-4)


def test_value_clips_each_element_as_torch_does():
    parameter = torch.nn.Parameter(torch.zeros(50))
    parameter.grad = torch.randn(50, generator=torch.Generator().manual_seed(0))
    grads = parameter.grad.clone()[None]
    torch.nn.utils.clip_grad_value_([parameter], 0.7)
    norm = grads.norm(dim=1, keepdim=True)
    clipped, coefficient, _ = clip_rules.build("value", {"max_value": 0.7}).clip(grads, norm, norm, ())
    assert torch.equal(clipped[0], parameter.grad)
    assert coefficient.item() == pytest.approx((parameter.grad.norm() / norm).item())


def test_value_leaves_a_zero_gradient_alone():
    zero = torch.zeros(1, 3)
    clipped, coefficient, _ = clip_rules.build("value", {}).clip(zero, torch.zeros(1, 1), zero[:, :1], ())
    assert torch.equal(clipped, zero)
    assert coefficient.item() == 1.0


def zclip_reference(norms, alpha, threshold, warmup):
    """The published rule, norm by norm: plain numbers, a buffer for the warm-up."""
    after = list(norms[:warmup])
    mean, variance = np.mean(after), np.var(after)
    for norm in norms[warmup:]:
        z = (norm - mean) / (variance**0.5 + 1e-6)
        if z > threshold:
            norm = mean + threshold * variance**0.5 / (z / threshold)
        mean = alpha * mean + (1 - alpha) * norm
        variance = alpha * variance + (1 - alpha) * (norm - mean) ** 2
        after.append(norm)
    return np.array(after)


@pytest.mark.parametrize(("alpha", "threshold", "warmup"), [(0.97, 2.5, 25), (0.9, 1.5, 10)])
def test_zclip_equals_the_published_rule(alpha, threshold, warmup):
    after, coefficients = run(ZClip(threshold, alpha, warmup), NORMS)
    expected = zclip_reference(NORMS, alpha, threshold, warmup)
    assert after == pytest.approx(expected, rel=1e-5)
    assert coefficients == pytest.approx(expected / NORMS, rel=1e-5)
    assert (expected < NORMS * 0.9).sum() >= 2, "the series should be clipped"


def test_zclip_clips_nothing_while_it_warms_up():
    after, _ = run(clip_rules.build("zclip", {}), [1.0] * 10 + [1e6] + [1.0] * 14)
    assert after[10] == 1e6


@pytest.mark.parametrize("percentile", [0.0, 10.0, 75.0, 100.0])
def test_autoclip_equals_numpy_percentile_of_the_history(percentile):
    after, _ = run(clip_rules.build("autoclip", {"percentile": percentile}), NORMS)
    limits = [np.percentile(NORMS[: i + 1], percentile) for i in range(len(NORMS))]
    assert after == pytest.approx(np.minimum(NORMS, limits), rel=1e-4)


def test_autoclip_counts_no_step_that_it_does_not_limit():
    """Norms that only fall are below every percentile but the lowest; the hundredth never limits."""
    for norms, percentile in ((np.linspace(0.5, 0.6, 50), 100.0), (np.full(50, 0.5), 10.0)):
        _, coefficients = run(clip_rules.build("autoclip", {"percentile": percentile}), norms)
        assert (coefficients == 1).all()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("value", {"max_value": 0.0}),
        ("zclip", {"z_threshold": -1.0}),
        ("zclip", {"zclip_alpha": 1.0}),
        ("zclip", {"zclip_warmup": 0}),
        ("autoclip", {"percentile": 101.0}),
    ],
)
def test_options_out_of_range_are_refused(name, options):
    with pytest.raises(UserError, match="is not allowed; expected"):
        clip_rules.build(name, options)
