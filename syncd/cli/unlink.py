"""The command unlink: undoes a wrong link."""

from typing import Annotated

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.context import at_work
from syncd.cli.options import OrganisationOption, misid_given, role_named, whoami
from syncd.cli.program import app
from syncd.core.fields import Role
from syncd.errors import LinksUnusable, NothingToSettle
from syncd.operations.link import (
    UnlinkResult,
    forget,
    known_keys,
    unlink,
)


@app.command(name="unlink")
def unlink_(
    misid: Annotated[
        str, typer.Argument(metavar="MISID", parser=misid_given, help="The MISID with the wrong account.")
    ],
    *,
    role: Annotated[
        Role | None,
        typer.Option(
            "--role",
            metavar="ROLE",
            parser=role_named,
            help=f"Needed if the MISID has accounts of several roles: {', '.join(Role)}.",
        ),
    ] = None,
    forget_only: Annotated[
        bool, typer.Option("--forget", help="Only change the state store; do not call OneFile.")
    ] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Undo a wrong link between a MISID and an account.

    If the account still has the MISID in OneFile, its MISID becomes unlinked-<UserID>, so that it is not linked to the
    same record again. Then the account is removed from the state store. Values already sent stay in OneFile.

    The record then has no account: the next run creates one, unless you link another first.

    Exit codes: 0 done; 1 there is no such link, or OneFile did not accept the change; 5 another run is in progress.
    """
    with at_work(config, organisation) as context:
        found = known_keys(context, misid, role)
        if not found:
            raise NothingToSettle(f"The state store has no account with the MISID {misid}; see 'syncd accounts'.")
        if len(found) > 1:
            roles = ", ".join(sorted(key.role for key in found))
            raise NothingToSettle(f"{misid} is the MISID of several accounts: {roles}. Choose one with --role.")
        ((key, account),) = found.items()
        if account.user_id is None:
            raise NothingToSettle(f"The account of {misid} has no UserID yet; run 'syncd sync' first to find it.")
        if forget_only:
            forget(context, key)
            typer.echo(
                f"{misid} and UserID {account.user_id} are no longer linked in the state store. OneFile was not "
                "called: if the account has the MISID there, the next run links it again."
            )
            return
        outcome = unlink(context, key, account.user_id, whoami())
    match outcome:
        case UnlinkResult.MARKED:
            typer.echo(
                f"In OneFile, UserID {account.user_id} now has the MISID unlinked-{account.user_id}; "
                f"{misid} has no account. The next run creates one, unless you link another first."
            )
        case UnlinkResult.WAS_GONE:
            typer.echo(
                f"UserID {account.user_id} no longer had the MISID {misid} in OneFile, so only the state store "
                "was changed."
            )
        case UnlinkResult.NOT_YET:
            raise LinksUnusable(
                f"OneFile did not accept the change of UserID {account.user_id}, so the link stays; "
                f"'syncd history {misid}' says why. Remove the MISID in OneFile, then run this again."
            )
