"""Cells of a CSV file that is safe to open in a spreadsheet."""

from typing import Final

#: A spreadsheet reads a cell that starts with one of these as a formula.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def as_text(cell: str) -> str:
    """Return a cell that no spreadsheet reads as a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def from_text(cell: str) -> str:
    """Return the text that `as_text` was given."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA_STARTS) else cell
