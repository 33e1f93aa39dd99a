"""Hosts made of Linux namespaces on this machine, reached by ssh; nothing of them outlives the test.

All hosts hang on a bridge in a network namespace of their own, which has no way out. Each has its own
network, processes, /root, /tmp, /run and /dev/shm. Whatever runs there is a child of one process, which
ends with its standard input: when the test ends or dies, the kernel ends the rest.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path

NETWORK = "10.77.0"
"""The first three numbers of every address; seen within the namespaces only."""

LAPTOP = f"{NETWORK}.1"

TOOLS = ("unshare", "nsenter", "ip", "ssh", "ssh-keygen", "rsync", "mount")

PRIVATE = """
set -e
stage() {  # folder, home: show the home there, and within it what the tests need of what lay there
    mkdir -p "$2"
    for kept in $KEEP; do case $kept/ in "$1"/*)
        mkdir -p "$2/${kept#"$1"/}"; mount --rbind "$kept" "$2/${kept#"$1"/}"
        test "$kept" = "$HOSTS" || mount -o remount,bind,ro "$2/${kept#"$1"/}";;
    esac; done
    mount --rbind "$2" "$1"
}
"""
"""Bash: how a namespace gets folders of its own."""

LAB = f"""{PRIVATE}
stage /root "$FOLDER/root"
stage /tmp "$FOLDER/tmp"
mount -t tmpfs none /run; mount -t tmpfs none /dev/shm
ip link set lo up
ip link add lab type bridge; ip address add $ADDRESS/24 dev lab; ip link set lab up
echo ready
exec cat > /dev/null
"""

HOST = f"""{PRIVATE}
stage /root "$FOLDER/root"
stage /tmp "$FOLDER/tmp"
mount -t tmpfs none /run; mount -t tmpfs none /dev/shm
mkdir -p /run/sshd
/usr/sbin/sshd -D -f "/root/sshd_config" &
echo ready
cat > /dev/null
"""

SSHD = """
HostKey /root/host_key
AuthorizedKeysFile /root/.ssh/authorized_keys
StrictModes no
UsePAM no
PidFile none
"""

PYTHON = """#!/bin/bash
# The python3 of a host without a way to the package registry: `python3 -m venv FOLDER` makes an
# environment that sees the packages installed on this machine, and whose pip asks no index.
set -e
{base} "$@" --without-pip
folder=$3; bin=$PWD/$folder/bin
echo '{packages}' > "$(echo "$folder"/lib/python3*/site-packages)/packages.pth"
printf '#!/bin/bash\\nexec %q -m pip "$@" --no-index --no-build-isolation\\n' "$bin/python" > "$bin/pip"
sed "1s|.*|#!$bin/python|" '{scripts}/ray' > "$bin/ray"
chmod +x "$bin/pip" "$bin/ray"
"""


def missing() -> str | None:
    """Why this machine cannot have such hosts; None if it can."""
    if sys.platform != "linux" or os.geteuid():
        return "hosts of namespaces need root on Linux"
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if not Path("/usr/sbin/sshd").exists():
        absent.append("sshd")
    if absent:
        return f"not installed: {', '.join(absent)}"
    tried = subprocess.run(
        ["unshare", "-n", "-m", "-p", "--fork", "ip", "link", "add", "lab", "type", "bridge"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"no namespaces: {tried.stderr.strip()}" if tried.returncode else None


class Machine:
    """Namespaces with a folder for what is theirs; they end with `off`, or with this process."""

    def __init__(self, folder: Path, command: Sequence[str], script: str, **environment: str) -> None:
        for name in ("root", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        kept = (sys.prefix, sys.base_prefix, str(folder.parent))
        environment |= {"KEEP": " ".join(kept), "HOSTS": str(folder.parent), "FOLDER": str(folder)}
        self.root = folder / "root"
        self._process = subprocess.Popen(
            [*command, "unshare", "-m", "-p", "--fork", "--mount-proc", "--kill-child", "bash", "-c", script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | environment,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n", f"{folder.name} did not start"

    def off(self) -> None:
        """End every process at once, as when the power goes."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)


