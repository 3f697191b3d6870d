"""The command unlink: takes a wrong link back."""

from typing import Annotated

import typer

from syncd.cli.context import at_work
from syncd.cli.options import ConfigOption, OrganisationOption, role_named, whoami
from syncd.cli.program import app
from syncd.core.fields import Role
from syncd.errors import LinksUnusable, NothingToSettle
from syncd.operations.link import (
    UnlinkResult,
    forget,
    known_keys,
    unlink,
)


@app.command(name="unlink", rich_help_panel="First contact")
def unlink_(
    misid: Annotated[str, typer.Argument(metavar="MISID", help="Whose account is the wrong one.")],
    *,
    role: Annotated[
        Role | None,
        typer.Option(
            "--role",
            metavar="ROLE",
            parser=role_named,
            help=f"Where the person has accounts of several roles: {', '.join(Role)}.",
        ),
    ] = None,
    forget_only: Annotated[
        bool, typer.Option("--forget", help="Only forget it here, and leave OneFile as it is, unasked.")
    ] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Take a wrong link back.

    If the account still has the MISID in OneFile, it is given another one, unlinked-<UserID>, which is nobody's:
    whether OneFile can empty a MISID is not known. So it is not linked to the same person again. Then the state store
    forgets it. Values that syncd has sent to the account since stay in OneFile.

    Afterwards the person has no account: the next run creates one, unless you link another first.
    Ends with 0, or with 1 when there is no such link or OneFile did not take the change.
    """
    with at_work(config, organisation) as context:
        found = known_keys(context, misid, role)
        if not found:
            raise NothingToSettle(f"The state store knows no account with the MISID {misid}; see 'syncd accounts'.")
        if len(found) > 1:
            roles = ", ".join(sorted(key.role for key in found))
            raise NothingToSettle(f"{misid} is the MISID of several accounts: {roles}. Say which with --role.")
        ((key, account),) = found.items()
        if account.user_id is None:
            raise NothingToSettle(f"The account of {misid} has only been asked for; 'syncd sync' finds it first.")
        if forget_only:
            forget(context, key)
            typer.echo(
                f"{misid} and UserID {account.user_id} are no longer linked here. OneFile was not asked: "
                "if the account has the MISID there, the next run links it again."
            )
            return
        outcome = unlink(context, key, account.user_id, whoami())
    match outcome:
        case UnlinkResult.MARKED:
            typer.echo(
                f"UserID {account.user_id} has the MISID unlinked-{account.user_id} in OneFile now, "
                f"and {misid} has no account. The next run creates one, unless you link another first."
            )
        case UnlinkResult.WAS_GONE:
            typer.echo(
                f"UserID {account.user_id} did not have the MISID {misid} in OneFile any more, so only the state store "
                "was changed."
            )
        case UnlinkResult.NOT_YET:
            raise LinksUnusable(
                f"OneFile did not take the change of UserID {account.user_id}, and nothing was forgotten; "
                f"'syncd history {misid}' says why. Take the MISID off in OneFile, then run this again."
            )
