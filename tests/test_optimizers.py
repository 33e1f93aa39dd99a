import pytest
import torch

from harness.errors import UserError
from harness.optimizers import optimizers

REFERENCES = {
    "sgd": (torch.optim.SGD, {}, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.8}, {"momentum": 0.8}),
    "rmsprop": (torch.optim.RMSprop, {"alpha": 0.9}, {"alpha": 0.9}),
    "adam": (torch.optim.Adam, {"beta1": 0.8, "beta2": 0.95}, {"betas": (0.8, 0.95)}),
}


def test_every_optimizer_has_a_reference():
    assert set(REFERENCES) == set(optimizers.names())


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
@pytest.mark.parametrize("default", [True, False])
def test_equals_torch_optim_over_100_steps_for_each_replica_at_its_own_rate(name, dtype, tolerance, default):
    reference, options, torch_options = REFERENCES[name]
    if default:
        options, torch_options = {}, ({"momentum": 0.9} if name == "momentum" else {})
    rates = [1e-3, 1e-2, 3e-2]
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(3, 7, dtype=dtype, generator=generator)
    parameters = [torch.nn.Parameter(row.clone()) for row in weights]
    theirs = [reference([p], lr=rate, **torch_options) for p, rate in zip(parameters, rates, strict=True)]
    ours = optimizers.build(name, options)
    state = ours.init(weights)
    for _ in range(100):
        grads = torch.randn(3, 7, dtype=dtype, generator=generator)
        weights, state = ours.update(weights, grads, state, torch.tensor(rates, dtype=dtype)[:, None])
        for parameter, optimizer, grad in zip(parameters, theirs, grads, strict=True):
            parameter.grad = grad
            optimizer.step()
    expected = torch.stack([p.detach() for p in parameters])
    assert weights.dtype == dtype
    assert (weights - expected).abs().max() <= tolerance


@pytest.mark.parametrize("name", optimizers.names())
def test_update_changes_nothing_in_place_and_state_rows_are_replicas(name):
    rule = optimizers.build(name, {})
    weights, grads = torch.randn(3, 5), torch.randn(3, 5)
    state = rule.init(weights)
    copies = [t.clone() for t in (weights, grads, *state)]
    rule.update(weights, grads, state, torch.full((3, 1), 0.1))
    assert all(torch.equal(a, b) for a, b in zip(copies, (weights, grads, *state), strict=True))
    assert all(len(tensor) == 3 for tensor in state)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("momentum", {"momentum": 1.0}),
        ("rmsprop", {"alpha": -0.1}),
        ("adam", {"beta2": 1.0}),
        ("adam", {"eps": -1.0}),
    ],
)
def test_options_out_of_range_are_refused_by_name(name, options):
    with pytest.raises(UserError, match=next(iter(options))):
        optimizers.build(name, options)
