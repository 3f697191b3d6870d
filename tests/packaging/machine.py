"""A Debian in a folder, as a container has it: a read-only root, a network of its own, and one user without rights."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL

from .dockerfile import Instruction, Stage, variables

#: The image of Python has a 'python', a 'pip', certificates and time zones; so must what stands in for it.
_PACKAGES = ("ca-certificates", "python-is-python3", "python3", "python3-pip", "python3-venv", "tzdata")
_PLAIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: Makes the root read-only but for its volumes, says so, and waits to be ended.
_HOLD = """
set -e
ip link set lo up
root=$1; shift
mount --bind "$root" "$root"
for bind in "$@"; do
    mount --bind "${bind%%:*}" "$root${bind#*:}"
done
mount -t proc -o subset=pid proc "$root/proc"
for device in null urandom; do mount --bind /dev/$device "$root/dev/$device"; done
mount -o remount,bind,ro "$root"
mount -o remount,bind,ro "$root/etc/syncd"
echo ready
exec sleep infinity
"""


@dataclass(slots=True)
class Machine:
    """What the instructions of a stage make of a root."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": _PLAIN_PATH})
    folder: str = "/"
    user: str = "root"

    def follow(self, stage: Stage, context: Path, others: Mapping[str, "Machine"]) -> None:
        """Follow the instructions that change it. Raises `CalledProcessError` for one that fails."""
        for each in stage.instructions:
            match each.name:
                case "RUN":
                    self._run(each.given)
                case "COPY":
                    self._copy(each, context, others)
                case "ENV":
                    for name, value in variables(each.given).items():
                        self.environment[name] = value.replace("$PATH", self.environment["PATH"])
                case "WORKDIR":
                    self.folder = each.given
                    self.path(each.given).mkdir(parents=True, exist_ok=True)
                case "USER":
                    self.user = each.given
                case "VOLUME" | "EXPOSE" | "STOPSIGNAL" | "HEALTHCHECK" | "ENTRYPOINT" | "CMD":
                    pass
                case other:
                    raise NotImplementedError(other)

    def path(self, inside: str) -> Path:
        """Where a path of its own is."""
        return self.root / Path(self.folder, inside).relative_to("/")

    def command(self, words: Sequence[str], **environment: str) -> list[str]:
        """How to run something as its user in its folder with its environment."""
        given = (f"{name}={value}" for name, value in (self.environment | environment).items())
        return [
            "chroot",
            f"--userspec={self.user}:{self.user}",
            str(self.root),
            *("env", "-i", f"--chdir={self.folder}", *given),
            *words,
        ]

    def _run(self, line: str) -> None:
        # What it installs was downloaded before, by a pip that knows the ways out of this machine.
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels", "PIP_ROOT_USER_ACTION": "ignore"}
        _check([*self.command(["sh", "-c", line], **offline)])

    def _copy(self, each: Instruction, context: Path, others: Mapping[str, "Machine"]) -> None:
        *sources, target = each.words
        ignored = None
        if sources[0].startswith("--from="):
            other = others[sources.pop(0).removeprefix("--from=")]
            found = [other.path(source) for source in sources]
        else:
            found = [context / source for source in sources]
            ignored = shutil.ignore_patterns("__pycache__")
        into = self.path(target)
        for source in found:
            if source.is_dir():
                shutil.copytree(source, into, symlinks=True, ignore=ignored)
            else:
                shutil.copy(source, into)


def debian(root: Path, suite: str = "bookworm", more: Sequence[str] = ()) -> Machine:
    """A fresh Debian in a folder, with ``more`` packages.

    SYNCD_TEST_DEBIAN may name one that was made before, which is copied; for another suite or more packages it is
    SYNCD_TEST_DEBIAN_TRIXIE, or as the suite is called.
    """
    if ready := os.environ.get(f"SYNCD_TEST_DEBIAN_{suite.upper()}" if more else "SYNCD_TEST_DEBIAN"):
        _check(["cp", "--archive", "--reflink=auto", ready, str(root)])
    else:
        packages = ",".join((*_PACKAGES, *more))
        _check(["debootstrap", "--variant=minbase", f"--include={packages}", suite, str(root)])
    return Machine(root)


def copy_of(machine: Machine, root: Path) -> Machine:
    """The same once more."""
    _check(["cp", "--archive", "--reflink=auto", str(machine.root), str(root)])
    return Machine(root)


def download(lock: Path, others: Sequence[str], folder: Path) -> None:
    """Download what the image's own pip is to install."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", f"--dest={folder}"]
    _check([*pip, "--python-version=3.11", "--require-hashes", f"--requirement={lock}"])
    _check([*pip, *others])


class Contained:
    """A machine whose root can no longer be written to."""

    def __init__(self, machine: Machine, holder: int) -> None:
        self._machine = machine
        self._enter = ["nsenter", f"--target={holder}", "--mount", "--net"]

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run something to its end, as its user."""
        command = [*self._enter, *self._machine.command(words, **environment)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    @contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Start something as its process 1, and end it if it is still there."""
        first = ["unshare", "--pid", "--fork"]
        process = subprocess.Popen(
            [*self._enter, *first, *self._machine.command(words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                # It outlives whoever has started it: a change of user takes the signal for that away.
                for child in children(process.pid):
                    os.kill(child, SIGKILL)
            process.communicate(timeout=60)


@contextmanager
def contained(machine: Machine, binds: Mapping[str, Path]) -> Iterator[Contained]:
    """Make its root read-only but for what is bound to a path of its own, for as long as the block lasts."""
    for inside in (*binds, "/proc", "/dev"):
        machine.path(inside).mkdir(parents=True, exist_ok=True)
    for device in ("null", "urandom"):
        machine.path(f"/dev/{device}").touch()
    mounts = (f"{outside}:{inside}" for inside, outside in binds.items())
    holder = subprocess.Popen(
        ["unshare", "--mount", "--net", "sh", "-c", _HOLD, "hold", str(machine.root), *mounts],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "ready\n"
        yield Contained(machine, holder.pid)
    finally:
        holder.kill()
        holder.communicate()


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _check(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
