import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from harness.condition import Pack
from harness.graphs import Graph, path, propagation, with_loops
from harness.models import models
from harness.models.gat import Attention
from harness.models.graph_nets import normalised
from harness.probes.gradient_flow import gradient_flow
from harness.tasks import tasks
from harness.training.moments import probe_batch
from harness.training.replicas import Replicas, build_model, stack
from tests.trials import end_weights, make_condition, make_trial, mostly_contract, some_graph, trained

pytestmark = pytest.mark.usefixtures("few_heldout")


def build(name: str, graph: Graph | None = None, length: int = 3, inputs: int = 12, **options) -> nn.Module:
    torch.manual_seed(0)
    sizes = dict(input_size=inputs, hidden_size=5, output_size=4)
    return models.build(name, options, **sizes, length=length, graph=graph).double()


def node_net(name: str, length: int = 3, **options) -> nn.Module:
    """A network for graphs of 12 nodes with 5 features, which come with the inputs."""
    model = build(name, Graph(12), length, inputs=17, **options)
    model.every_step = True
    return model


def with_graph(features: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
    return torch.cat([features, adjacency.expand(len(features), -1, -1)], dim=-1)


def features(batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 12, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_two_layers_of_gcn_equal_the_equation_written_out():
    model, A, X = node_net("gcn", 2), some_graph(), features()
    P = propagation(A)
    W1, W2 = (layer.weight for layer in model.layers)
    expected = torch.relu(P @ torch.relu(P @ X @ W1.T) @ W2.T) @ model.readout_weight.T
    assert torch.allclose(model(with_graph(X, A)), expected, atol=1e-14)


def test_two_layers_of_gcn_equal_those_built_from_pyg():
    from torch_geometric.nn import GCN

    model, A, X = node_net("gcn", 2), some_graph(), features()
    theirs = GCN(5, 5, 2).double()
    for ours, conv in zip(model.layers, theirs.convs, strict=True):
        conv.lin.weight, conv.bias = ours.weight, ours.bias
    hidden = torch.relu(theirs(X, A.nonzero().T))
    expected = hidden @ model.readout_weight.T + model.readout_bias
    assert torch.allclose(model(with_graph(X, A)), expected, atol=1e-14)


def test_attention_sums_to_1_over_neighbours_and_equals_the_one_of_pyg():
    from torch_geometric.nn import GATConv

    A, h = some_graph(), features()[0]
    ours, theirs = Attention(5, 4, "xavier").double(), GATConv(5, 4).double()
    with torch.no_grad():
        ours.bias.normal_()
        theirs.lin.weight.copy_(ours.weight)
        theirs.bias.copy_(ours.bias)
        theirs.att_src.copy_(ours.sender)
        theirs.att_dst.copy_(ours.receiver)
    expected, (edges, alpha) = theirs(h, A.nonzero().T, return_attention_weights=True)
    assert torch.allclose(ours(h[None], with_loops(A))[0], expected, atol=1e-14)
    weights = ours.attention((h @ ours.weight.T)[None], with_loops(A))[0]
    assert torch.allclose(weights[edges[1], edges[0]], alpha[:, 0], atol=1e-14)
    assert torch.allclose(weights.sum(1), torch.ones(12, dtype=torch.float64))
    assert (weights[with_loops(A) == 0] == 0).all()


@pytest.mark.parametrize("options", [{}, {"residual": True}, {"norm": "layer"}])
@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize("name", ["gcn", "gat"])
def test_k_layers_reach_exactly_k_hops(name, layers, options):
    """The last of 12 nodes in a path depends on the nodes up to k hops away, and on no other."""
    model = node_net(name, layers, **options)
    with torch.no_grad():
        for layer in model.layers:
            layer.bias.fill_(2.0)  # no unit is switched off
    X = 0.1 * features(1)
    X.requires_grad_()
    outputs = model(with_graph(X, path(X)))
    (grad,) = torch.autograd.grad(outputs[0, -1].square().sum(), X)
    reached = grad[0].norm(dim=1) > 0
    assert reached.tolist() == [12 - 1 - node <= layers for node in range(12)]


@pytest.mark.parametrize("options", [{}, {"residual": True, "norm": "pair"}])
@pytest.mark.parametrize("name", ["gcn", "gat"])
def test_renaming_the_nodes_renames_the_outputs(name, options):
    model, A, X = node_net(name, **options), some_graph(), features()
    order = torch.randperm(12, generator=torch.Generator().manual_seed(2))
    renamed = model(with_graph(X[:, order], A[order][:, order]))
    assert torch.allclose(renamed, model(with_graph(X, A))[:, order], atol=1e-13)


@pytest.mark.parametrize("name", ["gcn_rnn", "gcn_lstm"])
def test_renaming_the_nodes_renames_the_states(name):
    A, x = some_graph(), torch.randn(2, 4, 12, dtype=torch.float64)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(2))

    def last_state(adjacency, inputs):
        model = build(name, Graph(12, adjacency))
        state = model.initial_state(inputs)
        for snapshot in inputs.unbind(1):
            state = model.step(snapshot, state)
        return state[0]

    renamed = last_state(A[order][:, order], x[:, :, order])
    assert torch.allclose(renamed, last_state(A, x)[:, order], atol=1e-13)


@pytest.mark.parametrize("norm", ["layer", "pair"])
def test_norms_equal_those_of_pyg(norm):
    from torch_geometric.nn import LayerNorm, PairNorm

    H = features()
    theirs = PairNorm() if norm == "pair" else LayerNorm(5, affine=False, mode="node")
    for ours, h in zip(normalised(H, norm), H, strict=True):
        assert torch.allclose(ours, theirs(h), atol=1e-14)


def test_a_residual_layer_adds_what_it_was_given():
    plain, residual = node_net("gcn", 2), node_net("gcn", 2, residual=True)
    inputs = with_graph(features(), some_graph())
    before, after = plain.layer_states(inputs)
    assert torch.equal(residual.layer_states(inputs)[0], before), "the first layer changes the width"
    assert torch.allclose(residual.layer_states(inputs)[1], before + after)


def test_time_steps_of_a_sequence_are_the_nodes_of_a_path():
    model = build("gcn", inputs=5)
    X = features()
    node = node_net("gcn")
    assert torch.allclose(model(X), node(with_graph(X, path(X)))[:, -1])


@pytest.mark.parametrize(("name", "cell"), [("gcn_rnn", "rnn"), ("gcn_lstm", "lstm")])
def test_without_the_graph_every_node_is_an_ordinary_cell(name, cell):
    model = build(name, Graph(12, some_graph()), use_graph=False)
    x = torch.randn(2, 6, 12, dtype=torch.float64)
    alone = build(cell, inputs=1)
    state, expected = model.initial_state(x), alone.initial_state(x.flatten(0, 1)[:, :1])
    expected = tuple(part.new_zeros(2 * 12, 5) for part in expected)
    with torch.no_grad():
        alone.layers[0].weight.copy_(model.cells[0].weight)
        alone.layers[0].bias.copy_(model.cells[0].bias)
    for snapshot in x.unbind(1):
        state = model.step(snapshot, state)
        expected = alone.step(snapshot.reshape(-1, 1), expected)
    for got, part in zip(state, expected, strict=True):
        assert torch.allclose(got.flatten(0, 1), part, atol=1e-14)


@pytest.mark.parametrize("name", ["gcn_rnn", "gcn_lstm"])
def test_a_step_goes_through_the_graph_once(name):
    """After t steps a pulse has reached exactly the nodes within t hops of where it was."""
    A = path(torch.zeros(1, 12, 1, dtype=torch.float64))
    model = build(name, Graph(12, A))
    x = torch.zeros(1, 3, 12, dtype=torch.float64, requires_grad=True)
    state = model.initial_state(x)
    for snapshot in x.unbind(1):
        state = model.step(snapshot, state)
    (grad,) = torch.autograd.grad(state[0][0, 0].sum(), x)
    reached = (grad[0] != 0).sum(1).tolist()
    assert reached == [4, 3, 2]


@pytest.mark.parametrize("name", ["gcn_rnn", "gcn_lstm"])
def test_without_memory_only_the_last_snapshot_counts(name):
    model = build(name, Graph(12, some_graph()), use_memory=False)
    x = torch.randn(2, 6, 12, dtype=torch.float64)
    assert torch.equal(model(x), model(x[:, -1:]))
    whole = build(name, Graph(12, some_graph()))
    assert not torch.allclose(whole(x), whole(x[:, -1:]))
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in whole.parameters())


