import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.graphs import block_model, path, propagation
from harness.models.gcn import Convolution
from harness.planning.fits import fits
from harness.planning.space import Space
from harness.tasks import tasks
from tests.trials import some_graph


def test_propagation_is_the_equation_of_kipf_and_welling_written_out():
    """Three nodes in a path: degrees with loops 2, 3, 2."""
    root6 = 6**-0.5
    expected = torch.tensor([[1 / 2, root6, 0], [root6, 1 / 3, root6], [0, root6, 1 / 2]])
    assert torch.allclose(propagation(path(torch.zeros(1, 3, 1))), expected)
    A = some_graph()
    D = torch.diag((A + torch.eye(12)).sum(1))
    root = torch.linalg.inv(torch.linalg.cholesky(D))
    assert torch.allclose(propagation(A), root @ (A + torch.eye(12)) @ root, atol=1e-15)


@settings(deadline=None)
@given(nodes=st.integers(1, 20), seed=st.integers(0, 1_000), links=st.floats(0, 1))
def test_eigenvalues_of_the_propagation_lie_above_minus_1_and_the_largest_is_1(nodes, seed, links):
    values = torch.linalg.eigvalsh(propagation(some_graph(nodes, seed, links)))
    assert values.min() > -1 + 1e-6
    assert values.max().item() == pytest.approx(1, abs=1e-12)


def test_propagation_of_a_batch_is_that_of_each_graph():
    graphs = torch.stack([some_graph(seed=seed) for seed in range(3)])
    for batched, single in zip(propagation(graphs), graphs, strict=True):
        assert torch.equal(batched, propagation(single))


def test_convolution_equals_the_one_of_pyg():
    from torch_geometric.nn import GCNConv

    A, h = some_graph(), torch.randn(2, 12, 5, dtype=torch.float64)
    ours, theirs = Convolution(5, 4, "xavier").double(), GCNConv(5, 4).double()
    theirs.lin.weight, theirs.bias = ours.weight, ours.bias
    with torch.no_grad():
        ours.bias.normal_()
    edges = A.nonzero().T
    got, expected = ours(h, propagation(A)), theirs(h, edges)
    assert torch.allclose(got, expected, atol=1e-14, rtol=0)
    grads = [torch.autograd.grad(out.square().sum(), (ours.weight, ours.bias)) for out in (got, expected)]
    assert all(torch.allclose(a, b, atol=1e-12, rtol=0) for a, b in zip(*grads, strict=True))


@pytest.mark.parametrize("homophily", [0.0, 0.3, 0.8, 1.0])
def test_block_models_have_the_homophily_and_the_degree_that_were_asked_for(homophily):
    labels = torch.arange(40).repeat(500, 1) % 4
    adjacency = block_model(torch.Generator().manual_seed(0), labels, homophily, 8.0)
    assert torch.equal(adjacency, adjacency.transpose(1, 2))
    assert adjacency.unique().tolist() == [0, 1]
    assert adjacency.diagonal(dim1=1, dim2=2).sum() == 0
    same = labels[0][:, None] == labels[0]
    assert (adjacency * same).sum() / adjacency.sum() == pytest.approx(homophily, abs=0.01)
    assert adjacency.sum(-1).mean() == pytest.approx(8, rel=0.02)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"homophily": 1.2}, "homophily=1.2"),
        ({"nodes": 41}, "nodes=41 is not allowed; expected a multiple of 4"),
        ({"nodes": 16}, "nodes=16 are too few for 8 links"),
    ],
)
@pytest.mark.parametrize("task", ["sbm", "graph_signal"])
def test_graphs_that_cannot_be_drawn_are_refused_by_name(task, options, said):
    with pytest.raises(UserError, match=said):
        tasks.build(task, options, length=4)


FITTING = {
    "palindrome": {"rnn", "lstm", "gcn", "gat"},
    "karate": {"gcn", "gat"},
    "sbm": {"gcn", "gat"},
    "graph_signal": {"rnn", "lstm", "gcn", "gat", "gcn_rnn", "gcn_lstm"},
}


@pytest.mark.parametrize("task", FITTING)
def test_graph_models_fit_graphs_and_sequence_models_fit_sequences(task):
    models = ("rnn", "lstm", "gcn", "gat", "gcn_rnn", "gcn_lstm")
    assert {name for name in models if fits(name, task)} == FITTING[task]


@pytest.mark.parametrize(
    ("task", "model", "said"),
    [
        ("karate", "rnn", r"models=rnn does not fit tasks=karate; models that do: gat, gcn; .* palindrome"),
        ("palindrome", "gcn_rnn", r"models that do: gat, gcn, .*; tasks that fit gcn_rnn: graph_signal$"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_what_does(task, model, said):
    with pytest.raises(UserError, match=said):
        Space(name="x", summary="", tasks=(task,), models=(model,), batch_size=1)


def test_karate_is_trained_whole():
    with pytest.raises(UserError, match=r"batch_size=32 does not fit tasks=karate.*expected 1"):
        Space(name="x", summary="", tasks=("karate",), models=("gcn",), batch_size=32)
