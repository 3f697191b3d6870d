"""The command link: first contact with a OneFile that has accounts already."""

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import StringIO
from math import ceil
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.context import at_work, exit_code
from syncd.cli.options import OrganisationOption, whoami
from syncd.cli.program import app
from syncd.core.evidence import Likeness
from syncd.core.fields import Role
from syncd.core.matching import Mismatch, Proposal
from syncd.core.run import Action, RunState
from syncd.core.spreadsheet import as_text, from_text
from syncd.core.text import join, plural
from syncd.errors import LinksUnusable
from syncd.operations.first_contact import AccountOutcome, LinkProposals, RecordOutcome, find_links
from syncd.operations.link import Decision, LinkRow, LinksApplied, apply_links
from syncd.sync.context import SyncContext

_DEFAULT_FILE: Final = Path("onefile-links.csv")


_MANY_CALLS: Final = 50

_AMBIGUOUS: Final = "ambiguous"
#: The column confidence, the surest first.
_CONFIDENCES: Final = (Likeness.CERTAIN, Likeness.LIKELY, Likeness.POSSIBLE, _AMBIGUOUS)

_Outcome = TypeVar("_Outcome", AccountOutcome, RecordOutcome)

_NEEDED: Final = ("apply", "role", "misid", "user_id")
#: Files of earlier versions do not have it.
_MISID_IN_ONEFILE: Final = "misid_in_onefile"
_COLUMNS: Final = (
    *_NEEDED,
    _MISID_IN_ONEFILE,
    "reason",
    "confidence",
    "agree",
    "differ",
    "name_in_mis",
    "name_in_onefile",
)

_DECISIONS: Final = {
    **dict.fromkeys(("yes", "y", "x", "1"), Decision.YES),
    **dict.fromkeys(("no", "n", "0"), Decision.NO),
    "": Decision.OPEN,
}

#: What is said of the accounts that are not linked, in this order.
_ACCOUNTS_LEFT: Final = {
    AccountOutcome.DUPLICATE: "its MISID is on several accounts of one role",
    AccountOutcome.WRONG: "has the MISID of a record with other names, and resembles no other record",
    AccountOutcome.NOT_LINKED: "has the MISID of a record that is held or has another account",
    AccountOutcome.NO_MISID: "has no MISID, and resembles no record",
    AccountOutcome.OTHER_MISID: "has a MISID that no record has, and resembles no record",
    AccountOutcome.UNLISTED: "is archived or of a role without a feed, and resembles no record",
}
#: What is said of the records that are not linked, in this order.
_RECORDS_LEFT: Final = {
    RecordOutcome.NEW: "resembles no account, or is answered as new: the next run creates one",
    RecordOutcome.DUPLICATE: "its MISID is on several accounts: runs hold it",
    RecordOutcome.WRONG: "its MISID is on another person's account: runs hold it",
    RecordOutcome.TAKEN: "its MISID is on an account that has another one in the state store: runs hold it",
    RecordOutcome.IN_DOUBT: "its create is in doubt: each run searches OneFile for it",
    RecordOutcome.HELD: "is invalid, or repeats a MISID: 'syncd held' lists it after a run",
}


