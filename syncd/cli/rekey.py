"""The command rekey: the same person under a new MISID."""

from pathlib import Path
from typing import Annotated, Final

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.context import run_plan
from syncd.cli.options import ApproveOption, OrganisationOption, RoleOption, misid_given
from syncd.cli.output.csv import misid_in, read_csv, role_in
from syncd.cli.program import app
from syncd.core.fields import Role
from syncd.core.identity import Answer
from syncd.core.run import Action, Trigger
from syncd.core.text import plural
from syncd.errors import ConfigurationError
from syncd.operations.rekey import Move, rekey_plan
from syncd.sync.run import RunResult

#: The columns of a file written for this command, and of the list of 'syncd held --csv'.
_OLD_AND_NEW: Final = ("old", "new")
_OTHER_AND_MISID: Final = ("other", "misid")


@app.command()
def rekey(
    old: Annotated[
        str | None, typer.Argument(metavar="OLD", parser=misid_given, help="The MISID of the account.")
    ] = None,
    new: Annotated[
        str | None, typer.Argument(metavar="NEW", parser=misid_given, help="The same person's new MISID.")
    ] = None,
    *,
    from_csv: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="CSV",
            help="A CSV file with the columns old and new, or the list of 'syncd held --csv', for several people.",
        ),
    ] = None,
    role: RoleOption = Role.LEARNER,
    approve: ApproveOption = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Give an account a new MISID: the same person under a new number. UserID and history stay.

    The new MISID is sent to OneFile; a feed must have it. An archived account is unarchived first. The guard applies:
    too many at once wait for 'syncd approve'. Of a list that 'syncd held --csv' wrote, the rows with the answer "same"
    are used. Rows that were done before are left out, so that a file can be given again.

    Exit codes: 0 done; 1 an account cannot be given that MISID, nothing was sent; 3 waits for 'syncd approve'; 4
    OneFile did not accept it; 5 another run is in progress.
    """
    if from_csv is not None and old is None:
        moves = _moves_in(from_csv, role)
    elif from_csv is None and old is not None and new is not None:
        moves = [Move(role, old, new)]
    else:
        raise typer.BadParameter("give OLD and NEW, or --from CSV")

    def remark(done: RunResult) -> str:
        before = len(moves) - done.applied.get(Action.REKEY, 0) - done.refused - done.in_doubt - done.queued
        return f"{plural(before, 'account')} had the new MISID already." if before > 0 else ""

    run_plan((config, organisation), Trigger.REKEY, rekey_plan(moves), approve=approve, remark=remark)


def _moves_in(file: Path, role: Role) -> list[Move]:
    """Return the rows of a file; those of the list of held records if they are answered with "same"."""
    moves = []
    names: tuple[str, str] | None = None
    for where, cells in read_csv(file, ()):
        names = names or (_OTHER_AND_MISID if set(_OTHER_AND_MISID) <= cells.keys() else _OLD_AND_NEW)
        if missing := [name for name in names if name not in cells]:
            raise ConfigurationError(f"{file} has no column {' and no column '.join(missing)} in its first line.")
        if cells.get("answer", Answer.SAME).casefold() != Answer.SAME:
            continue
        old, new = (misid_in(cells, name, where) for name in names)
        moves.append(Move(role_in(cells, where) if "role" in cells else role, old, new))
    if not moves:
        raise ConfigurationError(f"{file} has no rows{' with the answer same' if names == _OTHER_AND_MISID else ''}.")
    return moves
