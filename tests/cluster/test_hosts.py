"""`ray up` with the file as it lies here, on hosts made of namespaces: a study, a host that dies, `ray down`.

Shortened against a real lab: packages are not downloaded (tests/cluster/namespaces.py), and Ray's patience
(heartbeats, lost heads) is 10 seconds instead of 30 and 60.
"""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster import slow
from tests.cluster.namespaces import NETWORK, Lab, missing
from tests.commands import assert_same_tables

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
RAY = f"{Path(sys.executable).parent}/ray"
CHECKOUT = "/root/checkout"
HEAD, WORKER = f"{NETWORK}.11", f"{NETWORK}.12"

IMPATIENT = "AUTOSCALER_HEARTBEAT_TIMEOUT_S=10 RAY_gcs_rpc_server_reconnect_timeout_s=10"
"""What is shortened."""

ALONE = "RAY_memory_monitor_refresh_ms=0"
"""The hosts share one memory, and each would kill a worker where other programs have filled it."""

SUBMIT = "ray job submit -- stability run --space tests/cluster/slow.py --engine eager --address auto"

ENOUGH = 40
"""Steps of a host that tell its share."""

TRIALS = 24 * 2 * (3 + 1)

STRANGER = f"""
import grpc
nodes = grpc.insecure_channel("{HEAD}:6379").unary_unary("/ray.rpc.NodeInfoGcsService/GetAllNodeInfo")
nodes(b"", timeout=20)
"""
"""Asks the head for its nodes, without the token."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        for number in (11, 12):
            address = lab.add(number, cpus=2)
            with (home(lab, address) / ".bashrc").open("a") as start:
                start.write(f"export {IMPATIENT} {ALONE}\n")
        check_out(lab.root / "checkout")
        yield lab
    finally:
        lab.off()


def home(lab: Lab, address: str) -> Path:
    return lab.hosts[address].root


def check_out(folder: Path) -> None:
    """A copy of what git would commit, with the three lines of cluster.yaml filled in."""
    folder.mkdir()
    listed = ["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "-z"]
    files = subprocess.run(listed, capture_output=True, check=True).stdout
    pack = ["tar", "-C", ROOT, "-c", "--null", "-T", "-"]
    packed = subprocess.run(pack, input=files, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-C", folder, "-x"], input=packed, check=True)
    text = (folder / "cluster.yaml").read_text()
    for line in (f"head_ip: {HEAD}", f"worker_ips: [{WORKER}]", "ssh_user: root"):
        name = line.partition(":")[0]
        text, count = re.subn(rf"^  {name}: .*<-.*$", f"  {line}", text, flags=re.MULTILINE)
        assert count == 1, f"{name} is not marked <- in cluster.yaml"
    (folder / "cluster.yaml").write_text(text)


def ray(lab: Lab, verb: str, *words: str, check: bool = True, timeout: float = 180) -> str:
    return lab.run(RAY, verb, *words, cwd=CHECKOUT, check=check, timeout=timeout)


def on_head(lab: Lab, command: str, check: bool = True, timeout: float = 180) -> str:
    return ray(lab, "exec", "cluster.yaml", command, check=check, timeout=timeout)


def set_pace(lab: Lab, seconds: float) -> None:
    for host in (HEAD, WORKER):
        (home(lab, host) / slow.PACE.name).write_text(str(seconds))


def wait_for(what: str, happens: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds:g} s"
        time.sleep(1)


def steps_of(lab: Lab, address: str) -> list[float]:
    """When a host trained, a second for each step."""
    record = home(lab, address) / slow.RECORD.name
    return [float(line) for line in record.read_text().split()] if record.exists() else []


def test_a_study_over_two_hosts_outlives_its_terminal_and_a_host(lab, tmp_path):
    set_pace(lab, 0.4)
    ray(lab, "up", "-y", "cluster.yaml")
    first = submit_and_close_the_terminal(lab)
    wait_for("training on both hosts", lambda: all(steps_of(lab, host) for host in (HEAD, WORKER)), 180)
    check_private(lab)

    lab.kill(WORKER)
    killed = time.time()
    lab.boot(WORKER)
    serial = [sys.executable, "-m", "harness.run", "--space", "tests/cluster/slow.py", "--engine", "eager"]
    alone = subprocess.Popen(
        [*serial, "--executor", "serial", "--results", tmp_path], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    wait_for("training after a reboot", lambda: len(since(killed, steps_of(lab, WORKER))) > ENOUGH, 240)
    check_shares(*(since(killed, steps_of(lab, host)) for host in (HEAD, WORKER)))
    trials = home(lab, HEAD) / "stability-harness" / "results" / "hosts" / "trials"
    wait_for("the end of a pack", lambda: any(trials.glob("*.parquet")), 240)
    on_head(lab, f"ray job stop {first}")
    set_pace(lab, 0.02)

    log = on_head(lab, SUBMIT)
    (done,) = re.findall(r"(\d+) already done", log)
    assert 0 < int(done) < TRIALS, "the same command resumes"
    assert f"{TRIALS} trials recorded" in log
    ray(lab, "rsync-down", "cluster.yaml", "~/stability-harness/results/", "results/")
    assert alone.wait(180) == 0
    assert_same_tables(lab.root / "checkout" / "results" / "hosts", tmp_path / "hosts")

    ray(lab, "down", "-y", "cluster.yaml")
    assert lab.processes(HEAD) == []
    wait_for("the end of every process", lambda: lab.processes(WORKER) == [], 60)


def submit_and_close_the_terminal(lab: Lab) -> str:
    """The name of a job that goes on."""
    terminal = subprocess.Popen(
        lab.command("env", "-C", CHECKOUT, RAY, "exec", "cluster.yaml", SUBMIT),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert terminal.stdout is not None
    name = next(found[0] for line in terminal.stdout if (found := re.findall(r"raysubmit_\w+", line)))
    next(line for line in terminal.stdout if "already done" in line)
    terminal.kill()
    terminal.wait()
    return str(name)


def since(moment: float, steps: list[float]) -> list[float]:
    return [step for step in steps if step > moment]


def check_shares(head: list[float], worker: list[float]) -> None:
    """While both hosts train, each with two workers, none trains more than twice as much as the other."""
    shares = [len(since(worker[0], steps)) for steps in (head, worker)]
    assert min(shares) > max(shares) / 2, f"steps of head and worker: {shares}"


def check_private(lab: Lab) -> None:
    """The token is on every host for its user alone, in no other file; the dashboard is on loopback."""
    tokens = {host: home(lab, host) / ".ray" / "auth_token" for host in (HEAD, WORKER)}
    for host, token in tokens.items():
        assert token.stat().st_mode & 0o777 == 0o600, host
        assert token.read_text() == tokens[HEAD].read_text()
        search = 'grep -rlF "$(cat ~/.ray/auth_token)" /root /tmp/ray --exclude-dir=.pyenv || true'
        assert lab.ssh(host, search).split() == ["/root/.ray/auth_token"]
    listening = lab.ssh(HEAD, "ss -ltn | awk '{print $4}'").split()
    assert [address for address in listening if address.endswith(":8265")] == ["127.0.0.1:8265"]
    assert "UNAUTHENTICATED" in lab.run(sys.executable, "-c", STRANGER, check=False)
