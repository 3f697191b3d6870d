"""The command rekey: the same person under a new MISID."""

import csv
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli.context import run_plan
from syncd.cli.options import ApproveOption, ConfigOption, OrganisationOption, RoleOption
from syncd.cli.program import app
from syncd.core.fields import Role
from syncd.core.run import Trigger
from syncd.errors import ConfigurationError
from syncd.operations.rekey import Move, rekey_plan


@app.command(rich_help_panel="Deciding")
def rekey(
    old: Annotated[str | None, typer.Argument(metavar="OLD", help="The MISID of the account.")] = None,
    new: Annotated[str | None, typer.Argument(metavar="NEW", help="The same person's new MISID.")] = None,
    *,
    from_csv: Annotated[
        Path | None,
        typer.Option("--from", metavar="CSV", help="A CSV file with the columns old and new, for several people."),
    ] = None,
    role: RoleOption = Role.LEARNER,
    approve: ApproveOption = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Give an account a new MISID: the same person under a new number. UserID and history stay.

    The new MISID is sent to OneFile. The guard applies: too many at once wait for 'syncd approve'.

    Exit code 1: an account cannot be given that MISID; nothing was sent.
    """
    if from_csv is not None and old is None:
        moves = _moves_in(from_csv, role)
    elif from_csv is None and old is not None and new is not None:
        moves = [Move(role, old, new)]
    else:
        raise typer.BadParameter("give OLD and NEW, or --from CSV")
    run_plan((config, organisation), Trigger.REKEY, rekey_plan(moves), approve=approve)


def _moves_in(file: Path, role: Role) -> list[Move]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            columns = {name.strip().lower(): name for name in rows.fieldnames or ()}
            missing = [name for name in ("old", "new") if name not in columns]
            if missing:
                raise ConfigurationError(f"{file} has no column {' and no column '.join(missing)} in its first line.")
            moves = []
            for row in rows:
                old, new = ((row[columns[name]] or "").strip() for name in ("old", "new"))
                if not old or not new:
                    raise ConfigurationError(f"{file}, line {rows.line_num}: a MISID is missing; each row needs both.")
                moves.append(Move(role, old, new))
            if not moves:
                raise ConfigurationError(f"{file} has no rows.")
            return moves
    except OSError as problem:
        raise ConfigurationError(f"{file} cannot be read: {problem.strerror}.") from None
    except (UnicodeDecodeError, csv.Error):
        raise ConfigurationError(f"{file} is not a CSV file in UTF-8.") from None
