"""The command restore: unarchives a leaver's account."""

from typing import Annotated

import typer

from syncd.cli.context import run_plan
from syncd.cli.options import ConfigOption, OrganisationOption, RoleOption
from syncd.cli.program import app
from syncd.core.fields import Role
from syncd.core.run import Trigger
from syncd.operations.rekey import restore_plan


@app.command(rich_help_panel="Deciding")
def restore(
    misid: Annotated[str, typer.Argument(metavar="MISID", help="The MISID of the account.")],
    *,
    role: RoleOption = Role.LEARNER,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Unarchive a leaver's account.

    While the MIS does not have the person, the account stays a leaver and its grace period starts again; add the MISID
    to leavers.protect to keep it. Exit code 1: the account is not archived.
    """
    run_plan((config, organisation), Trigger.RESTORE, restore_plan(misid, role), approve=False)
