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
        Path | None, typer.Option("--apply", metavar="FILE", help="Link the rows of FILE that say yes.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help=f"Where the proposals go; {_DEFAULT_FILE} if left out.", show_default=False
        ),
    ] = None,
    approve: Annotated[
        bool, typer.Option("--approve", help="With --apply: approve it beforehand, however many they are.")
    ] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Find out which of OneFile's accounts is whose, before the first run makes anybody a second one.

    Accounts that have somebody's MISID are recorded as that person's at once, and OneFile is not changed. This is
    also how a state store that was lost is made anew. A MISID on several accounts is listed, for you to settle in
    OneFile.

    For people without an account by MISID, accounts without a MISID are proposed that have the same ULN, the same
    e-mail address and date of birth, or the same names and date of birth. The proposals go into a CSV file, with
    names, so keep it to yourself. Look at each row, put yes into the column apply where it is right, and
    'syncd link --apply FILE' gives those accounts their MISIDs. That is a run like any other: the guard may stop it,
    and then it is 'syncd approve' and the same command again. Let no daemon run meanwhile: whoever is not linked yet
    would be created.

    It takes a call for every 50 accounts in OneFile, for each role and once more over all, and one for each account
    whose names resemble somebody's; how many that are is said before more than 50 are made.

    Ends with 0, with 1 when it could not be done and nothing was changed, with 3 when it waits for 'syncd approve',
    with 4 when some links were refused, with 5 when another run is at work.
    """
    if apply is not None:
        if out is not None:
            raise typer.BadParameter("--out is where proposals are written; --apply reads them", param_hint="--out")
        _apply(apply, config, organisation, approve=approve)
        return
    if approve:
        raise typer.BadParameter("there is nothing to approve without --apply", param_hint="--approve")
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
        typer.echo(f"No row of {file} says yes, so there is nothing to link.")
        return
    with at_work(config, organisation) as context:
        done = apply_links(context, links, approved_by=whoami() if approve else "")
    if done.state is RunState.AWAITING_APPROVAL:
        typer.echo(f"Run {done.run} waits for approval and has sent nothing: {'; '.join(done.objections)}.")
        typer.echo("'syncd approve' lets it, and then the same command does it; 'syncd reject' puts it aside.")
    else:
        _print_applied(done, len(links))
    raise typer.Exit(exit_code(done))


def _print_applied(done: RunResult, chosen: int) -> None:
    linked = done.applied.get(Action.LINK, 0)
    typer.echo(f"Run {done.run}: {linked} linked; {done.calls} calls.")
    trouble = (
        (chosen - linked - done.refused - done.in_doubt, "were linked already"),
        (done.refused, "refused by OneFile: 'syncd history MISID' says why; it refuses changes of archived accounts"),
        (done.in_doubt, "without an answer"),
    )
    for count, what in trouble:
        if count:
            typer.echo(f"  {count} {what}")
    if done.refused or done.in_doubt:
        typer.echo("Apply the file again before the next run, which would create another account for those it misses.")


def _say_how_many(context: SyncContext) -> Callable[[int], None]:
    def say(calls: int) -> None:
        if calls > _MANY_CALLS:
            minutes = ceil(calls / context.onefile.rate_limiter.calls_per_second / 60)
            typer.echo(
                f"{calls} accounts are looked at one by one: {calls} calls, {minutes} minute{'s' * (minutes > 1)} "
                "at most.",
                err=True,
            )

    return say


def _print_found(found: LinkProposals, file: Path) -> None:
    typer.echo(f"Linked by MISID: {len(found.linked)}.")
    if found.duplicates:
        typer.echo("On several accounts of one role, and for you to settle in OneFile, archived accounts included:")
        for misid, user_ids in found.duplicates:
            typer.echo(f"  MISID {misid}: UserIDs {', '.join(map(str, user_ids))}")
    if found.taken:
        typer.echo("Known here under another MISID than OneFile has, and for you to settle with rekey or unlink:")
        for key, user_id in sorted(found.taken.items()):
            typer.echo(f"  MISID {key.misid}: UserID {user_id}")
    if found.proposals:
        reasons = Counter(proposal.likeness for proposal in found.proposals)
        listed = ", ".join(f"{reasons[likeness]} by {likeness}" for likeness in Likeness if reasons[likeness])
        ambiguous = sum(proposal.is_ambiguous for proposal in found.proposals)
        typer.echo(f"Proposed in {file}: {listed}" + (f"; {ambiguous} of them ambiguous." if ambiguous else "."))
        typer.echo(
            f"Look at each row, put yes into the column apply where it is right, then: syncd link --apply {file}"
        )
    if found.without:
        typer.echo(f"Without an account that could be theirs: {found.without}; the next run creates them.")


def _refuse_existing(file: Path) -> None:
    if file.exists():
        raise LinksUnusable(
            f"{file} is there already and is not overwritten. Apply it or move it away, or name another with --out."
        )
    if not file.absolute().parent.is_dir():
        raise LinksUnusable(f"{file} cannot be written: there is no such folder.")


def _write(file: Path, proposals: Iterable[Proposal]) -> None:
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    writer.writerows(map(_row, proposals))
    try:
        # Names are in it, so it is nobody else's from its first moment on.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        # Without the mark at its beginning a spreadsheet would take accents for something else.
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
                    raise LinksUnusable(f"{file}, line 1: there is no column {name}. Nothing was changed.")
            links = []
            for row in rows:
                cells = {name: from_text((row[columns[name]] or "").strip()) for name in _NEEDED}
                if _says_yes(cells, where := f"{file}, line {rows.line_num}"):
                    links.append(_link(cells, where))
            return links
    except OSError as problem:
        raise LinksUnusable(f"{file} cannot be read: {problem.strerror}.") from None
    except UnicodeDecodeError:
        raise LinksUnusable(f"{file} is not UTF-8 text; save it as 'CSV UTF-8'.") from None
    except csv.Error:
        raise LinksUnusable(f"{file} is not a CSV file with commas between its columns.") from None


def _says_yes(cells: Mapping[str, str], where: str) -> bool:
    said = cells["apply"].casefold()
    if said not in _YES | _NO:
        raise LinksUnusable(f"{where}, column apply: write yes, or leave it empty. Nothing was changed.")
    return said in _YES


def _link(cells: Mapping[str, str], where: str) -> LinkRow:
    roles = {role.casefold(): role for role in Role}
    role = roles.get(cells["role"].casefold())
    if role is None:
        raise LinksUnusable(f"{where}, column role: it is one of {', '.join(Role)}. Nothing was changed.")
    if not cells["misid"]:
        raise LinksUnusable(f"{where}, column misid: it is empty. Nothing was changed.")
    user_id = cells["user_id"]
    if not (user_id.isascii() and user_id.isdigit() and len(user_id) <= 18 and int(user_id)):
        raise LinksUnusable(f"{where}, column user_id: it is not a UserID. Nothing was changed.")
    return LinkRow(role, cells["misid"], int(user_id), where)
