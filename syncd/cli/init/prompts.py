"""The options of ``init``, its questions to the operator, and the answers."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import typer

from syncd.cli.init.config_file import FeedEntry
from syncd.settings import Environment

#: The environment variables for secrets, which are never on a command line.
URL_VARIABLE: Final = "SYNCD_SOURCE__URL"
PASSWORD_VARIABLE: Final = "SYNCD_SOURCE__PASSWORD"  # noqa: S105 - the variable's name, not the secret
TOKEN_VARIABLE: Final = "SYNCD_ONEFILE__CUSTOMER_TOKEN"  # noqa: S105 - the variable's name, not the secret


@dataclass(frozen=True, slots=True)
class InitOptions:
    """The options of the command line; ``None`` for those that are left out."""

    database: str | None = None
    database_file: Path | None = None
    schema: str = ""
    learners: str | None = None
    columns: Sequence[str] | None = None
    where: str | None = None
    feeds: str | None = None
    environment: Environment | None = None
    base_url: str = ""
    organisation: int | None = None
    customer_token_file: Path | None = None
    defaults: Sequence[str] = ()

    @property
    def has_database(self) -> bool:
        """Whether a database is named, in the options or in the environment."""
        return bool(
            self.database
            or self.database_file
            or os.environ.get(URL_VARIABLE)
            or os.environ.get(f"{URL_VARIABLE}_FILE")
        )


@dataclass(slots=True)
class InitAnswers:
    """What ``init`` writes, and what is left for the operator to do."""

    values: dict[tuple[str, str], str | int] = field(default_factory=dict)
    feeds: list[FeedEntry] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


class Prompter:
    """Asks the operator at the terminal; if ``is_answered`` is false, returns the proposed answers."""

    def __init__(self, *, is_answered: bool) -> None:
        self.is_answered: Final = is_answered

    def text(self, question: str, proposed: str = "") -> str:
        """Return the line entered, or the proposed one."""
        if not self.is_answered:
            return proposed
        answer: str = typer.prompt(question, default=proposed, show_default=bool(proposed))
        return answer.strip()

    def hidden(self, question: str) -> str:
        """Return a line that is not shown while it is typed."""
        answer: str = typer.prompt(question, default="", hide_input=True, show_default=False)
        return answer

    def one_of(self, question: str, choices: Sequence[str], proposed: str) -> str:
        """Return one of the choices, in any letter case; asks until the answer is one of them."""
        while True:
            answer = self.text(question, proposed)
            found = [choice for choice in choices if choice.lower() == answer.lower()]
            if found or not self.is_answered:
                return found[0] if found else proposed
            near = get_close_matches(answer, choices, n=1)
            typer.echo(f"There is no {answer!r}{f'; did you mean {near[0]!r}?' if near else '.'}")


def is_terminal() -> bool:
    """Whether input and output are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()
