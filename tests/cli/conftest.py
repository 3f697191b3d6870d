"""A command line without a process of its own."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from select import select
from string import Template
from typing import Any, Final, TypeAlias

import pytest

from syncd import demo
from syncd.cli import main
from syncd.demo.sample_college import ORGANISATION_ID, SampleCollege
from syncd.simulator import Simulator, Switches
from syncd.simulator.switches import LimiterShape

_SHIPPED: Final = Path(demo.__file__).parent / "folder"


@dataclass(frozen=True, slots=True)
class Said:
    """What a command has printed, and what it ended with."""

    exit: int
    stdout: str
    stderr: str

    @property
    def words(self) -> str:
        """All of it on one line, without the boxes that usage errors are drawn in."""
        return " ".join((self.stdout + self.stderr).replace("│", " ").split())


Syncd: TypeAlias = Callable[..., Said]


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Meanwhile standard output is a real terminal of 80 columns; gives a list that at the end has its lines."""
    ours, theirs = os.openpty()
    lines: list[str] = []
    with monkeypatch.context() as patch, open(theirs, "w", encoding="utf-8") as screen:  # noqa: PTH123
        patch.setenv("COLUMNS", "80")
        patch.setattr(sys, "stdout", screen)
        yield lines
        screen.flush()
        said = b""
        while select([ours], [], [], 0.1)[0]:
            said += os.read(ours, 65_536)
    os.close(ours)
    lines += re.sub(r"\x1b\[[0-9;]*m", "", said.decode()).splitlines()


@dataclass(frozen=True, slots=True)
class College:
    """The demo's college in a folder, where commands are run, and its OneFile."""

    people: SampleCollege
    onefile: Simulator
    folder: Path

    def let_a_week_pass(self) -> None:
        """In the MIS and in OneFile."""
        self.people.let_a_week_pass()
        self.onefile.sow(self.people.onefile_a_week_later())

    def configure(self, text: str = "", **instead: str) -> None:
        """Write the demo's configuration with some of it written otherwise, and ``text`` at its end."""
        told = (_SHIPPED / "syncd.toml").read_text(encoding="utf-8")
        told = Template(told).substitute(base_url=self.onefile.base_url, organisation_id=ORGANISATION_ID)
        for key, line in ({"calls_per_minute": "calls_per_minute = 60000"} | instead).items():
            told = re.sub(rf"(?m)^{key} = .*$", line, told)
        file = self.folder / "syncd.toml"
        file.write_text(f"{told}\n{text}", encoding="utf-8")
        # It has the customer token.
        file.chmod(0o600)


@pytest.fixture
def switches() -> dict[str, Any]:
    """Switches of the simulator, for a test to replace."""
    return {}


@pytest.fixture
def college(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switches: dict[str, Any]) -> Iterator[College]:
    people = SampleCollege()
    people.create_database(tmp_path / "mis.db")
    shutil.copy(_SHIPPED / "learners.sql", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNCD_CONFIG", raising=False)
    with Simulator(
        seed=people.onefile_at_the_start(), switches=Switches(limiter=LimiterShape.OFF, **switches)
    ) as onefile:
        monkeypatch.setenv("SYNCD_ONEFILE__CUSTOMER_TOKEN", onefile.customer_token)
        college = College(people, onefile, tmp_path)
        college.configure()
        yield college


@pytest.fixture
def syncd(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Syncd:
    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["syncd", *arguments])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run
