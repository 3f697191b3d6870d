"""A Debian in a folder that systemd has booted, by systemd-nspawn: a machine of its own, without a network."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Final
from uuid import uuid4

from tests.support.polling import wait_until

from .machine import children, debian

#: What a small server has beside Debian's minimum; procps, which has /bin/kill, is not among it.
_PACKAGES: Final = ("dbus", "libnss-systemd", "systemd", "systemd-sysv")
_PATIENCE_SECONDS: Final = 120.0


def installed(repository: Path, suite: str, folder: Path) -> Path:
    """The root of a Debian with systemd and, in /opt/syncd, what requirements.lock and this repository have."""
    root = folder / "machine"
    machine = debian(root, suite, _PACKAGES)
    python = _check(["chroot", str(root), "python3", "--version"]).split()[1].rpartition(".")[0]
    wheels = root / "wheels"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    lock = repository / "requirements.lock"
    download = ["download", "--only-binary=:all:", f"--python-version={python}", f"--dest={wheels}"]
    _check([*pip, *download, "--require-hashes", f"--requirement={lock}"])
    _check([*pip, "wheel", "--no-deps", f"--wheel-dir={wheels}", str(repository)])
    _check(["chroot", str(root), "python3", "-m", "venv", "/opt/syncd"])
    install = ["/opt/syncd/bin/pip", "install", "--quiet", "--no-index", "--find-links=/wheels", "syncd"]
    _check(machine.command(install))
    for name in ("syncd.service", "syncd@.service"):
        (root / "etc/systemd/system" / name).write_text((repository / "config" / name).read_text())
    return root


class Booted:
    """A machine that runs."""

    def __init__(self, root: Path, first: int) -> None:
        self._root = root
        self._enter = ["nsenter", f"--target={first}", "--mount", "--uts", "--ipc", "--net", "--pid"]

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it as root, to its end."""
        plain = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "SYSTEMD_PAGER": "cat"} | environment
        given = [f"{name}={value}" for name, value in plain.items()]
        command = [*self._enter, "env", "-i", "--chdir=/", *given, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS)

    def do(self, *words: str, **environment: str) -> str:
        """Run a command that must end with 0; returns what it has printed."""
        done = self.run(*words, **environment)
        assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def path(self, inside: str) -> Path:
        """Where a path of the machine is, seen from outside; it must not lead over a link."""
        return self._root / inside.lstrip("/")


@contextmanager
def booted(root: Path) -> Iterator[Booted]:
    """Boot a machine, and switch it off when the block ends."""
    group = _cgroups() / f"syncd-unit-{uuid4().hex[:8]}"
    group.mkdir()
    # It must not ask the machine it runs on, which may have no systemd, for a scope: it has a group of its own.
    nspawn = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--boot"]
    process = subprocess.Popen(
        ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group), *nspawn, f"--directory={root}"],
        env={"PATH": os.environ["PATH"], "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = 0
    try:
        first = _first_process(process)
        machine = Booted(root, first)
        _wait_until_booted(machine)
        yield machine
    finally:
        # systemd-nspawn takes this for the order to switch off.
        process.send_signal(SIGTERM)
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.kill(first or process.pid, SIGKILL)
            process.communicate(timeout=60)
        _remove(group)


def _first_process(process: subprocess.Popen[str]) -> int:
    def look() -> int | None:
        if process.poll() is not None:
            assert process.stderr
            raise AssertionError(f"systemd-nspawn ended with {process.returncode}: {process.stderr.read()}")
        # Before that it is systemd-nspawn itself, on its way in.
        return next((one for one in children(process.pid) if _name_of(one) == "systemd"), None)

    return wait_until(look, "systemd-nspawn to start the machine", patience=_PATIENCE_SECONDS)


def _name_of(process: int) -> str:
    return Path(f"/proc/{process}/comm").read_text().strip()


def _wait_until_booted(machine: Booted) -> None:
    wait_until(
        lambda: machine.run("systemctl", "is-system-running").stdout.strip() in {"running", "degraded"},
        "the machine to be running",
        patience=_PATIENCE_SECONDS,
        pause=0.2,
    )


def _cgroups() -> Path:
    """Where the second version of control groups is, the only one that a systemd of today takes."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return Path(next(where for _, where, kind, *_ in mounts if kind == "cgroup2"))


def _remove(group: Path) -> None:
    for inner in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
        inner.rmdir()
    group.rmdir()


def _check(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout
