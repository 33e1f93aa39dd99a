"""When a worker is started, and what becomes of one that died. No Ray: workers are functions here."""

import threading

import pytest

from harness.executors import slots
from harness.executors.base import Failure
from harness.executors.pack_queue import PackQueue
from harness.executors.slots import Slots, WorkerLost
from tests.executors.naps import Nap, Naps

BROKEN = Failure("broken", "broken")


def made(source, limit=2, train=lambda worker, pack: [], alive=lambda worker: True):
    queue = PackQueue(source, lambda: limit)
    return Slots(queue, lambda: limit, lambda: limit, train, alive, lambda worker: None)


def opened(slots, names="abcdefgh"):
    """Those of these workers that are asked for."""
    return [name for name in names if slots.open(name)]


def test_as_many_workers_are_asked_for_as_there_are_places_and_packs():
    few, many = made(Naps([Nap(0)])), made(Naps([Nap(n) for n in range(9)]))
    for one in (few, many):
        one.queue.fill()
    assert opened(few) == ["a"]
    assert opened(many) == ["a", "b"]
    many.up("a", "worker")
    assert opened(many) == []


def test_a_place_that_cannot_start_a_worker_three_times_is_given_up_and_with_the_last_all_packs_fail():
    source = Naps([Nap(n) for n in range(9)])
    mine = made(source)
    mine.queue.fill()
    for name in "abcdef":
        assert mine.open(name)
        mine.failed_to_start(name, BROKEN)
    assert not mine.open("g")
    mine.queue.serve()
    assert source.failures == dict.fromkeys(range(9), BROKEN)


def test_a_worker_that_is_up_gives_every_place_its_tries_again():
    over = threading.Event()
    mine = made(Naps([Nap(n) for n in range(9)]), train=lambda worker, pack: over.wait(5))
    mine.queue.fill()
    for name in "abcde":
        mine.open(name)
        mine.failed_to_start(name, BROKEN)
    mine.open("f")
    mine.up("f", "worker")
    assert opened(mine) == ["a"]
    over.set()
    mine.close()


def test_workers_that_died_while_they_were_idle_cost_a_pack_no_try(monkeypatch):
    monkeypatch.setattr(slots, "IDLE", -1)
    source = Naps([Nap(0)])
    mine = made(
        source, limit=5, train=lambda worker, pack: worker(pack), alive=lambda worker: worker is not None
    )
    for number in range(5):
        mine.up(str(number), None)
    mine.up("last", lambda pack: [])
    serving = threading.Thread(target=mine.queue.serve, daemon=True)
    serving.start()
    serving.join(5)
    assert list(source.rested) == [0]
    mine.close()


def test_a_worker_that_is_lost_is_gone_and_leaves_its_place():
    def train(worker, pack):
        raise WorkerLost(BROKEN)

    mine = made(Naps([Nap(0)]), limit=1, train=train)
    mine.queue.fill()
    mine.open("a")
    mine.up("a", "worker")
    assert mine.changed.wait(5)
    assert mine.gone == {"a"}
    assert opened(mine) == ["a"]


def test_any_other_fault_of_a_thread_ends_the_run():
    def train(worker, pack):
        raise ConnectionError("away")

    mine = made(Naps([Nap(0)]), train=train)
    mine.up("a", "worker")
    with pytest.raises(ConnectionError, match="away"):
        mine.queue.serve()
    mine.close()


def test_a_worker_that_stays_without_a_pack_gives_its_place_back_while_the_other_trains(monkeypatch):
    monkeypatch.setattr("harness.executors.pack_queue.LINGER", 0.05)
    over, training = threading.Event(), []

    def train(worker, pack):
        training.append(worker)
        assert over.wait(5)
        return []

    mine = made(Naps([Nap(0)]), train=train)
    mine.queue.fill()
    mine.up("a", "a")
    mine.up("b", "b")
    assert mine.changed.wait(5)
    assert {*training, *mine.gone} == {"a", "b"}
    assert mine.counts() == (1, 0)
    over.set()
    mine.close()


def test_a_worker_that_is_not_up_when_there_is_nothing_left_for_it_is_given_up(monkeypatch):
    monkeypatch.setattr("harness.executors.pack_queue.LINGER", -1)
    mine = made(Naps([Nap(0)]))
    mine.queue.fill()
    assert mine.open("a")
    assert not mine.give_up("a"), "there is a pack for it"
    mine.queue.hand_back(mine.queue.take(), [])
    assert mine.give_up("a")
    assert mine.counts() == (0, 0)
    mine.up("a", "worker")
    assert mine.counts() == (0, 0), "it comes too late"
