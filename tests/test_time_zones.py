"""Time zones on a system without a database of them, such as a minimal image."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from syncd.settings.values import time_zone
from tests.support.command import COMMAND
from tests.support.configuration import GOOD

_PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SYNCD_")}
    return subprocess.run(
        command, cwd=folder, env={**inherited, "PYTHONTZPATH": ""}, capture_output=True, text=True, check=False
    )


def test_database_of_time_zones_comes_with_syncd_on_every_system() -> None:
    project = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]
    (needed,) = [each for each in map(Requirement, project["dependencies"]) if each.name == "tzdata"]
    assert needed.marker is None


def test_commands_and_the_simulator_work_without_a_database_of_the_system(tmp_path: Path) -> None:
    text = "\n".join(f"{head}\n{keys}" for head, keys in GOOD.items())
    (tmp_path / "syncd.toml").write_text(f'{text}\n[schedule]\ntimezone = "Pacific/Auckland"', encoding="utf-8")

    status = _run(tmp_path, *COMMAND, "status", "--json")
    history = _run(tmp_path, *COMMAND, "history", "--since", "2026-01-01")
    simulator = _run(tmp_path, sys.executable, "-c", "import syncd.simulator, zoneinfo; print(zoneinfo.TZPATH)")

    assert (status.returncode, json.loads(status.stdout)["last_run"]) == (0, None), status.stderr
    assert (history.returncode, history.stdout) == (0, "No change is on record for that period.\n"), history.stderr
    assert (simulator.returncode, simulator.stdout) == (0, "()\n"), simulator.stderr


@pytest.mark.slow
def test_demo_works_without_a_database_of_the_system(tmp_path: Path) -> None:
    demo = _run(tmp_path, *COMMAND, "demo")
    assert demo.returncode == 0, demo.stderr


@pytest.mark.parametrize(
    "name", ["Europe", "", ".", "..", "../London", "/etc/localtime", "Europe/Londn", "a" * 5000, "a\0b"]
)
def test_name_that_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a time zone such as"):
        time_zone(name)
