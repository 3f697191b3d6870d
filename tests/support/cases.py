"""The small inputs that once failed.

They lie beside the repository; tests that read them are marked shared_data.
"""

import csv
from pathlib import Path
from typing import Final

_BESIDE_THE_REPOSITORY: Final = Path(__file__).parents[3] / "shared" / "cases"


def rows_of(name: str) -> list[dict[str, str]]:
    """The rows of one of the files, such as "keys.csv", by their columns."""
    with (_BESIDE_THE_REPOSITORY / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
