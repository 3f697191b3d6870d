"""The output of the demo: sentences, the commands as an operator would type them, and their output."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from textwrap import fill
from typing import IO, Final

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from syncd.errors import StoryBroken

LOG: Final = "syncd.log"

_WIDEST: Final = 100
_LOOK_EVERY_SECONDS: Final = 0.2


class Ending(IntEnum):
    """The exit codes that occur in the demo."""

    DONE = 0
    WAITS = 3
    SOME_HELD = 4

    @property
    def meaning(self) -> str:
        """The meaning of the code; empty for success."""
        return {3: "waits for approval", 4: "done, but some records are held"}.get(self, "")


@dataclass(frozen=True, slots=True)
class Growth:
    """A count that grows while a command runs, shown as a progress bar."""

    what: str
    now: Callable[[], int]
    total: int


class Narrator:
    """Writes to standard output, and runs commands in ``folder`` with ``environment``; their logs go to `LOG` in it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._out = Console(highlight=False)
        self._out.width = min(self._out.width, _WIDEST)

    def chapter(self, title: str) -> None:
        """Print the title of a new part."""
        self._out.print()
        self._out.rule(Text(title, "bold"), align="left", style="cyan")

    def say(self, text: str) -> None:
        """Print one paragraph."""
        self._out.print()
        self._out.print(fill(text, self._out.width), markup=False)

    def show(self, rows: Sequence[Sequence[str]], headings: Sequence[str] = ()) -> None:
        """Print rows as a table, the first column in bold."""
        table = Table(*headings, box=None, show_header=bool(headings), pad_edge=False, header_style="dim")
        for row in rows:
            first, *others = (Text(cell) for cell in row)
            first.stylize("bold")
            table.add_row(first, *others)
        self._out.print()
        self._out.print(Padding(table, (0, 0, 0, 2), expand=False))

    def run(self, *command: str, ends_with: Ending = Ending.DONE, growth: Growth | None = None) -> None:
        """Run a command to its end, and show it, its output and the meaning of its exit code.

        Raises `StoryBroken` if it ends with another exit code.
        """
        self._out.print()
        self._out.print(Text(f"$ syncd {' '.join(command)}", "bold green"))
        with (self._folder / LOG).open("a+b") as log:
            began = log.tell()
            code = self._finish(command, log, growth if self._out.is_terminal else None)
            log.seek(began)
            said = log.read().decode("utf-8", "replace")
        if code != ends_with:
            raise StoryBroken(
                f"The demo stops here: 'syncd {command[0]}' ended with exit code {code}, expected was {ends_with:d}. "
                f"{_sentences_in(said) or f'{self._folder / LOG} may say why.'}"
            )
        if meaning := ends_with.meaning:
            self._out.print(Text(f"(exit code {code}: {meaning})", "dim"))

    def _finish(self, command: tuple[str, ...], log: IO[bytes], growth: Growth | None) -> int:
        with subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "syncd", *command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            # Otherwise the command's own output would be printed into the progress bar.
            stdout=subprocess.PIPE if growth else None,
            stderr=log,
            text=True,
        ) as process:
            try:
                if growth:
                    self._out.print(_watched(process, growth, self._out), end="")
                return process.wait()
            except BaseException:
                # After SIGTERM, the command finishes the calls that are in flight.
                process.terminate()
                process.wait()
                raise


def _watched(process: subprocess.Popen[str], growth: Growth, out: Console) -> Text:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=out, transient=True) as progress:
        task = progress.add_task(growth.what, total=growth.total)
        while True:
            try:
                return Text(process.communicate(timeout=_LOOK_EVERY_SECONDS)[0])
            except subprocess.TimeoutExpired:
                progress.update(task, completed=growth.now())


def _sentences_in(log: str) -> str:
    """Return the messages of a command: the lines of its standard error that are not log lines."""
    return " ".join(line for line in log.splitlines() if not line.startswith("{"))
