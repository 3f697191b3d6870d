"""Debian's podman, with a store, networks and volumes of its own that end with the test."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Any

#: runc, because crun refuses a machine that has both versions of control groups. The limits, because podman would raise
#: them, which root of a container may not.
_ENGINE = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
tmp_dir = "{folder}/tmp"
[network]
network_config_dir = "{folder}/networks"
"""
_STORAGE = """
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""


class Engine:
    """podman and podman-compose, both on one store."""

    def __init__(self, folder: Path) -> None:
        self._environment = {
            **os.environ,
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }
        (folder / "containers.conf").write_text(_ENGINE.format(folder=folder))
        (folder / "storage.conf").write_text(_STORAGE.format(folder=folder))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of podman to its end."""
        return self._run("podman", *words)

    def do(self, *words: str) -> str:
        """Run a command of podman that must end with 0; returns its standard output without surrounding blanks."""
        done = self.run(*words)
        assert done.returncode == 0, f"podman {' '.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def compose(self, file: Path, *words: str) -> str:
        """Run a command of podman-compose that must end with 0; returns what it printed.

        Older ones name the project after the folder, whatever name the file has; so does this.
        """
        done = self._run("podman-compose", "--project-name", file.parent.name, "--file", str(file), *words)
        assert done.returncode == 0, f"podman-compose {' '.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def inspect(self, name: str) -> Any:
        """What podman knows of a container or an image."""
        return json.loads(self.do("inspect", name))[0]

    def build(self, context: Path, tag: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Build an image as the documentation says; nothing is pulled."""
        return self.run(
            "build", "--format=docker", "--force-rm", "--pull=never", f"--tag={tag}", *options, str(context)
        )

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )


@contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """An engine for as long as the block lasts; its containers, networks, volumes and images end with it."""
    started = Engine(folder)
    try:
        yield started
    finally:
        started.run("rm", "--all", "--force", "--time=30")
        started.run("network", "prune", "--force")
        # podman mounts its store on itself and leaves it so.
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for place in reversed([each for each in mounted if each.startswith(f"{folder}/")]):
            subprocess.run(["umount", place], capture_output=True, check=True)
        rmtree(folder)
