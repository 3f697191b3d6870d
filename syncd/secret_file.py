"""Files that hold one secret, what surrounds it, and what to say about a file that cannot be read."""

import getpass
import os
import sys
from pathlib import Path
from string import whitespace


def read_secret_file(path: Path) -> str:
    """The text of the file without the line end, and without the mark that Windows' editors begin a file with.

    Raises `ValueError` with a sentence that names the file and the user.
    """
    try:
        return path.read_text(encoding="utf-8-sig").rstrip("\r\n")
    except OSError as problem:
        raise ValueError(unreadable(path, problem)) from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None


def trimmed(text: str) -> str:
    """The text without blanks, line ends and byte order marks around it, which come with copying and with editors."""
    return text.strip(f"{whitespace}\xa0\ufeff\u200b")


def unreadable(path: Path, problem: OSError, what: str = "") -> str:
    """Why the user that syncd runs as cannot read a file, and what to do; ``what`` says what the file is for."""
    match problem:
        case FileNotFoundError():
            remedy = "Create it, or correct its path"
        case PermissionError():
            remedy = "Let this user read it, and open the folders that it is in"
        case _:
            remedy = "Name a file that this user can read"
    named = f"{path}, {what}," if what else str(path)
    return f"{named} cannot be read by {_user()}: {problem.strerror}. {remedy}"


def _user() -> str:
    """The user that this process runs as; its number counts, since in a container it often has no name."""
    if sys.platform == "win32":
        return f"the user {getpass.getuser()}"
    import pwd  # noqa: PLC0415 - not on Windows

    number = os.geteuid()
    try:
        return f"the user {pwd.getpwuid(number).pw_name} (uid {number})"
    except KeyError:
        return f"the user with uid {number}"
