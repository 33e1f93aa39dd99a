import math
import re

import pytest
import torch
import torch.nn.functional as F

from harness.capabilities import asked_by, draws_digits
from harness.errors import UserError
from harness.tasks import Stream, heldout_set, step_losses, tasks
from harness.tasks.digits import part_of, split_images
from tests.trials import make_task

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


def test_adding_targets_are_the_sum_of_the_two_marked_values_one_in_each_half():
    task = tasks.build("adding", {}, length=7)
    inputs, targets = task.draw(generator(), 500)
    assert inputs.shape == (500, 7, 2)
    places = set()
    for row, target in zip(inputs, targets, strict=True):
        marked = [t for t in range(7) if row[t, 1] == 1]
        first, second = marked
        assert first < 3 <= second
        assert target.item() == pytest.approx(sum(row[t, 0].item() for t in marked))
        places |= set(marked)
    assert places == set(range(7))
    assert 0 <= inputs.min() < 0.01 < 0.99 < inputs[..., 0].max() < 1


@pytest.mark.parametrize(("error", "score"), [(0.0, 1.0), (0.1, 0.94), (6**-0.5, 0.0), (1.0, -5.0)])
def test_adding_scores_one_minus_the_squared_error_over_a_sixth(error, score):
    """Solved from a mean squared error of .01."""
    task = tasks.build("adding", {}, length=10)
    targets = torch.tensor([0.3, 1.7])
    found = task.score(targets[:, None] + error, targets)
    assert found.tolist() == pytest.approx([score, score], abs=1e-5)
    assert (task.baseline_loss, task.solved_at, task.drop_at) == (1 / 6, 0.94, 0.5)


def test_copy_repeats_its_ten_symbols_after_the_marker():
    inputs, targets = tasks.build("copy", {}, length=4).draw(generator(), 50)
    assert inputs.shape == (50, 24, 10)
    for tokens, answer in zip(inputs.argmax(-1).tolist(), targets.tolist(), strict=True):
        symbols = tokens[:10]
        assert max(symbols) <= 7
        assert tokens == [*symbols, 8, 8, 8, 9, *[8] * 10]
        assert answer == [*[8] * 14, *symbols]


@pytest.mark.parametrize(("length", "loss"), [(20, 0.51986), (50, 0.29706), (100, 0.17329)])
def test_the_loss_of_copying_without_memory_is_known(length, loss):
    """10 ln 8 / (T + 20)."""
    task = tasks.build("copy", {}, length=length)
    _, targets = task.draw(generator(), 3)
    assert task.baseline_loss == pytest.approx(loss, abs=5e-6)
    assert task.loss(without_memory(targets), targets).tolist() == pytest.approx([loss] * 3, abs=5e-6)


def test_copy_scores_the_ten_recalled_symbols_only():
    task = tasks.build("copy", {}, length=20)
    _, targets = task.draw(generator(), 1)
    wrong = targets.clone()
    wrong[:, :30] = 0
    wrong[:, 30] = (wrong[:, 30] + 1) % 8
    assert task.score(oracle(task, wrong), targets).item() == pytest.approx(0.9)


def test_parity_flips_with_every_one():
    inputs, targets = tasks.build("parity", {}, length=9).draw(generator(), 50)
    assert inputs.shape == (50, 9, 1)
    for bits, parities in zip(inputs[..., 0].int().tolist(), targets.tolist(), strict=True):
        assert parities == [sum(bits[: t + 1]) % 2 for t in range(9)]


def test_recall_asks_for_every_key_once_and_the_answer_is_the_value_after_it():
    task = tasks.build("recall", {"vocabulary": 12, "pairs": 3}, length=13)
    inputs, targets = task.draw(generator(), 200)
    assert inputs.shape == (200, 13, 13)
    asked_at = set()
    for tokens, answers in zip(inputs.argmax(-1).tolist(), targets.tolist(), strict=True):
        keys, values = tokens[0:6:2], tokens[1:6:2]
        assert all(key < 6 for key in keys)
        assert all(6 <= value < 12 for value in values)
        value_of = dict(zip(keys, values, strict=True))
        rest = [(t, token) for t, token in enumerate(tokens) if t >= 6 and token != 12]
        assert sorted(token for _, token in rest) == sorted(value_of)
        expected = {t: value_of[key] - 6 for t, key in rest}
        assert answers == [expected.get(t, -1) for t in range(13)]
        asked_at |= {t for t, _ in rest}
    assert asked_at == set(range(6, 13))


