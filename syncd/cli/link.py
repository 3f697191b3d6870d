"""The command link: first contact with a OneFile that has accounts already."""

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from io import StringIO
from math import ceil
from pathlib import Path
from typing import Annotated, Final

import typer

from syncd.cli.context import at_work, exit_code
from syncd.cli.options import ConfigOption, OrganisationOption, whoami
from syncd.cli.output.csv import as_text, from_text
from syncd.cli.program import app
from syncd.core.fields import Role
from syncd.core.matching import Likeness, Proposal
from syncd.core.run import Action, RunState
from syncd.errors import LinksUnusable
from syncd.operations.link import (
    LinkProposals,
    LinkRow,
    apply_links,
    find_links,
)
from syncd.sync.context import SyncContext
from syncd.sync.run import RunResult

_DEFAULT_FILE: Final = Path("onefile-links.csv")


_MANY_CALLS: Final = 50


_NEEDED: Final = ("apply", "role", "misid", "user_id")


_COLUMNS: Final = (*_NEEDED, "reason", "confidence", "agree", "differ", "name_in_mis", "name_in_onefile")


_CONFIDENCE: Final = {Likeness.ULN: "high", Likeness.EMAIL_AND_DOB: "medium", Likeness.NAMES_AND_DOB: "low"}


_YES: Final = frozenset({"yes", "y", "x", "1"})


_NO: Final = frozenset({"", "no", "n", "0"})


@app.command(rich_help_panel="First contact")
def link(
    *,
    apply: Annotated[
        Path | None, typer.Option("--apply", metavar="FILE", help="Apply the rows of FILE that say yes.")
    ] = None,
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
    rebuilds a lost state store.) Accounts without a MISID that share the ULN, e-mail and date of birth, or names and
    date of birth with a record are proposed in a CSV file, with names: keep it confidential.

    Check each row, write yes into the column apply if the match is right, and run 'syncd link --apply FILE'. If the
    guard stops it, run 'syncd approve' and the same command again. Stop the daemon until you are done: it would
    create accounts for records that are not linked yet.

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
    with at_work(config, organisation) as context:
        found = find_links(context, _say_how_many(context))
    if found.proposals:
        _write(file, found.proposals)
    _print_found(found, file)


def _apply(file: Path, config: Path | None, organisation: int | None, *, approve: bool) -> None:
    links = _links_in(file)
    if not links:
        typer.echo(f"No row of {file} says yes: nothing to link.")
        return
    with at_work(config, organisation) as context:
        done = apply_links(context, links, approved_by=whoami() if approve else "")
    if done.state is RunState.AWAITING_APPROVAL:
        typer.echo(f"Run {done.run} sent nothing and waits for approval: {'; '.join(done.objections)}.")
        typer.echo("Run 'syncd approve' and then the same command again, or 'syncd reject'.")
    else:
        _print_applied(done, len(links))
    raise typer.Exit(exit_code(done))


def _print_applied(done: RunResult, chosen: int) -> None:
    linked = done.applied.get(Action.LINK, 0)
    typer.echo(f"Run {done.run}: {linked} linked; {done.calls} calls.")
    trouble = (
        (chosen - linked - done.refused - done.in_doubt, "were linked already"),
        (done.refused, "refused by OneFile, which refuses changes to archived accounts: see 'syncd history MISID'"),
        (done.in_doubt, "without an answer"),
    )
    for count, what in trouble:
        if count:
            typer.echo(f"  {count} {what}")
    if done.refused or done.in_doubt:
        typer.echo("Apply the file again before the next run: it would create new accounts for those not linked.")


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
    typer.echo(f"Linked by MISID: {len(found.linked)}.")
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
    if found.proposals:
        reasons = Counter(proposal.likeness for proposal in found.proposals)
        listed = ", ".join(f"{reasons[likeness]} by {likeness}" for likeness in Likeness if reasons[likeness])
        ambiguous = sum(proposal.is_ambiguous for proposal in found.proposals)
        typer.echo(f"Proposed in {file}: {listed}" + (f"; {ambiguous} of them ambiguous." if ambiguous else "."))
        typer.echo(f"Check each row, write yes into the column apply if it is right, then: syncd link --apply {file}")
    if found.without:
        typer.echo(f"Records without a matching account: {found.without}; the next run creates them.")


def _refuse_existing(file: Path) -> None:
    if file.exists():
        raise LinksUnusable(
            f"{file} already exists and is not overwritten. Apply it, move it away, or name another file with --out."
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
        "yes" if proposal.is_sure else "",
        proposal.key.role,
        as_text(proposal.key.misid),
        proposal.user_id,
        proposal.likeness,
        "ambiguous" if proposal.is_ambiguous else _CONFIDENCE[proposal.likeness],
        " ".join(proposal.agree),
        " ".join(proposal.differ),
        as_text(proposal.name_in_mis),
        as_text(proposal.name_in_onefile),
    )


def _links_in(file: Path) -> list[LinkRow]:
    """The rows that say yes. Raises `LinksUnusable` for the first one that cannot be read."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines, strict=True)
            columns = {name.strip().lower(): name for name in rows.fieldnames or ()}
            for name in _NEEDED:
                if name not in columns:
                    raise LinksUnusable(f"{file}, line 1: the column {name} is missing. Nothing was changed.")
            links = []
            for row in rows:
                cells = {name: from_text((row[columns[name]] or "").strip()) for name in _NEEDED}
                if _says_yes(cells, where := f"{file}, line {rows.line_num}"):
                    links.append(_link(cells, where))
            return links
    except OSError as problem:
        raise LinksUnusable(f"{file} cannot be read: {problem.strerror}.") from None
    except UnicodeDecodeError:
        raise LinksUnusable(f"{file} is not UTF-8: save it as 'CSV UTF-8'.") from None
    except csv.Error:
        raise LinksUnusable(f"{file} is not a CSV file with commas between its columns.") from None


def _says_yes(cells: Mapping[str, str], where: str) -> bool:
    said = cells["apply"].casefold()
    if said not in _YES | _NO:
        raise LinksUnusable(f"{where}, column apply: must be yes or empty. Nothing was changed.")
    return said in _YES


def _link(cells: Mapping[str, str], where: str) -> LinkRow:
    roles = {role.casefold(): role for role in Role}
    role = roles.get(cells["role"].casefold())
    if role is None:
        raise LinksUnusable(f"{where}, column role: must be one of {', '.join(Role)}. Nothing was changed.")
    if not cells["misid"]:
        raise LinksUnusable(f"{where}, column misid: must not be empty. Nothing was changed.")
    user_id = cells["user_id"]
    if not (user_id.isascii() and user_id.isdigit() and len(user_id) <= 18 and int(user_id)):
        raise LinksUnusable(f"{where}, column user_id: must be a UserID. Nothing was changed.")
    return LinkRow(role, cells["misid"], int(user_id), where)
