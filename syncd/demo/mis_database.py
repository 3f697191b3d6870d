"""A made-up college's MIS: a database that holds what the generator has made."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Table, create_engine, insert, update
from sqlalchemy.pool import NullPool

from syncd.demo.generator import Generated, Row
from syncd.demo.mis_schema import METADATA


class College:
    """The MIS at ``url``, whose tables are made here and filled with what was generated."""

    def __init__(self, url: str, generated: Generated) -> None:
        # Whoever reads it is another program, as it is at a real college: no connection is kept from it.
        self._engine = create_engine(url, poolclass=NullPool)
        METADATA.create_all(self._engine)
        self.add(generated.rows)

    def add(self, rows: Mapping[Table, Sequence[Row]]) -> None:
        """Add these rows, by table."""
        with self._engine.begin() as connection:
            for table in METADATA.sorted_tables:
                if new := rows.get(table):
                    connection.execute(insert(table), list(new))

    def correct(self, column: Column[Any], code: str, **columns: object) -> None:
        """Change other columns of the rows that have this code in this one."""
        with self._engine.begin() as connection:
            connection.execute(update(column.table).where(column == code).values(columns))
