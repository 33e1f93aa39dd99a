import math

import pytest
import torch

from harness.tasks import Stream, heldout_set, tasks

LENGTHS = [2, 5, 8, 11]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def digits_of(inputs: torch.Tensor) -> torch.Tensor:
    return inputs.argmax(-1) if inputs.shape[-1] > 1 else inputs[..., 0].long()


@pytest.mark.parametrize("encoding", ["one_hot", "scalar"])
@pytest.mark.parametrize("length", LENGTHS)
def test_palindromes_mirror_their_left_half_and_the_label_is_the_first_digit(length, encoding):
    task = tasks.build("palindrome", {"encoding": encoding}, length=length)
    inputs, targets = task.draw(generator(), 200)
    assert inputs.shape == (200, length - 1, task.input_size)
    assert inputs.dtype == torch.float32
    whole = torch.cat([digits_of(inputs), targets[:, None]], dim=1)
    assert torch.equal(whole, whole.flip(1))
    assert torch.equal(targets, whole[:, 0])


@pytest.mark.parametrize("length", [4, 8, 20])
def test_even_palindromes_leave_the_alternating_sum_as_a_shortcut_and_the_control_closes_it(length):
    task = tasks.build("palindrome", {}, length=length)
    signs = torch.tensor([(-1) ** t for t in range(length - 1)])
    for split, exact in (("test", True), ("control", False)):
        inputs, targets = task.draw_heldout(generator(), 500, split)
        share = ((digits_of(inputs) * signs).sum(1) == targets).float().mean()
        assert (share == 1) == exact
        assert torch.equal(digits_of(inputs)[:, 0], targets)


def test_control_digits_are_independent_of_their_mirror():
    task = tasks.build("palindrome", {}, length=10)
    inputs, _ = task.draw_heldout(generator(), 20_000, "control")
    agree = (digits_of(inputs)[:, 1] == digits_of(inputs)[:, 8]).float().mean()
    assert abs(agree - 0.1) < 0.01


def test_palindrome_loss_at_chance_is_log_10_and_known_levels_hold():
    task = tasks.build("palindrome", {}, length=5)
    assert task.baseline_loss == pytest.approx(2.302585, abs=1e-6)
    assert (task.chance, task.solved_at, task.drop_at, task.recovered_at) == (0.1, 0.99, 0.90, 0.98)


@pytest.mark.parametrize("name", tasks.names())
class TestEveryTask:
    def test_a_constant_output_has_the_baseline_loss_and_chance_score(self, name):
        task = tasks.build(name, {}, length=10)
        _, targets = task.draw(generator(), 5_000)
        outputs = torch.zeros(*targets.shape, task.output_size)
        assert task.loss(outputs, targets).mean() == pytest.approx(task.baseline_loss, rel=0.02)
        assert task.score(outputs, targets).mean() == pytest.approx(task.chance, abs=0.02)

    def test_loss_and_score_are_per_sequence(self, name):
        task = tasks.build(name, {}, length=10)
        _, targets = task.draw(generator(), 7)
        outputs = torch.randn(*targets.shape, task.output_size, generator=generator())
        assert task.loss(outputs, targets).shape == task.score(outputs, targets).shape == (7,)

    def test_held_out_sets_are_fixed_and_distinct(self, name):
        task = tasks.build(name, {}, length=10)
        one, again, other = (heldout_set(task, name, split) for split in ("test", "test", "validation"))
        assert torch.equal(one[0], again[0])
        assert not torch.equal(one[1], other[1])
        assert (one[1] >= 0).sum() >= (11 if getattr(task, "full_batch", False) else 2_000)

    def test_a_stream_is_a_function_of_its_seed_and_leaves_global_state_alone(self, name):
        task = tasks.build(name, {}, length=10)
        before = torch.get_rng_state()
        first, second, other = (Stream(task, name, 4, seed, "cpu") for seed in (0, 0, 1))
        batches = [(first.next()[0], second.next()[0], other.next()[0]) for _ in range(25)]
        assert all(torch.equal(a, b) for a, b, _ in batches)
        assert torch.equal(before, torch.get_rng_state())
        if getattr(task, "full_batch", False):
            return
        assert not any(torch.equal(a, c) for a, _, c in batches)
        assert len({tuple(a.flatten().tolist()) for a, _, _ in batches}) == 25

    def test_levels_are_in_order(self, name):
        task = tasks.build(name, {}, length=10)
        assert task.drop_at < task.recovered_at <= 1
        assert task.chance < task.drop_at < task.solved_at
        assert math.isfinite(task.baseline_loss)
