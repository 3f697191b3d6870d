"""A syncd that is killed: when, is counted in advance."""

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from tests.support.forking import CONTEXT, become_command


@dataclass(frozen=True, slots=True)
class AtCommit:
    """The commit, counted from 1, at which a syncd kills itself, and on which side of it."""

    number: int
    is_after: bool


def start(
    folder: Path, environment: Mapping[str, str], at: AtCommit | None = None, *, arguments: Sequence[str] = ("sync",)
) -> ForkServerProcess:
    """Start a command of syncd with these variables; what it says goes to a file in the folder."""
    process = CONTEXT.Process(target=_run, args=(folder, dict(environment), at, tuple(arguments)))
    process.start()
    return process


def said(folder: Path) -> str:
    """What the last one said."""
    return (folder / "said").read_text(encoding="utf-8")


def commits(folder: Path) -> int:
    """How many commits the last one came to that was not killed."""
    return int((folder / "commits").read_text(encoding="utf-8"))


def _run(folder: Path, environment: Mapping[str, str], at: AtCommit | None, arguments: Sequence[str]) -> None:
    said = folder / "said"
    said.unlink(missing_ok=True)
    become_command(arguments, environment, said, said)
    committed = _count_commits(at)
    from syncd.__main__ import main  # noqa: PLC0415 - it is forked from a process that need not run it

    try:
        main()
    finally:
        (folder / "commits").write_text(str(len(committed)), encoding="utf-8")


def _count_commits(at: AtCommit | None) -> list[None]:
    """Count this process's commits from now on, and end it at one of them. SQLAlchemy has no event after a commit."""
    from sqlalchemy.engine.default import DefaultDialect  # noqa: PLC0415

    committed: list[None] = []
    commit: Any = DefaultDialect.do_commit

    def do_commit(dialect: DefaultDialect, connection: Any) -> None:
        committed.append(None)
        is_mine = at is not None and len(committed) == at.number
        if at and is_mine and not at.is_after:
            die()
        commit(dialect, connection)
        if at and is_mine and at.is_after:
            die()

    DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]
    return committed


def die() -> None:
    """End this process as the out-of-memory killer would."""
    os.kill(os.getpid(), signal.SIGKILL)
