"""What a database said, as one or two plain sentences without a value of anybody's."""

import re
from typing import Final

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

#: Codes for unknown things, missing rights, and writing where only reading is allowed, besides those that the drivers
#: call programming errors. Their messages name things, not people.
_TELLING_CODES: Final = {
    *("1044", "1054", "1142", "1143", "1305", "1356", "1370", "1792"),  # MySQL, MariaDB
    *("0A000", "25006"),  # PostgreSQL
    *("ORA-01031", "ORA-01456"),
}

#: What SQL Server says of a query rather than of a value; its driver calls more than these programming errors.
_TELLING_OF_MSSQL: Final = re.compile(
    r"permission was denied|incorrect syntax|invalid (object|column) name|could not be bound|is ambiguous"
    r"|is not a recognized|could not find stored procedure|cannot find the|is invalid in the select list",
    re.IGNORECASE,
)

#: How each database calls a statement that was stopped: PostgreSQL, MariaDB, MySQL, Oracle, SQL Server, SQLite.
_STOPPED: Final = {"57014", "1969", "3024", "DPY-4024", "Timeout expired", "SQLITE_INTERRUPT"}

#: What helps against the usual reasons for not getting through, by what drivers and servers say.
_REMEDIES: Final = {
    "mssql-python needs libraries of the system: install libltdl7, libkrb5-3 and libgssapi-krb5-2": (
        "failed to load the driver",
    ),
    "Have this machine trust the server's certificate, or set in source.url how strict the driver is to be": (
        "certificate",
        "ssl provider",
    ),
    "Check the database's name in source.url, and that this login may use it": (
        'database "',
        "unknown database",
        "' to database",
        *("ora-12514", "dpy-6001", "dpy-6003"),
    ),
    "Check the user and the password in source.url": (
        "password authentication",
        "no password supplied",
        'role "',
        "access denied for user",
        "login failed",
        *("ora-01017", "ora-01005", "dpy-4001"),
    ),
    "Check the host and the port in source.url, and that no firewall is in between": (
        *("refused", "resolve", "name or service", "timeout", "timed out", "no route", "unreachable"),
        *("can't connect", "provider: error code", "dpy-6005"),
    ),
}


def without_secrets(url: URL) -> str:
    """Where it is, with neither the password nor options, which may be secrets too."""
    service = {name: value for name, value in url.query.items() if name == "service_name"}
    return url.set(query=service).render_as_string(hide_password=True)


def why_unreachable(problem: Exception) -> str:
    """Why no connection came about, and what helps against it."""
    said = problem.orig if isinstance(problem, DBAPIError) and problem.orig is not None else problem
    if not isinstance(problem, SQLAlchemyError):
        return _of_options(problem)
    words = _in_words(said)
    remedy = next((remedy for remedy, signs in _REMEDIES.items() if any(sign in words.lower() for sign in signs)), "")
    return f"{words}. {remedy}." if remedy else f"{words}."


def why_unreadable(problem: Exception, *, is_about_query: bool, is_lost: bool, seconds: float) -> str:
    """Why a feed cannot be read. What a database says of data may quote the data, so that is not repeated."""
    code = code_of(problem)
    if code in _STOPPED:
        return f"the database stopped it, as a rule because it takes more than source.timeout_seconds ({seconds:g})"
    if _is_telling(problem, code, is_about_query=is_about_query):
        return _in_words(problem)
    if isinstance(problem, UnicodeError):
        return "it has text that is not in the character set that the database says"
    what = "the connection was lost" if is_lost else "the database refused to read on"
    return f"{what} ({type(problem).__name__}{f', code {code}' if code else ''})"


def code_of(problem: BaseException) -> str:
    """The database's own code for an error; empty where it gives none."""
    first = problem.args[0] if problem.args else None
    if isinstance(first, int):
        return str(first)
    for said, name in [
        (problem, "sqlstate"),
        (first, "full_code"),
        (problem, "sqlite_errorname"),
        (problem, "driver_error"),
    ]:
        code = getattr(said, name, None)
        if isinstance(code, str):
            return code
    return ""


def _is_telling(problem: Exception, code: str, *, is_about_query: bool) -> bool:
    match type(problem).__module__.partition(".")[0]:
        case "sqlite3":
            return not str(problem).startswith("Could not decode")
        case "mssql_python":
            return is_about_query and _TELLING_OF_MSSQL.search(str(problem)) is not None
        case "oracledb":
            # From 900 to 999 it is the statement that is not understood.
            return code in _TELLING_CODES or code.startswith("ORA-009")
        case _:
            return is_about_query or code in _TELLING_CODES


def _of_options(problem: Exception) -> str:
    errors = getattr(problem, "errors", None)
    if not isinstance(problem, TypeError | ValueError) and errors is None:
        return f"its driver failed ({type(problem).__name__})."
    # Its name may be told; its value may be a secret.
    named = re.search(r"(?:keyword argument|[Kk]eyword) '(\w+)'", str(errors or problem))
    if isinstance(problem, TypeError) and named is None:
        # It is about anything, such as a defect of the driver.
        return "its driver failed (TypeError)."
    what = f"its option {named[1]}" if named else "one of its options"
    return f"the driver does not take {what} ({type(problem).__name__}). Put source.url right."


def _in_words(problem: BaseException) -> str:
    """The sentence in what a driver raises, without codes that nobody can look up, and without a full stop."""
    driver_said, server_said = getattr(problem, "driver_error", None), getattr(problem, "ddbc_error", None)
    if isinstance(driver_said, str) and isinstance(server_said, str):
        text = re.sub(r"\[[^\]]*\]", "", server_said).strip() or driver_said
        text = text if driver_said in _PLAIN_WITHOUT else f"{driver_said}: {text}"
    elif hasattr(problem.args[0] if problem.args else None, "full_code"):
        lines = re.sub(r" ?\(CONNECTION_ID=[^)]*\)", "", str(problem)).splitlines()
        text = ": ".join(line.rstrip(".") for line in lines[:2] if not line.startswith("Help:"))
    else:
        # Some drivers give a number and a sentence.
        text = next((part for part in reversed(problem.args) if isinstance(part, str)), str(problem))
        text = re.sub(r"^connection failed: |FATAL: +", "", text.strip().partition("\n")[0])
    return text.strip().rstrip(".")


#: What mssql-python says on its own account that adds nothing to what the server said.
_PLAIN_WITHOUT: Final = {
    "Base table or view not found",
    "Column not found",
    "Syntax error or access violation",
    "Connection operation failed",
    "Invalid authorization specification",
}
