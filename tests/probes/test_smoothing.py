import math

import pytest
import torch

from harness.graphs import path, propagation
from harness.probes import Moment, probe_moment
from harness.probes.smoothing import relative_energy, smoothing
from harness.tasks import tasks
from harness.training.moments import probe_batch
from harness.training.replicas import Replicas, build_model, stack
from tests.trials import make_condition, some_graph


def test_energy_of_two_linked_nodes_by_hand():
    """Â is 1/2 everywhere: h' (I - Â) h = (h1 - h2)^2 / 2, over h1^2 + h2^2."""
    A = path(torch.zeros(1, 2, 1))
    h = torch.tensor([[[3.0], [1.0]], [[1.0], [1.0]], [[1.0], [-1.0]], [[0.0], [0.0]]])
    assert relative_energy(h, A).tolist() == pytest.approx([0.2, 0, 1, 0], abs=1e-6)


def test_energy_is_the_sum_over_links_of_squared_differences():
    A, h = some_graph(), torch.randn(1, 12, 5, dtype=torch.float64)
    scaled = h[0] / (A.sum(1, keepdim=True) + 1).sqrt()
    links = A.triu(1).nonzero()
    expected = sum((scaled[i] - scaled[j]).square().sum() for i, j in links) / h.square().sum()
    assert relative_energy(h, A).item() == pytest.approx(expected.item(), rel=1e-12)


def test_energy_of_an_eigenvector_is_1_minus_its_eigenvalue():
    A = some_graph()
    values, vectors = torch.linalg.eigh(propagation(A))
    found = relative_energy(vectors.T.unsqueeze(-1), A)
    assert torch.allclose(found, 1 - values, atol=1e-12)


def moment_of(model: str, length: int, seeds: int = 2, linear: bool = False, **options) -> Moment:
    task = tasks.build("karate", {}, length=length)
    condition = make_condition(task="karate", model=model, length=length, options=tuple(options.items()))
    modules = [build_model(condition, task, seed) for seed in range(seeds)]
    weights, buffers = stack(modules)
    if linear:
        for module in modules:
            for layer in module.layers[1:]:
                layer.weight.data = torch.eye(8)
        weights, buffers = stack(modules)
    return Replicas(modules[0], task).moment(weights, buffers, probe_batch(task, "karate", "cpu"))


def test_columns_are_of_the_first_and_last_layer_and_the_factor_between():
    found = smoothing(moment_of("gcn", 4))
    energy = found.profiles["dirichlet_energy"]
    assert energy.shape == (2, 4, 1)
    first, last, rate = (found.columns[f"dirichlet_{name}"] for name in ("first", "last", "rate"))
    assert torch.equal(first, energy[:, 0, 0])
    assert torch.equal(last, energy[:, 3, 0])
    assert torch.allclose(first * rate**3, last)


def test_averaging_alone_smooths_at_the_rate_of_the_second_eigenvalue():
    """With W = I and features that are not negative H_k = Â^(k-1) H_1: its energy falls by lambda_2^2."""
    moment = moment_of("gcn", 41, linear=True)
    energy = smoothing(moment).profiles["dirichlet_energy"][:, :, 0]
    adjacency = moment.inputs_BTI[0, :, 34:]
    second = torch.linalg.eigvalsh(propagation(adjacency))[-2].item()
    assert (energy[:, 40] / energy[:, 39]).tolist() == pytest.approx([second**2] * 2, rel=1e-3)


def test_one_layer_has_no_rate_and_other_models_have_no_columns():
    assert smoothing(moment_of("gat", 1)).columns["dirichlet_rate"].isnan().all()
    task = tasks.build("palindrome", {}, length=5)
    model = build_model(make_condition(), task, 0)
    weights, buffers = stack([model])
    moment = Replicas(model, task).moment(weights, buffers, probe_batch(task, "palindrome", "cpu"))
    found = probe_moment(moment, ("smoothing",)).columns
    assert all(math.isnan(column.item()) for column in found.values())


def test_a_network_for_graphs_has_no_gradient_through_time():
    found = probe_moment(moment_of("gcn", 2), ("gradient_flow", "smoothing"))
    assert found.columns["grad_state_rate"].isnan().all()
    assert found.columns["dirichlet_last"].isfinite().all()
