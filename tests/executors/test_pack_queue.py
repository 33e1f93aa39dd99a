"""What the queue does with packs that come back, that are lost, and that nobody can train. No Ray."""

import threading

import pytest

from harness.condition import Checkpoint
from harness.executors.base import Failure
from harness.executors.pack_queue import NODES_LOST, TRIES, TRIES_ALONE, PackQueue
from tests.executors.naps import Crowd, Crowds, Nap, Naps

GONE = Failure("gone", "gone")


def served(source, *workers, slots=2):
    """Serve the source with a thread for each of these, which gets the queue; the queue when all is over."""
    queue = PackQueue(source, lambda: slots)
    threads = [threading.Thread(target=worker, args=(queue,), daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        queue.serve()
    finally:
        queue.close()
        for thread in threads:
            thread.join(5)
            assert not thread.is_alive()
    return queue


def trains(queue):
    while (pack := queue.take()) is not None:
        queue.hand_back(pack, [])


def test_every_pack_comes_back_once_and_the_source_hears_of_it_in_the_thread_that_serves():
    here = threading.current_thread()
    source = Naps([Nap(n) for n in range(100)], lambda _: heard.append(threading.current_thread()))
    heard = []
    served(source, trains, trains)
    assert sorted(source.rested) == list(range(100))
    assert set(heard) == {here}


def losing(tries, lose=lambda queue, pack: queue.lose(pack, GONE)):
    """A worker that pack 4 ends each time."""

    def worker(queue):
        while (pack := queue.take()) is not None:
            if 4 in pack.trials:
                tries.append(pack)
                lose(queue, pack)
            else:
                queue.hand_back(pack, [])

    return worker


def test_a_trial_that_loses_its_workers_is_tried_a_few_times_and_no_other_is_lost():
    source, tries = Naps([Nap(n) for n in range(10)]), []
    served(source, losing(tries))
    assert len(tries) == TRIES_ALONE
    assert source.failures == {4: GONE}
    assert len(source.rested) == 9


def test_a_pack_that_loses_its_workers_is_divided_until_the_trial_at_fault_is_alone():
    source, tries = Crowds([Crowd(tuple(range(10)))]), []
    served(source, losing(tries))
    assert source.failures.keys() == {(4,)}
    assert sorted(n for trials in source.rested for n in trials) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    sizes = [len(pack.trials) for pack in tries]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes.count(10) == TRIES
    assert sizes.count(1) <= TRIES_ALONE


def test_a_pack_that_took_too_much_memory_is_divided_at_once():
    source, tries = Crowds([Crowd(tuple(range(10)))]), []
    served(source, losing(tries, lambda queue, pack: queue.lose(pack, Failure("full", "full", True))))
    assert [len(pack.trials) for pack in tries] == [10, 5, 1] or [len(p.trials) for p in tries] == [
        10,
        5,
        3,
        2,
        1,
    ]
    assert source.failures.keys() == {(4,)}


def test_a_pack_whose_nodes_go_away_is_tried_again_and_again_but_not_for_ever():
    source, tries = Naps([Nap(n) for n in range(10)]), []
    served(source, losing(tries, lambda queue, pack: queue.lose(pack, GONE, node_lost=True)))
    assert len(tries) == NODES_LOST
    assert source.failures == {4: GONE}


def test_a_pack_that_comes_further_each_time_has_all_its_tries_again():
    source, tries = Naps([Nap(n) for n in range(10)]), []

    def further(queue, pack):
        step = min(len(tries), 20)
        queue.keep(pack, Checkpoint({}, {"step": step}))
        queue.lose(pack, GONE)

    served(source, losing(tries, further))
    assert len(tries) == 20 + TRIES - 1, "until it comes no further"


def test_a_pack_is_tried_again_by_another_worker_while_the_others_go_on():
    source = Naps([Nap(n) for n in range(10)])
    died = threading.Event()

    def dies(queue):
        queue.lose(queue.take(), GONE)
        died.set()

    def goes_on(queue):
        died.wait(5)
        trains(queue)

    served(source, dies, goes_on)
    assert sorted(source.rested) == list(range(10))


def test_where_no_worker_can_be_started_every_pack_has_failed_also_those_to_come():
    source = Naps([Nap(n) for n in range(5)])
    served(source, lambda queue: queue.no_workers(GONE))
    assert source.failures == dict.fromkeys(range(5), GONE)


def test_no_more_packs_are_asked_for_than_there_are_workers():
    source = Naps([Nap(n) for n in range(5)])
    queue = PackQueue(source, lambda: 2)
    queue.fill()
    assert queue.useful() == 2
    queue.take()
    queue.fill()
    assert queue.useful() == 3, "one is trained, and two are ready"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_the_source_raises_ends_the_run(error):
    def full(_):
        raise error

    with pytest.raises(type(error)):
        served(Naps([Nap(n) for n in range(5)], full), trains)


def test_what_the_workers_run_on_breaks_down_and_the_run_ends():
    with pytest.raises(ConnectionError, match="away"):
        served(Naps([Nap(0)]), lambda queue: queue.break_down(ConnectionError("away")))


def test_a_source_that_waits_for_nothing_is_an_error_and_not_a_wait():
    class Stuck(Naps):
        finished = False

    with pytest.raises(RuntimeError, match="none are out"):
        served(Stuck([]), trains)
