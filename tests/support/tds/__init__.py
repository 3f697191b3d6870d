"""A small server that speaks SQL Server's protocol, TDS 7.4, for a real driver to log in to and read from.

It follows [MS-TDS] "Tabular Data Stream Protocol", as published; comments name its sections. It has no database: a
test says what it answers to which statement. It is held against recordings by tests/mis/test_tds_recordings.py.
"""

from tests.support.tds.answers import Answer, Count, Cut, Failure, Print, Procedure, Result, Silence, length_of
from tests.support.tds.columns import Column
from tests.support.tds.server import Encryption, TdsServer

__all__ = [
    "Answer",
    "Column",
    "Count",
    "Cut",
    "Encryption",
    "Failure",
    "Print",
    "Procedure",
    "Result",
    "Silence",
    "TdsServer",
    "length_of",
]
