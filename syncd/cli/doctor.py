"""The command doctor: check what a run needs."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from textwrap import wrap
from typing import Final

import typer

from syncd import logs
from syncd.cli.config_option import ConfigOption, config_before_command
from syncd.cli.context import stopped_by_signals
from syncd.cli.options import JsonOption
from syncd.cli.output.json import print_json
from syncd.cli.output.text import width
from syncd.cli.program import app
from syncd.operations.doctor import Finding, State
from syncd.settings import configuration_file
from syncd.wiring.doctor import examine

_COLOURS: Final = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "red", State.SKIPPED: "bright_black"}
_MARKS: Final = {State.OK: "✓", State.WARNING: "!", State.FAILED: "✗", State.SKIPPED: "-"}
#: For a terminal that cannot show these signs.
_PLAIN_MARKS: Final = _MARKS | {State.OK: "+", State.FAILED: "x"}
_NAME_COLUMNS: Final = 14


@app.command()
def doctor(*, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Check what a run needs: configuration, state store, MIS, feeds, OneFile.

    Prints one line per check: the result and, for a problem, what to do. Reads every feed once per organisation,
    makes a few calls to OneFile, changes nothing and sends no message.

    Exit codes: 0 no problems (warnings, marked !, are allowed); 1 a check failed (marked ✗ or x).

    --json prints a list, in the order of the checks:

    each: check, state, found, advice: what to do next, if anything
      state: ok, warning, failed, or skipped because an earlier check failed
    """
    # The configuration may be broken, so the log does not depend on it.
    log = logs.set_up("console" if sys.stderr.isatty() else "json", "warning")
    findings, marks = [], _marks()
    with stopped_by_signals() as stopping:
        for finding in examine(configuration_file(config or config_before_command.get()), log, stopping):
            findings.append(finding)
            if not json:
                _print(finding, marks)
    if json:
        print_json([asdict(finding) for finding in findings])
    else:
        typer.echo(_conclusion(findings, marks))
    if any(finding.state is State.FAILED for finding in findings):
        raise typer.Exit(1)


def _marks() -> Mapping[State, str]:
    """Return the signs of the states that this terminal can show."""
    try:
        "".join(_MARKS.values()).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _PLAIN_MARKS
    return _MARKS


def _conclusion(findings: Sequence[Finding], marks: Mapping[State, str]) -> str:
    counts = Counter(finding.state for finding in findings)
    said = [
        f"{counts[state]} {what} ({marks[state]})"
        for state, what in ((State.FAILED, "to fix"), (State.WARNING, "to consider"))
        if counts[state]
    ]
    if counts[State.FAILED]:
        return f"{', '.join(said)}. Then run 'syncd doctor' again."
    return f"No problems found{f', {said[0]}' if said else ''}. 'syncd plan' shows what a run would do."


def _print(finding: Finding, marks: Mapping[State, str]) -> None:
    mark, colour = marks[finding.state], _COLOURS[finding.state]
    indent = " " * (len(mark) + _NAME_COLUMNS + 2)
    lines = [
        line
        for text in (finding.found, finding.advice)
        for line in wrap(text, width() - len(indent), break_long_words=False, break_on_hyphens=False)
    ]
    typer.echo(f"{typer.style(mark, colour)} {finding.check:<{_NAME_COLUMNS}} {lines[0]}")
    for line in lines[1:]:
        typer.echo(indent + line)
