#!/usr/bin/env python3
"""Puts a CSV file into a SQLite database that syncd reads: ``python3 load_csv.py learners.csv [mis.db]``.

Needs nothing but Python. The file's name, up to its first dot, is the table's; its first line has the names of the
columns, and every value is text. The previous rows are replaced in one transaction: a reader sees the old rows or the
new ones, never a mixture. A file without rows, or with a row of another length, is refused and replaces nothing.
"""

import csv
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path


def load(file: Path, database: Path) -> int:
    """Replace the table; gives how many rows it has. Raises `ValueError` for a file that is not to be used."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.reader(stream)
        headings = [heading.strip() for heading in next(rows, [])]
        if not headings or not all(headings) or len({heading.lower() for heading in headings}) < len(headings):
            raise ValueError("its first line must name every column, each with another name")
        named = ", ".join(f"{_quoted(heading)} TEXT" for heading in headings)
        table, places = _quoted(file.name.partition(".")[0]), ", ".join("?" * len(headings))
        with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            # Whatever is raised on the way ends the connection, which takes back what it has begun.
            connection.execute(f"DROP TABLE IF EXISTS {table}")
            connection.execute(f"CREATE TABLE {table} ({named})")
            connection.executemany(f"INSERT INTO {table} VALUES ({places})", _checked(rows, len(headings)))  # noqa: S608
            (count,) = connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()  # noqa: S608
            connection.execute("COMMIT")
    return int(count)


def _checked(rows: Iterator[list[str]], columns: int) -> Iterator[list[str]]:
    count = 0
    for count, row in enumerate(filter(any, rows), start=1):
        if len(row) != columns:
            raise ValueError(f"row {count} has {len(row)} values, and the first line names {columns} columns")
        yield [value.strip() for value in row]
    if not count:
        raise ValueError("it has no rows")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def main(arguments: list[str]) -> int:
    """Load what is named; gives the exit code."""
    if len(arguments) not in {1, 2}:
        sys.stderr.write("Usage: python3 load_csv.py FILE.csv [DATABASE]\n")
        return 2
    file, database = Path(arguments[0]), Path(arguments[1] if len(arguments) > 1 else "mis.db")
    try:
        count = load(file, database)
    except (OSError, ValueError, csv.Error, sqlite3.Error) as problem:
        what = "it is not UTF-8" if isinstance(problem, UnicodeDecodeError) else problem
        sys.stderr.write(f"{file} was not loaded and {database} is unchanged: {what}.\n")
        return 1
    sys.stdout.write(f"{database} has {count} rows of {file}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
