"""The files of a SQLite store on disk: they belong to the owner of their folder, so that a service can write to them.

A systemd service often runs as its own user, which owns the folder of the store. Commands are run by root beside it,
and must not leave files there that the service cannot write to.
"""

import os
import stat
import sys
from collections.abc import Iterator
from glob import escape
from pathlib import Path
from shlex import quote
from typing import Final

#: The suffixes of the files that SQLite keeps beside its database, and of the database itself.
_COMPANIONS: Final = ("", "-wal", "-shm", "-journal")


def create(file: Path) -> None:
    """Create an empty file that only its owner may read; if root creates it, its owner is that of the folder.

    Raises `FileExistsError`, and any other `OSError`.
    """
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    _hand_over(file)


def hand_over(database: Path) -> None:
    """Give the files of a database that belong to root to the owner of their folder; only root can.

    Raises `OSError`.
    """
    for file in of(database):
        _hand_over(file)


def of(database: Path) -> Iterator[Path]:
    """The files of a database that exist: itself, what SQLite puts beside it, and its locks."""
    companions = (database.with_name(f"{database.name}{suffix}") for suffix in _COMPANIONS)
    locks = database.parent.glob(f"{escape(database.name)}.*.lock")
    return (file for file in (*companions, *sorted(locks)) if file.exists())


def refusal(database: Path) -> str:
    """Why this process cannot write to a database, with what to do; empty if it can, as far as files tell."""
    folder = database.absolute().parent
    try:
        if not folder.is_dir():
            return f"its folder {folder} does not exist. Create it, or name another file in state.url"
        if not os.access(folder, os.W_OK | os.X_OK):
            return _why(folder, database)
        return next((_why(file, database) for file in of(database) if not os.access(file, os.W_OK)), "")
    except OSError as problem:
        return f"{problem.filename}: {problem.strerror}. Run syncd as the owner of that folder or as root"


def service_refusal(database: Path) -> str:
    """For root: why a service that runs as the owner of the folder cannot write to a database; empty if it can."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return ""
    folder = database.absolute().parent
    owner = folder.stat().st_uid
    for file in of(database):
        found = file.stat()
        allows = stat.S_IWOTH | (stat.S_IWGRP if found.st_gid == folder.stat().st_gid else 0)
        if owner not in {0, found.st_uid} and not found.st_mode & allows:
            return (
                f"{file} belongs to {_name(found.st_uid)} and its folder to {_name(owner)}, "
                f"so a service that runs as {_name(owner)} cannot write to it. {_remedy(database)}"
            )
    return ""


def _why(path: Path, database: Path) -> str:
    if sys.platform == "win32":
        return f"{path} is read-only. Give the user that runs syncd the right to change it"
    found, me = path.stat(), os.geteuid()
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return f"{path} is on a read-only file system. Mount it for writing, or name another file in state.url"
    if found.st_uid == me:
        return f"{path} may not be written to, even by its owner. Run: chmod u+w {path}"
    why = f"{path} belongs to {_name(found.st_uid)}, and syncd runs as {_name(me)}"
    if database.absolute().parent.stat().st_uid == me:
        return f"{why}. {_remedy(database)}"
    return f"{why}. Run syncd as {_name(found.st_uid)} or as root, or name another file in state.url"


def _remedy(database: Path) -> str:
    folder, file = quote(str(database.absolute().parent)), quote(str(database))
    return f"As root, give it the owner of its folder: chown --reference={folder} {file}*"


def _hand_over(file: Path) -> None:
    if sys.platform == "win32" or os.geteuid() != 0:
        return
    found, folder = file.lstat(), file.absolute().parent.stat()
    # The owner of the folder can put links there, and must not be given another file of root's through one.
    if found.st_uid == 0 and folder.st_uid != 0 and stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
        os.chown(file, folder.st_uid, folder.st_gid, follow_symlinks=False)


def _name(uid: int) -> str:
    """A user's name, or the number if the system has no name for it."""
    if sys.platform == "win32":
        return str(uid)
    import pwd  # noqa: PLC0415 - Windows has none

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