def test_recall_averages_over_the_queries_only():
    task = tasks.build("recall", {}, length=30)
    _, targets = task.draw(generator(), 5)
    outputs = torch.zeros(5, 30, 8)
    assert task.loss(outputs, targets).tolist() == pytest.approx([math.log(8)] * 5)
    assert task.score(oracle(task, targets), targets).tolist() == [1.0] * 5


REFUSED = [
    ("adding", 1, {}, "lengths=1 is too short"),
    ("recall", 11, {}, "lengths=11 is too short: 4 pairs .* at least 12"),
    ("recall", 20, {"vocabulary": 7}, "vocabulary=7 is not allowed; expected an even number"),
    ("recall", 40, {"pairs": 9}, "pairs=9 is not allowed; expected 1 to 8"),
    (
        "digits",
        10,
        {},
        "lengths=10 does not fit .* order=rows; known: 8 with order=rows, 64 with order=pixels",
    ),
    ("digits", 8, {"order": "pixels"}, "lengths=8 does not fit .* order=pixels; known: 8 with order=rows"),
]


@pytest.mark.parametrize(("name", "length", "options", "said"), REFUSED)
def test_lengths_and_options_that_do_not_fit_are_refused(name, length, options, said):
    with pytest.raises(UserError, match=said):
        tasks.build(name, options, length=length)


def test_digits_are_read_in_their_order_and_match_their_labels():
    from sklearn.datasets import load_digits

    source = load_digits()
    known = {tuple(image.flatten()): label for image, label in zip(source.images, source.target, strict=True)}
    for order, shape in (("rows", (8, 8)), ("pixels", (64, 1))):
        inputs, labels = tasks.build("digits", {"order": order}, length=shape[0]).draw(generator(), 20)
        assert inputs.shape == (20, *shape)
        images = (16 * inputs).flatten(1).tolist()
        assert [known[tuple(image)] for image in images] == labels.tolist()


def test_digits_split_keeps_the_shares_of_the_digits_and_uses_every_image_once():
    parts = split_images()
    counts = {name: labels.bincount() for name, (_, labels) in parts.items()}
    assert {name: int(count.sum()) for name, count in counts.items()} == {
        "train": 1085, "validation": 357, "test": 355,
    }  # fmt: skip
    whole = sum(counts.values())
    assert whole.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    for name, share in (("train", 0.6), ("validation", 0.2), ("test", 0.2)):
        assert (counts[name] - share * whole).abs().max() < 1.5
    assert part_of(torch.tensor([0, 1, 0, 0, 0, 0, 1, 0])).tolist() == [0, 0, 0, 0, 1, 2, 0, 0]


def test_no_image_that_tests_or_validates_is_trained_on():
    task = make_task("digits")
    drawn = {tuple(image.flatten().tolist()) for image in task.draw(generator(), 20_000)[0]}
    assert len(drawn) == 1085, "every image of the training part, and no other"
    kept = [
        {tuple(image.flatten().tolist()) for image in heldout_set(task, "digits", split, 64)[0]}
        for split in ("validation", "test", "probe")
    ]
    assert [len(images) for images in kept] == [357, 355, 64]
    assert not drawn & (kept[0] | kept[1])
    assert not kept[0] & kept[1]
    assert kept[2] < kept[0], "probed are some of the validation images"


def test_step_losses_are_zero_where_there_is_no_target():
    outputs = torch.zeros(2, 3, 4)
    targets = torch.tensor([[0, -1, 3], [-1, -1, -1]])
    expected = [[math.log(4), 0, math.log(4)], [0, 0, 0]]
    assert torch.allclose(step_losses(outputs, targets), torch.tensor(expected))


def outputs_like(task, inputs: torch.Tensor) -> tuple[int, ...]:
    """Shape of what a model answers."""
    steps = inputs.shape[1:2] if task.every_step else ()
    return (len(inputs), *steps, task.output_size)


def oracle(task, targets: torch.Tensor) -> torch.Tensor:
    """The right answers: numbers as they are, classes as certain logits."""
    if targets.is_floating_point():
        return targets[..., None]
    return 100 * F.one_hot(targets.clamp(min=0), task.output_size).float()


def without_memory(targets: torch.Tensor) -> torch.Tensor:
    """Copying: blanks, until the last ten steps guess evenly among the eight symbols."""
    outputs = torch.zeros(*targets.shape, 9)
    outputs[:, :-10, 8] = 100
    outputs[:, -10:, 8] = -100
    return outputs


