"""What is checked of a cluster before it trains; nothing here starts Ray."""

import socket
import sysconfig
import threading
import time
from contextlib import contextmanager

import pytest

from harness.errors import UserError
from harness.executors import cluster
from harness.executors.cluster import Capacity, check_fits, check_reachable, driver_path, with_path

SETTINGS = bytes([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 64, 0, 0])
"""How a server of gRPC begins: a SETTINGS frame."""


@contextmanager
def listening(answer: bytes | None):
    """The port of a server that says this to whoever connects; None is one that never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                if answer is None:
                    over.wait(10)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        over.set()


def test_where_grpc_listens_the_address_is_taken():
    with listening(SETTINGS) as port:
        check_reachable(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", b"", b"\0\0\0", None]
)
def test_what_something_else_listens_at_is_no_cluster(answer, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    with listening(answer) as port, pytest.raises(OSError, match=r"not Ray|timed out|reset"):
        check_reachable(f"127.0.0.1:{port}")


def test_where_nothing_listens_it_is_said_at_once():
    with pytest.raises(ConnectionRefusedError):
        check_reachable("127.0.0.1:1")


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "http://127.0.0.1:8265"])
def test_another_protocol_is_refused_with_what_is_expected(address):
    with pytest.raises(UserError, match="expected auto or host:port"):
        check_reachable(address)


def node(alive=True, **resources):
    return {"Alive": alive, "Resources": resources}


GPU = {"cpu": 1, "gpu": 0.5}


@pytest.mark.parametrize(
    ("per_pack", "nodes"),
    [
        ({"cpu": 1}, [node(CPU=1.0)]),
        (GPU, [node(CPU=4.0), node(CPU=1.0, GPU=1.0)]),
        (GPU, [node(CPU=1.0, GPU=0.5)]),
    ],
)
def test_a_pack_fits_on_a_node_that_has_all_it_needs(per_pack, nodes):
    check_fits(per_pack, nodes, None)


@pytest.mark.parametrize(
    ("per_pack", "nodes", "said"),
    [
        (GPU, [node(CPU=4.0)], "has the 1 CPU and 0.5 GPU that a pack needs; they have: 4 CPU, 0 GPU"),
        (GPU, [node(CPU=4.0), node(GPU=2.0)], "they have: 4 CPU, 0 GPU; 0 CPU, 2 GPU; use device=cpu"),
        (GPU, [node(CPU=4.0, GPU=0.25)], "they have: 4 CPU, 0.25 GPU"),
        (GPU, [node(False, CPU=4.0, GPU=1.0)], "they have: nothing"),
        ({"cpu": 1}, [node(memory=1e9)], "no node of the cluster at auto has the 1 CPU that a pack needs"),
        ({"cpu": 1}, [], "they have: nothing"),
    ],
)
def test_where_no_node_can_train_a_pack_it_is_refused_and_not_waited_for(per_pack, nodes, said):
    with pytest.raises(UserError) as caught:
        check_fits(per_pack, nodes, "auto")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("per_pack", "nodes", "packs"),
    [
        ({"cpu": 1}, [node(CPU=4.0), node(CPU=2.5), node(False, CPU=8.0)], 6),
        ({"cpu": 1, "gpu": 1 / 3}, [node(CPU=16.0, GPU=2.0), node(CPU=2.0, GPU=1.0), node(CPU=9.0)], 8),
        ({"cpu": 1}, [], 1),
    ],
)
def test_so_many_packs_fit_on_a_cluster_at_once(per_pack, nodes, packs):
    assert Capacity(per_pack, lambda: nodes)() == packs


def test_nodes_that_join_count_when_it_looks_again(monkeypatch):
    nodes = [node(CPU=1.0)]
    capacity = Capacity({"cpu": 1}, lambda: nodes)
    assert capacity() == 1
    nodes.append(node(CPU=2.0))
    assert capacity() == 1, "it does not look every time"
    over = threading.Event()
    monkeypatch.setattr(cluster, "LOOK_AGAIN", 0.01)
    looking = threading.Thread(target=capacity.keep_looking, args=(over, 0, pytest.fail), daemon=True)
    looking.start()
    deadline = time.monotonic() + 5
    while capacity() != 3:
        assert time.monotonic() < deadline
    over.set()
    looking.join(5)
    assert not looking.is_alive()


def test_a_node_is_waited_for_so_long_and_one_that_went_is_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(cluster, "LOOK_AGAIN", 0.01)
    late, over, nodes = [], threading.Event(), []
    Capacity(GPU, lambda: nodes).keep_looking(over, 0.05, late.append)
    assert str(late[0]) == "no node with 1 CPU and 0.5 GPU has come in 0.000833 min"
    nodes.append(node(CPU=1.0, GPU=1.0))
    capacity = Capacity(GPU, lambda: nodes)
    nodes.clear()
    threading.Timer(0.2, over.set).start()
    capacity.keep_looking(over, 0.05, late.append)
    assert (len(late), capacity.nodes) == (1, 0)


LIBRARY = sysconfig.get_path("stdlib")
PACKAGES = sysconfig.get_path("purelib")


@pytest.mark.parametrize(
    ("driver", "own", "found"),
    [
        (["/cwd", LIBRARY, PACKAGES], ["/w", "/lib", "/s"], ["/cwd", "/w", "/lib", "/s"]),
        (["/cwd", LIBRARY, PACKAGES, "/space"], ["/lib", "/s"], ["/cwd", "/lib", "/s", "/space"]),
        (["/a", "/b", LIBRARY], ["/lib", "/b", "/a"], ["/a", "/b", "/lib"]),
        ([LIBRARY, "/a"], ["/lib", "/a", "/s"], ["/lib", "/a", "/s"]),
        ([LIBRARY, f"{LIBRARY}/lib-dynload", PACKAGES], ["/lib"], ["/lib"]),
        (["", "lib", LIBRARY, b"bytes", None], ["/lib"], ["{cwd}", "{cwd}/lib", "/lib"]),
    ],
)
def test_a_worker_looks_for_modules_where_and_in_the_order_that_the_driver_does(
    driver, own, found, monkeypatch, tmp_path
):
    """The standard library and the installed packages are the worker's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", driver)
    said = driver_path()
    monkeypatch.undo()
    found = [entry.format(cwd=tmp_path) for entry in found]
    assert with_path(own, said) == found
    assert with_path(found, said) == found
