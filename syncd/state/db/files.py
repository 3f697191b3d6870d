"""The files of a SQLite store on disk: they belong to the user that its service runs as.

A systemd service often runs as its own user, which owns the database, or at least the folder of the store. Commands are
run by root beside it, and must not leave files there that the service cannot write to.
"""

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from shlex import quote
from typing import Final

#: The suffixes of the files that SQLite keeps beside its database, and of the database itself.
_COMPANIONS: Final = ("", "-wal", "-shm", "-journal")
#: The rights of the group and of all others.
_MAY_CHANGE: Final = stat.S_IWGRP | stat.S_IWOTH
_MAY_DO_ANYTHING: Final = stat.S_IRWXG | stat.S_IRWXO


def create(file: Path, database: Path | None = None) -> None:
    """Create an empty file that only its owner may read, beside a database or for itself.

    If root creates it, its owner is that of the database, or else of the folder. Raises `FileExistsError`, and any
    other `OSError`.
    """
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    _hand_over(file, _service_of(database or file))


def hand_over(database: Path) -> None:
    """Give the files of a database that belong to root to the owner of the database or of its folder; only root can.

    Raises `OSError`.
    """
    for file in of(database):
        _hand_over(file, _service_of(database))


def of(database: Path) -> Iterator[Path]:
    """The files of a database that exist: itself, what SQLite puts beside it, and its locks."""
    companions = (database.with_name(f"{database.name}{suffix}") for suffix in _COMPANIONS)
    return (file for file in (*companions, *locks_of(database)) if file.exists())


def locks_of(database: Path) -> list[Path]:
    """The lock files of a database. They remain when it is deleted or moved, and so show that there was one."""
    return sorted(database.parent.glob(f"{escape(database.name)}.*.lock"))


def refusal(database: Path) -> str:
    """Why this process cannot write to a database, with what to do; empty if it can, as far as files tell."""
    folder = database.absolute().parent
    try:
        if not folder.is_dir():
            return f"its folder {folder} does not exist. Create it, or name another file in state.url"
        if not _may(folder, os.W_OK | os.X_OK):
            return _why(folder, database)
        for lock in locks_of(database):
            if kind := _other_than_a_file(lock):
                owner = _name(lock.lstat().st_uid)
                return f"{lock} is {kind} that belongs to {owner}. Move it away: syncd creates the file again"
        return next((_why(file, database) for file in of(database) if not _may(file, os.W_OK)), "")
    except OSError as problem:
        return f"{problem.filename}: {problem.strerror}. Run syncd as the owner of that folder or as root"


def open_to_others(paths: Iterable[Path], *, may_be_read: bool = False) -> str:
    """Which of these files other users may read or change, or only change, with the remedy; empty if none."""
    if sys.platform == "win32":
        return ""
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in paths}
    exposed = {path: mode for path, mode in modes.items() if mode & (_MAY_CHANGE if may_be_read else _MAY_DO_ANYTHING)}
    if not exposed:
        return ""
    done = "changed" if any(mode & _MAY_CHANGE for mode in exposed.values()) else "read"
    named = ", ".join(f"{path} (mode {mode:04o})" for path, mode in exposed.items())
    remedy = f"chmod {'go-w' if may_be_read else '600'} {' '.join(quote(str(path)) for path in exposed)}"
    return f"{named} can be {done} by other users of this machine. Run: {remedy}"


def service_refusal(database: Path) -> str:
    """For root: `refusal` as a service meets it, which runs as the owner of the database or of its folder."""
    with as_service(database):
        return refusal(database)


@contextmanager
def as_service(database: Path) -> Iterator[None]:
    """For root: have the rights of the service within the context, to try what it would do.

    They stay as they are for any other user, and if the system does not let root change them. Not thread-safe.
    """
    service = _service_of(database) if sys.platform != "win32" and os.geteuid() == 0 else None
    if service is None or service.st_uid == 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    try:
        with suppress(PermissionError):
            os.setgroups([])
            os.setegid(service.st_gid)
            os.seteuid(service.st_uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        with suppress(PermissionError):
            os.setgroups(groups)


def _service_of(database: Path) -> os.stat_result:
    """The database, or its folder if there is none yet or if it belongs to root: a service runs as the owner."""
    folder = database.absolute().parent.stat()
    try:
        found = database.stat()
    except (FileNotFoundError, PermissionError):
        return folder
    return found if found.st_uid != 0 else folder


def _other_than_a_file(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode):
        return ""
    return "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "a pipe or device"


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _why(path: Path, database: Path) -> str:
    if sys.platform == "win32":
        return f"{path} is read-only. Give the user that runs syncd the right to change it"
    found, me = path.stat(), os.geteuid()
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return f"{path} is on a read-only file system. Mount it for writing, or name another file in state.url"
    if found.st_uid == me:
        return f"{path} may not be written to, even by its owner. Run: chmod u+w {path}"
    why = f"{path} belongs to {_name(found.st_uid)}, and syncd runs as {_name(me)}"
    if _service_of(database).st_uid == me:
        return f"{why}. {_remedy(database)}"
    return f"{why}. Run syncd as {_name(found.st_uid)} or as root, or name another file in state.url"


def _remedy(database: Path) -> str:
    folder, file = quote(str(database.absolute().parent)), quote(str(database))
    if database.absolute().parent.stat().st_uid == _service_of(database).st_uid:
        return f"As root, give it the owner of its folder: chown --reference={folder} {file}*"
    return f"As root, give it the owner of the database: chown --reference={file} {file}*"


def _hand_over(file: Path, service: os.stat_result) -> None:
    if sys.platform == "win32" or os.geteuid() != 0:
        return
    found = file.lstat()
    # The owner of the folder can put links there, and must not be given another file of root's through one.
    if found.st_uid == 0 and service.st_uid != 0 and stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
        os.chown(file, service.st_uid, service.st_gid, follow_symlinks=False)


def _name(uid: int) -> str:
    """A user's name, or the number if the system has no name for it."""
    if sys.platform == "win32":
        return str(uid)
    import pwd  # noqa: PLC0415 - Windows has none

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
