"""Cells of CSV files that are safe to open in a spreadsheet."""

from typing import Final

from syncd.core.text import printable, unescaped

#: A spreadsheet reads a cell that starts with one of these as a formula.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def as_text(cell: str) -> str:
    """Return a printable cell that no spreadsheet reads as a formula; it may have several lines."""
    cell = printable(cell, keep="\n\t")
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def from_text(cell: str) -> str:
    """Return the text that `as_text` was given, unless that had escapes itself."""
    is_quoted = cell.startswith("'") and cell[1:].startswith(_FORMULA_STARTS)
    return unescaped(cell[1:] if is_quoted else cell)