@app.command()
def link(
    *,
    apply: Annotated[Path | None, typer.Option("--apply", metavar="FILE", help="Apply the answers in FILE.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help=f"The CSV file for the proposals. (default: {_DEFAULT_FILE})",
            show_default=False,
        ),
    ] = None,
    approve: Annotated[
        bool, typer.Option("--approve", help="With --apply: approve the run beforehand, whatever its size.")
    ] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Match existing OneFile accounts to MIS records, so that the first run does not create duplicates.

    Accounts that have a record's MISID are linked at once in the state store; OneFile is not changed. (This also
    rebuilds a lost state store.) Other accounts, and places, are proposed in a CSV file if they resemble a record:
    those without a MISID, with a MISID that no record has, or with that of another record, whose names differ. The
    file has names: keep it confidential. Runs hold the records in it until they are answered.

    Check each row and write yes into the column apply if it is the record's account, or no if it is not; a row
    without an answer waits. Then run 'syncd link --apply FILE': a yes gives the account the record's MISID, also in
    place of another one. A record whose rows all say no is created by the next run. If the guard stops the run,
    run 'syncd approve' and the same command again.

    An older onefile-links.csv is not overwritten: apply, rename or delete it first, or name another file with --out.

    Exit codes: 0 done; 1 error, nothing was changed; 3 waits for 'syncd approve'; 4 some links were refused; 5
    another run is in progress.
    """
    if apply is not None:
        if out is not None:
            raise typer.BadParameter("cannot be combined with --apply", param_hint="--out")
        _apply(apply, config, organisation, approve=approve)
        return
    if approve:
        raise typer.BadParameter("requires --apply", param_hint="--approve")
    file = out or _DEFAULT_FILE
    _refuse_existing(file)
    with at_work(config, organisation, may_create=True) as context:
        found = find_links(context, _say_how_many(context))
    if found.proposals:
        _write(file, found.proposals)
    _print_found(found, file)


def _apply(file: Path, config: Path | None, organisation: int | None, *, approve: bool) -> None:
    rows = _rows_in(file)
    if all(row.decision is Decision.OPEN for row in rows):
        typer.echo(f"No row of {file} says yes or no: nothing to do.")
        return
    with at_work(config, organisation, may_create=True) as context:
        done = apply_links(context, rows, approved_by=whoami() if approve else "")
    run = done.run
    if run.state is RunState.AWAITING_APPROVAL:
        typer.echo(f"Run {run.run} sent nothing and waits for approval: {'; '.join(run.objections)}.")
        typer.echo("Run 'syncd approve' and then the same command again, or 'syncd reject'.")
    else:
        _print_applied(done, sum(row.decision is Decision.YES for row in rows))
    raise typer.Exit(exit_code(run))


def _print_applied(done: LinksApplied, chosen: int) -> None:
    run = done.run
    linked = run.applied.get(Action.LINK, 0)
    typer.echo(f"Run {run.run}: {linked} linked; {run.calls} calls.")
    others = (
        (chosen - linked - run.refused - run.in_doubt - run.queued, "were linked already"),
        (run.refused, "refused by OneFile (archived ones are unarchived by the next run): see 'syncd history MISID'"),
        (run.in_doubt, "without an answer from OneFile"),
        (run.queued, "not sent, because OneFile refuses such changes: apply the file again once that is mended"),
        (done.new, "answered no: the next run creates them"),
        (done.open, "held until the file has an answer for them"),
    )
    for count, what in others:
        if count:
            typer.echo(f"  {count} {what}")
    if run.in_doubt:
        typer.echo("Apply the file again, to link those without an answer: runs hold them until then.")


def _say_how_many(context: SyncContext) -> Callable[[int], None]:
    def say(calls: int) -> None:
        if calls > _MANY_CALLS:
            minutes = ceil(calls / context.onefile.rate_limiter.calls_per_second / 60)
            typer.echo(
                f"Reading {calls} accounts one by one: {calls} calls, at most {minutes} minute{'s' * (minutes > 1)}.",
                err=True,
            )

    return say


def _print_found(found: LinkProposals, file: Path) -> None:
    records, accounts = sum(found.records.values()), sum(found.accounts.values())
    typer.echo(f"Compared: {plural(records, 'record')} of people, {plural(accounts, 'account')} in OneFile.")
    typer.echo(f"Linked by MISID: {len(found.linked)}.")
    if known := found.records.get(RecordOutcome.KNOWN):
        typer.echo(f"Linked before: {known}.")
    if found.duplicates:
        typer.echo(
            "These MISIDs are on several accounts of one role (archived ones included); correct that in OneFile:"
        )
        for misid, user_ids in found.duplicates:
            typer.echo(f"  MISID {misid}: UserIDs {', '.join(map(str, user_ids))}")
    if found.taken:
        typer.echo(
            "These accounts have another MISID in the state store than in OneFile; use 'syncd rekey' or 'syncd unlink':"
        )
        for key, user_id in sorted(found.taken.items()):
            typer.echo(f"  MISID {key.misid}: UserID {user_id}")
    if found.wrong:
        typer.echo("These MISIDs are on the account of a person with other names, which was not linked:")
        for key, (user_id, evidence) in sorted(found.wrong.items(), key=lambda item: item[0]):
            typer.echo(f"  MISID {key.misid}: UserID {user_id} ({evidence})")
    _print_proposals(found.proposals, file)
    _print_left(found.accounts, _ACCOUNTS_LEFT, "Accounts that were not matched")
    _print_left(found.records, _RECORDS_LEFT, "Records that were not matched")
    if found.new_places:
        typer.echo(f"{plural(found.new_places, 'place')} that OneFile does not have: the next run creates them.")


def _print_proposals(proposals: Sequence[Proposal], file: Path) -> None:
    if not proposals:
        return
    people = len({proposal.key for proposal in proposals})
    typer.echo(f"Proposed in {file}: {plural(len(proposals), 'match', 'matches')} for {plural(people, 'record')}.")
    confidences = Counter(_confidence(proposal) for proposal in proposals)
    typer.echo(f"  {join([f'{count} {each}' for each in _CONFIDENCES if (count := confidences[each])])}")
    mismatches = Counter(proposal.mismatch for proposal in proposals)
    typer.echo(f"  {join([f'{count} with {each}' for each in Mismatch if (count := mismatches[each])])}")
    typer.echo(f"Write yes or no into the column apply of each row, then: syncd link --apply {file}")
    typer.echo("Runs hold these records until then.")


def _print_left(counts: Mapping[_Outcome, int], sentences: Mapping[_Outcome, str], title: str) -> None:
    left = {outcome: count for outcome in sentences if (count := counts.get(outcome))}
    if left:
        typer.echo(f"{title}: {sum(left.values()):,}.")
        for outcome, count in left.items():
            typer.echo(f"  {count:,}: {sentences[outcome]}")


def _refuse_existing(file: Path) -> None:
    if file.exists():
        raise LinksUnusable(
            f"{file} already exists and is not overwritten. If it has answers, run 'syncd link --apply {file}' first. "
            "If not, as after a lost state store, rename or delete it and run this again, or name another file with "
            "--out."
        )
    if not file.absolute().parent.is_dir():
        raise LinksUnusable(f"{file} cannot be written: its folder does not exist.")


def _write(file: Path, proposals: Iterable[Proposal]) -> None:
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    writer.writerows(map(_row, proposals))
    try:
        # It contains names. Created with mode 0600: no other user can ever read it.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        # Without the byte order mark, a spreadsheet would misread accents.
        with os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="") as stream:
            stream.write(text.getvalue())
    except FileExistsError:
        _refuse_existing(file)
    except OSError as problem:
        raise LinksUnusable(f"{file} cannot be written: {problem.strerror}.") from None


def _row(proposal: Proposal) -> tuple[object, ...]:
    return (
        _answer_to(proposal),
        proposal.key.role,
        as_text(proposal.key.misid),
        proposal.user_id,
        as_text(proposal.misid_in_onefile),
        proposal.mismatch,
        _confidence(proposal),
        " ".join(proposal.evidence.equal),
        " ".join(proposal.evidence.differ),
        as_text(proposal.name_in_mis),
        as_text(proposal.name_in_onefile),
    )


def _answer_to(proposal: Proposal) -> str:
    if proposal.mismatch is Mismatch.EARLIER:
        return "no"
    return "yes" if proposal.is_sure else ""


def _confidence(proposal: Proposal) -> str:
    return _AMBIGUOUS if proposal.is_ambiguous else proposal.likeness


def _rows_in(file: Path) -> list[LinkRow]:
    """The rows of a file. Raises `LinksUnusable` for the first one that cannot be read."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines, strict=True)
            columns = {name.strip().lower(): name for name in rows.fieldnames or ()}
            for name in _NEEDED:
                if name not in columns:
                    raise LinksUnusable(f"{file}, line 1: the column {name} is missing. Nothing was changed.")
            read = []
            for row in rows:
                cells = {name: from_text((row[column] or "").strip()) for name, column in columns.items() if name}
                where = f"{file}, line {rows.line_num}"
                decision = _decision(cells, where)
                if decision is not Decision.OPEN or cells["misid"]:
                    read.append(_link(cells, where, decision))
            return read
    except OSError as problem:
        raise LinksUnusable(f"{file} cannot be read: {problem.strerror}.") from None
    except UnicodeDecodeError:
        raise LinksUnusable(f"{file} is not UTF-8: save it as 'CSV UTF-8'.") from None
    except csv.Error:
        raise LinksUnusable(f"{file} is not a CSV file with commas between its columns.") from None


def _decision(cells: Mapping[str, str], where: str) -> Decision:
    decision = _DECISIONS.get(cells["apply"].casefold())
    if decision is None:
        raise LinksUnusable(f"{where}, column apply: must be yes, no or empty. Nothing was changed.")
    return decision


def _link(cells: Mapping[str, str], where: str, decision: Decision) -> LinkRow:
    roles = {role.casefold(): role for role in Role}
    role = roles.get(cells["role"].casefold())
    if role is None:
        raise LinksUnusable(f"{where}, column role: must be one of {', '.join(Role)}. Nothing was changed.")
    if not cells["misid"]:
        raise LinksUnusable(f"{where}, column misid: must not be empty. Nothing was changed.")
    user_id = cells["user_id"]
    if not (user_id.isascii() and user_id.isdigit() and len(user_id) <= 18 and int(user_id)):
        raise LinksUnusable(f"{where}, column user_id: must be a UserID. Nothing was changed.")
    return LinkRow(role, cells["misid"], int(user_id), where, decision, cells.get(_MISID_IN_ONEFILE))
