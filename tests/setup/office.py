"""Where somebody begins: a folder, and the commands that are given there."""

import re
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import structlog
from typer.testing import CliRunner

from syncd.cli.init import command  # noqa: F401 - adds the command
from syncd.cli.program import app
from syncd.errors import SyncdError
from syncd.operations.doctor import Finding, State
from syncd.wiring.doctor import examine


@dataclass(frozen=True, slots=True)
class Office:
    """A folder that is not there yet."""

    folder: Path

    def init(self, *arguments: str, typed: str | None = None) -> str:
        """What ``init`` says; raises what it ends with. ``typed`` is what somebody answers to its questions."""
        done = CliRunner().invoke(app, ["init", str(self.folder), *arguments], input=typed)
        if isinstance(done.exception, SyncdError):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    def doctor(self) -> dict[str, Finding]:
        """What ``doctor`` finds, by check."""
        return {one.check: one for one in examine(self.folder / "syncd.toml", structlog.get_logger(), Event())}

    def failed(self) -> list[Finding]:
        """What ``doctor`` does not accept."""
        return [one for one in self.doctor().values() if one.state in {State.FAILED, State.SKIPPED}]

    def written(self, name: str) -> str:
        """A file that was written."""
        return (self.folder / name).read_text(encoding="utf-8")

    def columns(self, name: str = "learners.sql") -> set[str]:
        """The columns that a query supplies."""
        return set(re.findall(r"^(?!\s*--).* AS ([A-Z]\w+),?(?:\s*--.*)?$", self.written(name), re.MULTILINE))
