"""verify: is OneFile still as it was left?"""

from functools import partial
from typing import Annotated, Any

import typer

from syncd.cli.context import at_work
from syncd.cli.options import ConfigOption, JsonOption, OrganisationOption
from syncd.cli.output.json import print_json
from syncd.cli.output.text import print_table
from syncd.cli.program import app
from syncd.core.drift import Drift, DriftKind
from syncd.core.run import RunState, Trigger
from syncd.operations.verify import VerifyProgress, VerifyResult, verify_once
from syncd.sync.resync import run_yielding_to_resyncs

_AS_LEFT, _AWAITING_APPROVAL, _SOME_DRIFT = 0, 3, 4


@app.command(rich_help_panel="Running")
def verify(
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Send the MIS's values of these fields again.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Read every account back, and not only those changed since the last time.")
    ] = False,
    json: JsonOption = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Read accounts back from OneFile, and tell where it holds other values than it last accepted.

    Looks at what was changed in OneFile since the last verify, and once a week at everybody, at one call an account.
    Without --fix nothing is sent. What --fix would send passes the guard like any run.
    Ends with 0 when there is no drift, or --fix has put it all right; 4 when there is some; 3 when --fix waits for
    'syncd approve'; 1 when it could not run; 5 when another run is at work.
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
    }


def _print(verified: VerifyResult, *, fix: bool) -> None:
    if verified.drift:
        rows = ((one.key.role, one.key.misid, one.user_id, _what(one)) for one in verified.drift)
        print_table(("role", "MISID", "UserID", "what differs"), rows, "")
        typer.echo()
    whom = "all accounts" if verified.is_full else "the accounts changed in OneFile since the last verify"
    found = f"{len(verified.drift)} differ from what OneFile last accepted" if verified.drift else "none differs"
    typer.echo(f"Of {whom} ({verified.checked} read back) {found}.")
    if verified.not_told:
        typer.echo(f"Not told by OneFile, and so not compared: {', '.join(sorted(verified.not_told))}.")
    done = verified.done
    if done.state is RunState.AWAITING_APPROVAL:
        typer.echo(f"Run {done.run} waits for approval and has sent nothing: {'; '.join(done.objections)}.")
        typer.echo("Use 'syncd approve' and then 'syncd verify --fix' again, or 'syncd reject'.")
    elif fix and done.counts.updates:
        trouble = ((done.refused, "refused by OneFile"), (done.in_doubt, "in doubt"))
        said = [f"{count} {what}" for count, what in ((done.sent, "sent again"), *trouble) if count]
        typer.echo(f"Run {done.run}: {', '.join(said)}.")
    elif any(one.kind is DriftKind.CHANGED for one in verified.drift):
        typer.echo("'syncd verify --fix' sends the MIS's values again.")


def _what(drift: Drift) -> str:
    return ", ".join(drift.fields) if drift.kind is DriftKind.CHANGED else "OneFile no longer has the account"
