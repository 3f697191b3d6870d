"""The folders that come with syncd beside its code: ``migrations`` and ``config``."""

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent


def shipped(folder: str) -> Path:
    """Where a folder is: in an installed package inside it, in a checkout beside it."""
    inside = _PACKAGE / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder
