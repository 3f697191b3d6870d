"""Whoever looks waits for nobody: not for a process that has SQLite's one lock for writing, however long."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from typer.testing import CliRunner

from syncd.cli.program import app
from syncd.web.metrics import Metrics
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION

from .conftest import Visitor

_WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("at it", flush=True)
sys.stdin.read()
"""
_PATHS = (
    "/",
    "/held",
    "/runs",
    "/runs/1",
    "/people",
    "/people/Learner/L1",
    "/people/Learner/L1?explain=yes",
    "/asked/1",
    "/api/status",
    "/readyz",
)
_COMMANDS = ("status", "held", "accounts", "history L1", "report --since 2026-01-01")


@contextmanager
def _another_writes(college: College) -> Iterator[None]:
    file = college.context.store.file
    assert file
    command = [sys.executable, "-c", _WRITER, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "at it\n"
        yield
        process.communicate()


def test_pages_metrics_and_commands_answer_while_another_process_writes(found: Found, tmp_path: Path) -> None:
    college = found()
    college.enrol("L1")
    college.enrol("L2", email="")
    college.run()
    visitor = Visitor(college)
    visitor.post("/sync")
    configuration = tmp_path / "syncd.toml"
    configuration.write_text(
        f'[onefile]\nenvironment = "practice"\norganisation_id = {ORGANISATION}\n[source]\nurl = "{college.mis_url}"\n'
        f'[state]\nurl = "sqlite:///{college.context.store.file}"\n'
        '[[feeds]]\nname = "learners"\nrole = "Learner"\nquery = "SELECT 1"\n'
    )

    with _another_writes(college):
        assert {path: visitor.get(path).status for path in _PATHS} == dict.fromkeys(_PATHS, 200)
        scraped = Metrics(college.context.store, [ORGANISATION], college.clock).scrape()
        commands = {
            name: CliRunner().invoke(app, ["--config", str(configuration), *name.split()]) for name in _COMMANDS
        }

    assert b"syncd_accounts" in scraped
    assert {name: one.exception for name, one in commands.items() if one.exit_code} == {}
