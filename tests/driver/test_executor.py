import math

import pytest

from harness import load_space
from harness.driver.preflight import SHORT, choose_executor
from harness.driver.sizes import check_size

ANYWHERE = dict(executor="auto", workers=None, address=None)


@pytest.mark.parametrize(("space", "executor"), [("smoke", "serial"), ("clipping_study", "ray")])
def test_a_run_of_seconds_trains_in_this_process_and_a_longer_one_on_ray(space, executor):
    space = load_space(space)
    assert choose_executor("auto", space, check_size(space, **ANYWHERE), elsewhere=False) == executor


def test_what_was_asked_for_is_done():
    space = load_space("smoke")
    assert choose_executor("ray", space, 0.0, elsewhere=False) == "ray"
    assert choose_executor("serial", space, math.inf, elsewhere=False) == "serial"
    assert choose_executor("auto", space, 0.0, elsewhere=True) == "ray", "workers or an address were given"
    assert choose_executor("auto", space, SHORT, elsewhere=False) == "ray"


def test_a_class_of_the_users_own_trains_in_a_process_apart():
    own = load_space("smoke").override({"models": ("tests.executors.paced:Paced",)})
    assert choose_executor("auto", own, 0.0, elsewhere=False) == "ray"


def test_what_is_not_counted_is_not_short():
    assert check_size(load_space("smoke"), yes=True, **ANYWHERE) == math.inf
