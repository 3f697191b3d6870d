"""Reads CSV files that an operator has edited."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from syncd.core.fields import Role
from syncd.core.misid import read_misid
from syncd.core.spreadsheet import from_text
from syncd.core.values import Unusable
from syncd.errors import ConfigurationError


def read_csv(file: Path, needed: Sequence[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Return the rows of a file, each with the file and the line, for a message, and its cells by column.

    The names of columns are in lower case, the cells without blanks at their ends. Raises `ConfigurationError` for a
    file that cannot be read, and if it lacks one of the columns ``needed``.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            columns = {name.strip().lower(): name for name in rows.fieldnames or ()}
            if missing := [name for name in needed if name not in columns]:
                raise ConfigurationError(f"{file} has no column {' and no column '.join(missing)} in its first line.")
            for row in rows:
                cells = {name: from_text((row[column] or "").strip()) for name, column in columns.items()}
                yield f"{file}, line {rows.line_num}", cells
    except OSError as problem:
        raise ConfigurationError(f"{file} cannot be read: {problem.strerror}.") from None
    except (UnicodeDecodeError, csv.Error):
        raise ConfigurationError(f"{file} is not a CSV file in UTF-8.") from None


def misid_in(cells: Mapping[str, str], column: str, where: str) -> str:
    """Return the MISID in a cell, in its canonical form. Raises `ConfigurationError` if it cannot be one."""
    try:
        misid = read_misid(cells[column])
    except Unusable as problem:
        raise ConfigurationError(f"{where}, column {column}: {problem}. Nothing was changed.") from None
    if misid is None:
        raise ConfigurationError(f"{where}, column {column}: a MISID is missing. Nothing was changed.")
    return misid


def role_in(cells: Mapping[str, str], where: str) -> Role:
    """Return the role in a cell. Raises `ConfigurationError` if there is no such role."""
    roles = {role.casefold(): role for role in Role}
    role = roles.get(cells["role"].casefold())
    if role is None:
        raise ConfigurationError(f"{where}, column role: must be one of {', '.join(Role)}. Nothing was changed.")
    return role