def frequencies(targets: torch.Tensor) -> torch.Tensor:
    """Text: how often each character comes in the training part, whatever came before."""
    task = make_task("text")
    counts = torch.bincount(task.data.parts["train"], minlength=task.output_size)
    return counts.clamp(min=1e-3).log().expand(*targets.shape, -1)


BEST_BLIND = {
    "adding": lambda targets: torch.ones(len(targets), 1),
    "copy": without_memory,
    "text": frequencies,
}
"""Best answers that ignore the input; equal logits where a task is not named."""


HELDOUT = {"digits": 355, "karate": 1, "sbm": 50}
"""Sequences in the test set where they are not 2,000: images, one graph, and graphs of 40 nodes each."""


@pytest.mark.parametrize("name", tasks.names())
class TestEveryTask:
    def test_the_best_answer_that_ignores_the_input_has_the_baseline_loss_and_chance_score(self, name):
        task = make_task(name)
        inputs, targets = task.draw(generator(), 5_000 if hasattr(task, "graph") else 20_000)
        outputs = BEST_BLIND[name](targets) if name in BEST_BLIND else torch.zeros(outputs_like(task, inputs))
        assert task.loss(outputs, targets).mean() == pytest.approx(task.baseline_loss, rel=0.02)
        assert task.score(outputs, targets).mean() == pytest.approx(task.chance, abs=0.02)

    def test_the_right_answer_scores_one_and_has_no_loss(self, name):
        task = make_task(name)
        _, targets = task.draw(generator(), 100)
        outputs = oracle(task, targets)
        assert task.score(outputs, targets).tolist() == pytest.approx([1.0] * 100)
        assert task.loss(outputs, targets).tolist() == pytest.approx([0.0] * 100, abs=1e-6)

    def test_inputs_have_the_stated_size_and_loss_and_score_are_per_sequence(self, name):
        task = make_task(name)
        inputs, targets = task.draw(generator(), 7)
        assert (len(inputs), inputs.shape[-1]) == (7, task.input_size)
        outputs = torch.randn(outputs_like(task, inputs), generator=generator())
        assert task.loss(outputs, targets).shape == task.score(outputs, targets).shape == (7,)

    def test_held_out_sets_are_fixed_and_distinct(self, name):
        task = make_task(name)
        one, again, other = (heldout_set(task, name, split) for split in ("test", "test", "validation"))
        assert torch.equal(one[0], again[0])
        assert torch.equal(one[1], again[1])
        assert not torch.equal(one[1], other[1])
        assert len(one[0]) == len(one[1]) == HELDOUT.get(name, 2_000)

    def test_a_stream_is_a_function_of_its_seed_and_leaves_global_state_alone(self, name):
        task = make_task(name)
        before = torch.get_rng_state()
        first, second, other = (Stream(task, name, 4, seed, "cpu") for seed in (0, 0, 1))
        batches = [(first.next()[0], second.next()[0], other.next()[0]) for _ in range(25)]
        assert all(torch.equal(a, b) for a, b, _ in batches)
        assert torch.equal(before, torch.get_rng_state())
        if getattr(task, "full_batch", False):
            return
        assert not any(torch.equal(a, c) for a, _, c in batches)
        assert len({tuple(a.flatten().tolist()) for a, _, _ in batches}) == 25

    def test_digits_are_the_places_of_one_hot_inputs(self, name):
        task = make_task(name)
        if not draws_digits(task):
            inputs, _ = task.draw(torch.Generator().manual_seed(3), 20)
            one_hot = inputs.dim() == 3 and inputs.shape[2] > 1 and bool((inputs.sum(-1) == 1).all())
            assert not (one_hot and set(inputs.unique().tolist()) <= {0.0, 1.0}), (
                "draw_digits would be faster"
            )
            return
        plain, digits = (Stream(task, name, 4, 0, "cpu", digits) for digits in (False, True))
        for most in (3, 10, 2, 10):
            (inputs, targets), (places, same) = plain.take(most), digits.take(most)
            assert places.dtype == torch.int32
            assert torch.equal(F.one_hot(places.long(), task.input_size).float(), inputs)
            assert torch.equal(same, targets)

    def test_it_says_what_it_asks_and_what_its_score_is(self, name):
        said = asked_by(make_task(name))
        assert "score is" in said and said.endswith(".") and len(said) < 130
        assert re.search(r"\bT\b", said)

    def test_levels_are_in_order(self, name):
        task = make_task(name)
        assert task.chance <= task.drop_at < task.recovered_at <= 1
        assert task.drop_at < task.solved_at <= 1
        assert 0 < task.baseline_loss < math.inf
