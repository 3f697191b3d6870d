"""A copy of this checkout, as somebody works in it: with files beside the program's that no package may contain."""

import subprocess
from pathlib import Path
from shutil import copy2
from typing import Final

REPOSITORY: Final = Path(__file__).parents[2]
#: What every planted file contains, put together so that this file does not contain it.
SECRET: Final = "-".join(("planted", "9f2c41", "secret"))
#: Where an operator or a developer may have put a token, an export or a store.
_PLANTED: Final = (
    ".env",
    "config/etc/customer-token",
    "config/secrets/x",
    "config/notes.txt",
    "config/learners.csv",
    "config/mine.sql",
    "config/recipes/csv/learners.csv",
    "config/recipes/ours/recipe.toml",
    "customer-token",
    "migrations/notes.txt",
    "migrations/versions/dump.sql",
    "secrets/admin-token",
    "syncd/customer-token",
    "syncd/demo/folder/syncd.db",
    "syncd/secrets/state-url",
    "syncd/web/static/export.csv",
    "tests/customer-token",
)


def tracked(*folders: str) -> list[str]:
    """The files that git has of this checkout, or of some of its folders."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", *folders], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split("\0") if name and (REPOSITORY / name).is_file()]


def planted_checkout(target: Path) -> Path:
    """Copy what git has of this checkout to ``target`` and put the planted files beside it. Returns ``target``."""
    for name in tracked():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        copy2(REPOSITORY / name, target / name)
    for name in _PLANTED:
        assert not (target / name).exists(), f"{name} has become a file of the project; plant another"
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(SECRET)
    return target
