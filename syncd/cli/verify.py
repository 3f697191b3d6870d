"""The command verify: report drift in OneFile."""

from functools import partial
from typing import Annotated, Any

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.context import at_work
from syncd.cli.options import JsonOption, OrganisationOption
from syncd.cli.output.json import print_json
from syncd.cli.output.text import print_table, shortly
from syncd.cli.program import app
from syncd.core.drift import ARCHIVED, Drift, DriftKind
from syncd.core.run import Action, RunState, Trigger
from syncd.core.text import plural
from syncd.operations.verify import VerifyProgress, VerifyResult, verify_once
from syncd.sync.resync import run_yielding_to_resyncs
from syncd.wiring.clock import now

_AS_LEFT, _AWAITING_APPROVAL, _SOME_DRIFT = 0, 3, 4


@app.command()
def verify(
    *,
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Send the MIS's values of the fields with drift again, and unarchive accounts."),
    ] = False,
    full: Annotated[
        bool,
        typer.Option("--full", help="Read every account, not only those changed or archived since the last verify."),
    ] = False,
    json: JsonOption = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Read accounts back from OneFile and report drift: values that differ from those OneFile last accepted.

    An account that is archived in OneFile although the MIS has its record has drifted as well: its field is "archived".
    A difference in letter case only is no drift, except in a MISID.
    Reads the accounts changed in OneFile since the last verify, and those that OneFile does not list as active; once a
    week every account, at one call each.
    Sends nothing without --fix; the guard applies to what --fix sends. A value that OneFile accepts and does not keep
    is reported once and not sent again.

    Exit codes: 0 no drift, or --fix corrected all of it; 1 could not run; 3 --fix waits for 'syncd approve'; 4 drift;
    5 another run is in progress.
    """
    with at_work(config, organisation) as context:
        verifying = partial(verify_once, trigger=Trigger.VERIFY, fix=fix, full=full, so_far=VerifyProgress())
        verified = run_yielding_to_resyncs(context, verifying)
    if json:
        print_json([_document(drift) for drift in verified.drift])
    else:
        _print(verified, fix=fix)
    raise typer.Exit(_exit_code(verified))


def _exit_code(verified: VerifyResult) -> int:
    if verified.done.state is RunState.AWAITING_APPROVAL:
        return _AWAITING_APPROVAL
    return _SOME_DRIFT if verified.left else _AS_LEFT


def _document(drift: Drift) -> dict[str, Any]:
    return {
        "role": drift.key.role,
        "misid": drift.key.misid,
        "user_id": drift.user_id,
        "fields": list(drift.fields),
        "kind": drift.kind,
        "not_kept": list(drift.not_kept),
    }


def _print(verified: VerifyResult, *, fix: bool) -> None:
    if verified.drift:
        rows = ((one.key.role, one.key.misid, one.user_id, one.in_words) for one in verified.drift)
        print_table(("role", "MISID", "UserID", "what differs"), rows, "")
        typer.echo()
    scope = "all accounts" if verified.is_full else "the accounts changed or archived in OneFile since the last verify"
    found = f"{len(verified.drift)} with drift" if verified.drift else "no drift"
    typer.echo(f"As of {shortly(now())}: {found} in {scope} ({verified.checked:,} read back).")
    if verified.not_told:
        typer.echo(f"Not compared, because OneFile does not return them: {', '.join(sorted(verified.not_told))}.")
    if not_kept := sum(bool(one.not_kept) for one in verified.drift):
        typer.echo(
            f"Not kept: OneFile accepted the values of {plural(not_kept, 'account')} from an earlier 'syncd verify "
            "--fix' and still has others. They are neither sent nor reported again while OneFile has these."
        )
    done = verified.done
    if done.state is RunState.AWAITING_APPROVAL:
        typer.echo(f"Run {done.run} sent nothing and waits for approval: {'; '.join(done.objections)}.")
        typer.echo("Run 'syncd approve' and then 'syncd verify --fix' again, or 'syncd reject'.")
    elif fix and done.counts.updates:
        unarchived = done.applied.get(Action.UNARCHIVE, 0)
        counts = (
            (unarchived, "unarchived"),
            (done.sent - unarchived, "sent again"),
            (done.refused, "refused by OneFile"),
            (done.in_doubt, "in doubt"),
            (done.queued, "queued, because OneFile refuses such changes"),
        )
        typer.echo(f"Run {done.run}: {', '.join(f'{count} {what}' for count, what in counts if count)}.")
    elif any(one.kind is DriftKind.CHANGED and one.fields != one.not_kept for one in verified.drift):
        unarchives = any(ARCHIVED in one.fields for one in verified.drift)
        also = " and unarchives accounts whose records are in the MIS" if unarchives else ""
        typer.echo(f"'syncd verify --fix' sends the MIS's values again{also}.")
