"""A Debian in a folder, and the packages that an installation in it needs."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: The image of Python has a 'python', a 'pip', certificates and time zones; so must what stands in for it.
_PACKAGES = ("ca-certificates", "python-is-python3", "python3", "python3-pip", "python3-venv", "tzdata")
_PLAIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(slots=True)
class Machine:
    """A root folder, and how commands are run in it."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": _PLAIN_PATH})
    folder: str = "/"
    user: str = "root"

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


def download(lock: Path, others: Sequence[str], folder: Path) -> None:
    """Download what the pip of the image, which has Python 3.13, will install."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", f"--dest={folder}"]
    _check([*pip, "--python-version=3.13", "--require-hashes", f"--requirement={lock}"])
    _check([*pip, *others])


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _check(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
