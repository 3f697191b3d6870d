"""A made-up college's MIS: a database with the generated rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Table, create_engine, insert, update
from sqlalchemy.pool import NullPool

from syncd.demo.generator import Generated, Row
from syncd.demo.mis_schema import METADATA


class College:
    """The MIS at ``url``; creates its tables and inserts the generated rows."""

    def __init__(self, url: str, generated: Generated) -> None:
        # Another program reads the database, as at a real college, so no connection is kept open.
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
        """Change other columns of the rows that have this code in ``column``."""
        with self._engine.begin() as connection:
            connection.execute(update(column.table).where(column == code).values(columns))
