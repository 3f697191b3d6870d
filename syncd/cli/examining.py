"""doctor: is everything there that a run needs?"""

import shutil
import sys
from dataclasses import asdict
from textwrap import wrap
from typing import Final

import typer

from syncd import logs
from syncd.cli.common import ConfigOption, JsonOption, config_before_command, print_json
from syncd.cli.program import app
from syncd.settings import configuration_file
from syncd.sync.examining import Finding, State
from syncd.wiring.examining import examine

_MARKS: Final = {
    State.OK: ("✓", "green"),
    State.WARNING: ("!", "yellow"),
    State.FAILED: ("✗", "red"),
    State.SKIPPED: ("-", "bright_black"),
}
_NAME_COLUMNS: Final = 14
#: A pipe has no width; lines are not broken for it.
_PIPE_COLUMNS: Final = 1000


@app.command(rich_help_panel="Setting up")
def doctor(*, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Check all that a run needs: configuration, state store, MIS, feeds, OneFile.

    Reads every feed once, makes a handful of calls to OneFile, and changes nothing in either.
    Ends with 0 when all is well, also with warnings (!), and with 1 when something (✗) must be put right.
    """
    # The configuration, which could say more of it, may be what is broken.
    log = logs.set_up("console" if sys.stderr.isatty() else "json", "warning")
    findings = []
    for finding in examine(configuration_file(config or config_before_command.get()), log):
        findings.append(finding)
        if not json:
            _print(finding)
    if json:
        print_json([asdict(finding) for finding in findings])
    if any(finding.state is State.FAILED for finding in findings):
        raise typer.Exit(1)


def _print(finding: Finding) -> None:
    mark, colour = _MARKS[finding.state]
    indent = " " * (len(mark) + _NAME_COLUMNS + 2)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPE_COLUMNS
    lines = [
        line
        for text in (finding.found, finding.advice)
        for line in wrap(text, width - len(indent), break_long_words=False, break_on_hyphens=False)
    ]
    typer.echo(f"{typer.style(mark, colour)} {finding.check:<{_NAME_COLUMNS}} {lines[0]}")
    for line in lines[1:]:
        typer.echo(indent + line)