class Lab(Machine):
    """The bridge, and the laptop that hangs on it: commands run there, and hosts are added."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "laptop", ["unshare", "-n"], LAB, ADDRESS=LAPTOP)
        self._folder = folder
        self.hosts: dict[str, Machine] = {}
        (self.root / ".ssh").mkdir()
        self.key = self.root / ".ssh" / "stability"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        unshare = self._process.pid
        children = Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()
        self._enter = ["nsenter", "-t", children[0], "-n", "-m", "-p", "--"]

    def command(self, *words: str) -> list[str]:
        """A command line for the laptop, as one for this machine."""
        return [*self._enter, "env", "HOME=/root", *words]

    def run(self, *words: str, check: bool = True, timeout: float = 120, cwd: str = "/root") -> str:
        """What a command on the laptop writes, errors too."""
        done = subprocess.run(
            [*self._enter, "env", "-C", cwd, "HOME=/root", *words], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{words}: exit code {done.returncode}\n{done.stdout}"
        return done.stdout

    def ssh(self, address: str, command: str, check: bool = True, timeout: float = 120) -> str:
        """What a command on a host writes."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        known = [word for option in options for word in ("-o", option)]
        words = ["ssh", *known, "-i", str(self.key), f"root@{address}", command]
        return self.run(*words, check=check, timeout=timeout)

    def add(self, number: int, cpus: int) -> str:
        """Plug in a host with so many logical CPUs, and boot it; its address."""
        address = f"{NETWORK}.{number}"
        folder = self._folder / address
        self.run("ip", "netns", "add", address)
        near, far = f"near{number}", f"far{number}"
        self.run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", address)
        self.run("ip", "link", "set", near, "master", "lab")
        self.run("ip", "-n", address, "address", "add", f"{address}/24", "dev", far)
        self.run("ip", "-n", address, "link", "set", "lo", "up")
        self._furnish(folder / "root", cpus)
        self.boot(address)
        return address

    def _furnish(self, home: Path, cpus: int) -> None:
        (home / ".ssh").mkdir(parents=True)
        shutil.copy(self.key.with_suffix(".pub"), home / ".ssh" / "authorized_keys")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / "host_key"], check=True)
        (home / "sshd_config").write_text(SSHD)
        (home / "bin").mkdir()
        packages, scripts = sysconfig.get_paths()["purelib"], sysconfig.get_paths()["scripts"]
        base = f"{sys.base_prefix}/bin/python{sysconfig.get_python_version()}"
        (home / "bin" / "python3").write_text(PYTHON.format(base=base, packages=packages, scripts=scripts))
        (home / "bin" / "python3").chmod(0o755)
        (home / ".bashrc").write_text(
            f'export PATH="$HOME/bin:$PATH" RAY_OVERRIDE_RESOURCES=\'{{"CPU":{cpus}}}\'\n'
        )

    def boot(self, address: str) -> None:
        """Start a host that is off; what lies in its home is still there."""
        number = address.rpartition(".")[2]
        for temporary in (self._folder / address / "tmp").glob("*"):
            if temporary.name.startswith("ray"):
                shutil.rmtree(temporary)
        self.run("ip", "link", "set", f"near{number}", "up")
        self.run("ip", "-n", address, "link", "set", f"far{number}", "up")
        enter = [*self._enter, "ip", "netns", "exec", address]
        self.hosts[address] = Machine(self._folder / address, enter, HOST)
        self._wait_for_ssh(address)

    def _wait_for_ssh(self, address: str) -> None:
        for _ in range(100):
            if "up" in self.ssh(address, "echo up", check=False):
                return
            time.sleep(0.1)
        raise AssertionError(f"{address} does not answer")

    def kill(self, address: str) -> None:
        """Pull the plug of a host: nobody hears of it."""
        self.run("ip", "link", "set", f"near{address.rpartition('.')[2]}", "down")
        self.hosts.pop(address).off()

    def processes(self, address: str) -> list[str]:
        """The command lines of what runs on a host, without sshd and what looks."""
        lines = [line.split(maxsplit=1) for line in self.ssh(address, "ps -ww -eo pid=,args=").splitlines()]
        own = ("sshd", "/usr/sbin/sshd", "cat", "ps -ww", "bash -c ps -ww")
        return [command for process, command in lines if process != "1" and not command.startswith(own)]

    def off(self) -> None:
        for machine in self.hosts.values():
            machine.off()
        super().off()