COUNTS = {  # n = 5 units, c = 4 outputs; 5 features and 3 layers, or 12 nodes with one number each
    "gcn": 5 * 6 + 2 * 5 * 6 + 4 * 6,
    "gat": 5 * 6 + 2 * 5 * 6 + 4 * 6 + 3 * 2 * 5,
    "gcn_rnn": 5 * 7 + 4 * (12 * 5 + 1),
    "gcn_lstm": 4 * 5 * 7 + 4 * (12 * 5 + 1),
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name):
    model = node_net(name) if name in ("gcn", "gat") else build(name, Graph(12, some_graph()))
    assert sum(p.numel() for p in model.parameters()) == COUNTS[name]


PAIRS = [
    *((task, model, options) for task in ("karate", "sbm") for model in ("gcn", "gat") for options in [()]),
    ("sbm", "gcn", (("norm", "pair"), ("residual", True))),
    ("karate", "gat", (("norm", "layer"),)),
    *(("graph_signal", model, ()) for model in ("gcn", "gat", "gcn_rnn", "gcn_lstm")),
    ("graph_signal", "gcn_rnn", (("use_graph", False),)),
    ("graph_signal", "gcn_lstm", (("use_memory", False),)),
]


SIZES = [{}, {"hidden_size": 13, "batch_size": 5}, {"batch_size": 1}]


