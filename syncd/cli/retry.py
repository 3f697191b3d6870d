"""The command retry: lets the next run retry held records, and answers questions about people."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.options import (
    OnlyRoleOption,
    OrganisationOption,
    ReasonOption,
    misid_given,
    organisations_of,
    reason_named,
    settings_of,
)
from syncd.cli.output.csv import misid_in, read_csv, role_in
from syncd.cli.program import app
from syncd.core.identity import Answer
from syncd.core.text import join, plural
from syncd.errors import ConfigurationError
from syncd.operations.decisions import DecisionRow, decide
from syncd.settings import Settings
from syncd.state import held_records
from syncd.state.held_records import ANSWERED_BY_RETRY, Selection
from syncd.state.session import writing_session
from syncd.wiring.clock import now
from syncd.wiring.store import open_store

_NEEDED: Final = ("role", "misid", "reason", "other", "user_id", "answer")
#: How many rows that no longer apply are listed.
_LISTED: Final = 5


@app.command()
def retry(
    misid: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MISID", parser=misid_given, help="The MISIDs to retry. Omit it to retry every refused record."
        ),
    ] = None,
    *,
    reason: ReasonOption = None,
    role: OnlyRoleOption = None,
    from_csv: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="CSV", help="The list of 'syncd held --csv', with the answers in its last column."
        ),
    ] = None,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Let the next run retry refused records, and answer questions about people.

    Refused records are sent again. A record held by a question about its person is answered if you name its MISID or
    the reason: for "rekeyed?", "lookalike key" and "has an account?" the answer is "a new person", who gets an account
    of their own; for "another person?" it is "the same person", whose account is updated. For "in doubt" it confirms
    that you have looked and OneFile does not have the account: the next run searches once more, and then creates it.
    Records held for other reasons need no retry: every run checks them again.

    To give other answers, or many: write the list with 'syncd held --csv', write "same" or "new" into its column
    answer, leave the other rows empty, and give it to --from. "same" keeps the account: it gets the new MISID, or is
    linked. "new" creates one, and releases the account of a MISID that has a new owner.

    The next run carries the answers out, through plan, guard and audit: 'syncd plan' shows it, 'syncd sync' or
    'syncd resync' starts it.
    """
    settings = settings_of(config)
    if from_csv is not None:
        if misid or reason or role:
            raise typer.BadParameter("cannot be combined with MISIDs, --reason or --role", param_hint="--from")
        _retry_from(from_csv, settings, organisation)
        return
    store = open_store(settings)
    organisations = organisations_of(settings, organisation)
    selection = Selection(frozenset(misid or ()), reason, role)
    with writing_session(store, organisations[0], now) as session:
        sessions = [session.for_organisation(each) for each in organisations]
        answered = Counter(
            ANSWERED_BY_RETRY[entry.reason]
            for each in sessions
            for entry in held_records.listing(each, selection)
            if selection.names_questions and entry.reason in ANSWERED_BY_RETRY
        )
        count = sum(held_records.retry(each, selection) for each in sessions)
    if not count:
        typer.echo("There is nothing to retry: 'syncd held' lists the held records, and every run checks them again.")
        return
    typer.echo(f"The next run retries {plural(count, 'held record')}{_as_answered(answered)}.")


def _as_answered(answered: Mapping[Answer, int]) -> str:
    what = {Answer.NEW: "as a new person", Answer.SAME: "as the same person as before"}
    said = [f"{count:,} {what[answer]}" for answer, count in answered.items() if count]
    return f": {join(said)}" if said else ""


def _retry_from(file: Path, settings: Settings, organisation: int | None) -> None:
    organisations = organisations_of(settings, organisation)
    rows = _rows_in(file, settings.onefile.all_organisations)
    store = open_store(settings)
    with writing_session(store, organisations[0], now) as session:
        done = [decide(session.for_organisation(each), rows.get(each, ())) for each in organisations]
    outdated = [said for each in done for said in each.outdated]
    stored, answered = sum(each.stored for each in done), sum(each.answered for each in done)
    if not stored + answered + len(outdated):
        typer.echo(f"No row of {file} has an answer: write same or new into its column answer.")
        return
    typer.echo(f"The next run retries {plural(stored, 'held record')} as {file} says.")
    if answered:
        typer.echo(f"{plural(answered, 'row')} had this answer before.")
    if outdated:
        typer.echo(f"{plural(len(outdated), 'row')} no longer apply, and were left out:")
        for said in outdated[:_LISTED]:
            typer.echo(f"  {said}")
        if len(outdated) > _LISTED:
            typer.echo(f"  and {len(outdated) - _LISTED:,} more")


def _rows_in(file: Path, organisations: Sequence[int]) -> dict[int, list[DecisionRow]]:
    """Return the rows with an answer, by organisation. Raises `ConfigurationError`."""
    rows: dict[int, list[DecisionRow]] = {}
    needed = (*_NEEDED, "organisation_id") if len(organisations) > 1 else _NEEDED
    for where, cells in read_csv(file, needed):
        if cells["answer"]:
            rows.setdefault(_organisation_in(cells, organisations, where), []).append(_row_in(cells, where))
    return rows


def _row_in(cells: Mapping[str, str], where: str) -> DecisionRow:
    try:
        reason = reason_named(cells["reason"])
    except typer.BadParameter as problem:
        raise ConfigurationError(f"{where}, column reason: {problem.message}. Nothing was changed.") from None
    answers = {answer.value: answer for answer in Answer}
    answer = answers.get(cells["answer"].casefold())
    if answer is None:
        raise ConfigurationError(f"{where}, column answer: must be same, new or empty. Nothing was changed.")
    user_id = cells["user_id"]
    if user_id and not (user_id.isascii() and user_id.isdigit() and len(user_id) <= 18):
        raise ConfigurationError(f"{where}, column user_id: must be a UserID or empty. Nothing was changed.")
    return DecisionRow(
        role_in(cells, where),
        misid_in(cells, "misid", where),
        reason,
        answer,
        where,
        cells["other"],
        int(user_id) if user_id else None,
    )


def _organisation_in(cells: Mapping[str, str], organisations: Sequence[int], where: str) -> int:
    given = cells.get("organisation_id", "")
    if not given and len(organisations) == 1:
        return organisations[0]
    named = {str(each): each for each in organisations}
    if given not in named:
        listed = join(list(named))
        raise ConfigurationError(
            f"{where}, column organisation_id: must be {listed}, as the configuration has it. Nothing was changed."
        )
    return named[given]
