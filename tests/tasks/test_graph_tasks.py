import pytest
import torch
import torch.nn.functional as F

from harness.graphs import propagation
from harness.tasks import heldout_set, tasks
from harness.tasks.graph_signal import fixed_graph
from harness.tasks.karate import club


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_karate_is_the_club_of_pyg():
    from torch_geometric.datasets import KarateClub

    data = KarateClub()[0]
    inputs, targets = tasks.build("karate", {}, length=2).draw(generator(), 1)
    assert torch.equal(inputs[0, :, :34], torch.eye(34))
    assert torch.equal(inputs[0, :, 34:].nonzero().T, data.edge_index)
    assert torch.equal(targets[0] >= 0, data.train_mask)
    assert torch.equal(targets[0][data.train_mask], data.y[data.train_mask])


def test_every_member_of_the_club_is_in_one_split_under_its_community():
    from torch_geometric.datasets import KarateClub

    each = torch.stack([club()[1][name] for name in ("train", "validation", "test")])
    assert ((each >= 0).sum(0) == 1).all()
    assert torch.equal(each.max(0).values, KarateClub()[0].y)
    assert (each >= 0).sum(1).tolist() == [4, 11, 19]
    assert [torch.bincount(row[row >= 0], minlength=4).tolist() for row in each] == [
        [1, 1, 1, 1],
        [4, 4, 1, 2],
        [8, 7, 2, 2],
    ]


def test_spreading_the_labels_of_the_club_names_16_of_19():
    """The baseline of the docstring."""
    inputs, targets = club()
    known = targets["train"] >= 0
    labels = torch.where(known[:, None], F.one_hot(targets["train"].clamp(min=0), 4).float(), 0.0)
    spread = labels
    for _ in range(10):
        spread = torch.where(known[:, None], labels, propagation(inputs[:, 34:]) @ spread)
    assert (spread.argmax(1) == targets["test"]).sum() == 16


def test_loss_and_score_are_of_the_asked_nodes_alone():
    task = tasks.build("karate", {}, length=2)
    _, targets = task.draw(generator(), 1)
    known = targets[0] >= 0
    outputs = torch.randn(1, 34, 4, generator=generator())
    expected = F.cross_entropy(outputs[0][known], targets[0][known])
    assert task.loss(outputs, targets).item() == pytest.approx(expected.item(), rel=1e-6)
    right = (outputs[0][known].argmax(1) == targets[0][known]).float().mean()
    assert task.score(outputs, targets).item() == right


def test_block_models_have_equal_communities_in_random_order_and_features_around_them():
    task = tasks.build("sbm", {"noise": 0.5}, length=2)
    inputs, labels = task.draw(generator(), 200)
    assert inputs.shape == (200, 40, 44)
    assert all(torch.bincount(row).tolist() == [10] * 4 for row in labels)
    assert abs((labels[:, 0] == 0).float().mean() - 0.25) < 0.1
    residual = inputs[..., :4] - F.one_hot(labels, 4)
    assert residual.mean().item() == pytest.approx(0, abs=0.01)
    assert residual.std().item() == pytest.approx(0.5, rel=0.02)
    same = labels.unsqueeze(1) == labels.unsqueeze(2)
    links = inputs[..., 4:]
    assert (links * same).sum() / links.sum() == pytest.approx(0.8, abs=0.01)


def test_who_does_not_see_the_links_is_right_for_55_percent_of_the_nodes():
    inputs, labels = heldout_set(tasks.build("sbm", {}, length=2), "sbm", "test", 20_000)
    assert (inputs[..., :4].argmax(-1) == labels).float().mean().item() == pytest.approx(0.55, abs=0.01)


def test_the_graph_of_the_signal_depends_on_options_alone():
    one, other = (tasks.build("graph_signal", {}, length=length).graph for length in (3, 9))
    assert torch.equal(one.adjacency_NN, other.adjacency_NN)
    assert not torch.equal(one.adjacency_NN, fixed_graph(48, 0.8, 8.0))


@pytest.mark.parametrize("split", ["validation", "test", "probe"])
@pytest.mark.parametrize("length", [2, 5, 12])
def test_who_knows_the_communities_and_the_first_snapshot_is_right(length, split):
    task = tasks.build("graph_signal", {}, length=length)
    inputs, first = heldout_set(task, "graph_signal", split)
    assert torch.equal(inputs[:, 0].argmax(1) % 4, first)


def test_the_last_snapshot_shows_the_second_source_and_hides_the_first():
    """The mean snapshot of each community, as a template, is hardly better than leaving out the second."""
    inputs, first = heldout_set(tasks.build("graph_signal", {}, length=12), "graph_signal", "test", 20_000)
    halves = [(inputs[:10_000, -1], first[:10_000]), (inputs[10_000:, -1], first[10_000:])]
    means = torch.stack([halves[0][0][halves[0][1] == label].mean(0) for label in range(4)])
    guess = ((halves[1][0][:, None] - means) ** 2).sum(-1).argmin(1)
    assert (guess == halves[1][1]).float().mean() < 0.45


def test_sources_take_turns():
    """Which nodes are ever brightest in the first snapshot: thirds that do not meet, in every community."""
    task = tasks.build("graph_signal", {}, length=4)
    train = set(task.draw(generator(), 5_000)[0][:, 0].argmax(1).tolist())
    seen = {
        split: set(heldout_set(task, "graph_signal", split)[0][:, 0].argmax(1).tolist())
        for split in ("validation", "test", "probe")
    }
    assert train == seen["probe"]
    assert len(train) == len(seen["validation"]) == len(seen["test"]) == 16
    assert len(train | seen["validation"] | seen["test"]) == 48


def test_half_of_the_signal_is_lost_at_each_snapshot_and_a_second_source_follows_once():
    task = tasks.build("graph_signal", {"noise": 0.0}, length=6)
    inputs, first = task.draw(generator(), 500)
    total = inputs.sum(-1)
    late = ((total[:, 1:] - total[:, :-1] / 2) > 0.5).nonzero()
    assert torch.allclose(total[:, 1:] - total[:, :-1] / 2, F.one_hot(late[:, 1], 5).float(), atol=1e-5)
    assert torch.equal(late[:, 0], torch.arange(500))
    assert set(late[:, 1].tolist()) == set(range(5))
    lit = inputs[torch.arange(500), late[:, 1] + 1].argmax(1) % 4
    assert (lit != first).all()


def test_a_signal_of_one_snapshot_is_refused():
    from harness.errors import UserError

    with pytest.raises(UserError, match="lengths=1 is too short"):
        tasks.build("graph_signal", {}, length=1)
