import math
import shutil

import pytest

from analysis import compare
from analysis.load import load
from harness.condition import Outcome
from harness.planning.space import Space
from tests.folders import TUNED, a_result, make_folder, with_rate
from tests.trials import make_trial

S, U, D = Outcome.STABLE, Outcome.UNSOLVED, Outcome.DIVERGED


def folder(tmp_path, name: str, ends: dict[int, list[Outcome]], first_seed: int = 0):
    """Outcomes by length, one seed each."""
    space = Space(**TUNED | {"lengths": tuple(ends)}, learning_rate=(0.1,), seeds=8)
    results = [
        with_rate(a_result(make_trial(first_seed + i, 0.1, length=length), outcome, final_loss=loss(outcome)))
        for length, outcomes in ends.items()
        for i, outcome in enumerate(outcomes)
    ]
    return make_folder(tmp_path / name, space, results)


def loss(outcome: Outcome) -> float:
    return {S: 0.0, U: 2.0, D: math.nan}[outcome]


def test_differences_are_paired_by_seed(tmp_path):
    """At T = 5 six seeds of eight turn unsolved, none the other way: McNemar's p is 2 / 2^6."""
    a = folder(tmp_path, "a", {5: [S] * 8, 9: [S, U, D]})
    b = folder(tmp_path, "b", {5: [U] * 6 + [S] * 2, 9: [S, U, D]})
    found = compare.table(load(a), load(b)).frame.set_index("length")
    assert (found.loc[5, "matched"], found.loc[5, "same"]) == (8, 2)
    assert (found.loc[5, "stable_a"], found.loc[5, "stable_b"]) == (8, 2)
    assert found.loc[5, "solved_difference"] == -0.75
    assert found.loc[5, "solved_low"] < -0.75 < found.loc[5, "solved_high"] < 0
    assert found.loc[5, "solved_p"] == pytest.approx(2 / 64)
    assert found.loc[5, "solved_p_holm"] == pytest.approx(4 / 64), "of two conditions"
    assert (found.loc[9, "same"], found.loc[9, "solved_p"]) == (3, 1.0), "NaN is the same as NaN"


def test_the_exit_code_says_whether_the_change_is_within_the_tolerance(tmp_path, capsys):
    a = folder(tmp_path, "a", {5: [S] * 8})
    b = folder(tmp_path, "b", {5: [S] * 7 + [U]})
    assert compare.main([str(a), str(b)]) == 1
    said = capsys.readouterr().out
    assert "P(stable) changed by -0.1250: more than 0" in said
    assert "7 of 8 pairs of trials are the same to the bit" in said
    assert compare.main([str(a), str(b), "--tolerance", "0.2"]) == 0


def test_results_are_the_same_as_themselves(tmp_path, capsys):
    a = folder(tmp_path, "a", {5: [S, U, D]})
    shutil.copytree(a, tmp_path / "b")
    assert compare.main([str(a), str(tmp_path / "b")]) == 0
    assert "3 of 3 pairs of trials are the same to the bit" in capsys.readouterr().out


def test_nothing_to_compare_is_said(tmp_path, capsys):
    a = folder(tmp_path, "a", {5: [S]})
    assert compare.main([str(a), str(folder(tmp_path, "b", {5: [S]}, first_seed=4))]) == 2
    assert "no condition has a report trial of the same seed in both" in capsys.readouterr().err
    assert compare.main([str(a), str(tmp_path / "nowhere")]) == 2
    assert "holds no results" in capsys.readouterr().err


def test_conditions_of_one_side_only_are_counted(tmp_path, capsys):
    a, b = folder(tmp_path, "a", {5: [S], 9: [S]}), folder(tmp_path, "b", {5: [S], 7: [S], 8: [S]})
    assert compare.main([str(a), str(b)]) == 1
    said = capsys.readouterr().out
    assert "1 conditions in both, 1 only in A, 2 only in B" in said
    assert "3 report trials are in one of them only" in said
    assert compare.main([str(a), str(b), "--allow-missing"]) == 0


@pytest.mark.parametrize("tolerance", ["nan", "-0.1", "5", "x"])
def test_a_tolerance_is_a_share(tmp_path, capsys, tolerance):
    a = str(folder(tmp_path, "a", {5: [S]}))
    with pytest.raises(SystemExit) as ended:
        compare.main([a, a, "--tolerance", tolerance])
    assert ended.value.code == 2
    assert "--tolerance" in capsys.readouterr().err
