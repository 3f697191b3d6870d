"""The command release: a MISID now belongs to another person."""

from typing import Annotated

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.context import run_plan
from syncd.cli.options import ApproveOption, OnlyRoleOption, OrganisationOption, misid_given
from syncd.cli.program import app
from syncd.core.run import Action, Trigger
from syncd.operations.rekey import release_plan
from syncd.sync.run import RunResult


@app.command()
def release(
    misid: Annotated[str, typer.Argument(metavar="MISID", parser=misid_given, help="The MISID with a new owner.")],
    *,
    role: OnlyRoleOption = None,
    approve: ApproveOption = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Take a MISID from its account, because the MIS has given it to another person.

    The account gets the MISID released-<UserID> in OneFile and becomes a leaver; it keeps its values, its portfolio and
    its history. The next run finds the MISID without an account and creates the new person. If it was a mistake, and
    the new account is not created yet: 'syncd rekey released-<UserID> MISID'.

    Exit codes: 0 done; 1 there is no such account, or no feed has the MISID; 3 waits for 'syncd approve'; 4 OneFile did
    not accept it; 5 another run is in progress.
    """

    def remark(done: RunResult) -> str:
        if not done.applied.get(Action.REKEY):
            return ""
        return f"The account is a leaver's now; the next run creates an account for {misid}, unless it must be held."

    run_plan((config, organisation), Trigger.RELEASE, release_plan(misid, role), approve=approve, remark=remark)