@pytest.mark.parametrize(
    ("pair", "sizes"),
    mostly_contract(itertools.product(PAIRS, SIZES), (("sbm", "gat", ()), SIZES[0])),
)
def test_numbers_are_bit_equal_in_packs_of_1_2_and_8(pair, sizes):
    task, model, options = pair
    sizes = dict(batch_size=8, hidden_size=16) | sizes | ({"batch_size": 1} if task == "karate" else {})
    budget = dict(length=5, optimizer="adam", max_steps=12, observe=0, eval_every=6)
    trials = [
        make_trial(seed, 1e-2, task=task, model=model, options=options, **sizes, **budget)
        for seed in range(8)
    ]
    alone, two, eight = (trained(Pack(tuple(trials[:size])))[0] for size in (1, 2, 8))
    for packed in (two, eight):
        assert torch.equal(end_weights(alone), end_weights(packed))
        assert np.array_equal(alone.curves().loss, packed.curves().loss)
        assert alone.evals == packed.evals


@pytest.mark.parametrize(("name", "rows"), [("gcn_rnn", 1), ("gcn_lstm", 2)])
def test_gradients_through_time_end_at_the_last_step_without_memory(name, rows):
    """With memory they reach the first snapshot."""
    task = tasks.build("graph_signal", {}, length=5)
    for memory in (True, False):
        condition = make_condition(task="graph_signal", model=name, options=(("use_memory", memory),))
        model = build_model(dataclasses.replace(condition, hidden_size=4), task, 0)
        weights, buffers = stack([model])
        moment = Replicas(model, task).moment(weights, buffers, probe_batch(task, "graph_signal", "cpu"))
        profile = gradient_flow(moment).profiles["grad_state"][0].mean(-1)
        assert ((profile > 0).tolist() == [True] * 5) == memory
        assert profile[-1] > 0
        assert (profile[:-1] > 0).any() == memory
