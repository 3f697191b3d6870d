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
    misid: Annotated[str, typer.Argument(metavar="MISID", help="Whose account.")],
    *,
    role: RoleOption = Role.LEARNER,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Take back that a leaver's account was archived.

    As long as the MIS does not have the person, the account is a leaver's still, and its grace begins anew; name the
    MISID in leavers.protect to keep it for good. Ends with 1 when the account is not an archived one.
    """
    run_plan((config, organisation), Trigger.RESTORE, restore_plan(misid, role), approve=False)
