"""The command restore: unarchives an account."""

from typing import Annotated

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.context import at_work, exit_code
from syncd.cli.options import OrganisationOption, RoleOption, misid_given
from syncd.cli.output.text import print_done
from syncd.cli.program import app
from syncd.core.fields import Role
from syncd.core.run import RunState
from syncd.core.scope import NOTHING
from syncd.operations.rekey import restore as restore_account
from syncd.wiring.clock import now


@app.command()
def restore(
    misid: Annotated[str, typer.Argument(metavar="MISID", parser=misid_given, help="The MISID of the account.")],
    *,
    role: RoleOption = Role.LEARNER,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Unarchive an account, whatever the state store has as its status.

    If OneFile's answers do not show whether the account is archived, an unarchive is sent all the same. While the MIS
    does not have the person, the account stays a leaver and its grace period starts again; add the MISID to
    leavers.protect to keep it. A record that was held because OneFile refused it is sent again by the next run.

    Exit codes: 0 unarchived, or it was not archived; 1 there is no such account, or OneFile shows it as not archived;
    3 waits for 'syncd approve'; 4 OneFile refused; 5 another run is in progress.
    """
    with at_work(config, organisation) as context:
        restored = restore_account(context, misid, role)
    print_done(restored.done, now(), NOTHING)
    if restored.refusal:
        typer.echo(f"{restored.refusal.rstrip('.')}.")
    elif restored.was_archived is False:
        typer.echo("It was not archived: OneFile refused to unarchive it and shows it as active.")
    elif restored.was_archived is None and restored.done.state is RunState.FINISHED:
        typer.echo(f"OneFile did not show whether it was archived; the state store had it as {restored.status}.")
    raise typer.Exit(exit_code(restored.done))
