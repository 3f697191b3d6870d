"""A command line without a process of its own."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import pytest

from syncd.cli import main


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
