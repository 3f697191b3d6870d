"""What a database said, as one or two plain sentences without a value of anybody's."""

import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

#: Codes for unknown things, missing rights, and writing where only reading is allowed, besides those that the drivers
#: call programming errors. Their messages name things, not people.
_TELLING_CODES: Final = {
    *("1044", "1054", "1142", "1143", "1305", "1356", "1370", "1792"),  # MySQL, MariaDB
    *("0A000", "25006"),  # PostgreSQL
    *("ORA-01031", "ORA-01456"),
}

#: How each database calls a statement that was stopped: PostgreSQL, MariaDB, MySQL, Oracle, SQL Server, SQLite.
_STOPPED: Final = {"57014", "1969", "3024", "DPY-4024", "Timeout expired", "SQLITE_INTERRUPT"}


@dataclass(frozen=True, slots=True)
class _ServerError:
    """A kind of error of SQL Server: its numbers, how its messages begin, and what syncd says."""

    numbers: frozenset[int]
    words: re.Pattern[str]
    """In English, unless the login has another language. Messages may quote values, so only their start counts."""
    says: str = ""
    """Empty if the message names only things of the database and is repeated."""


def _server_error(numbers: set[int], words: str, says: str = "") -> _ServerError:
    return _ServerError(frozenset(numbers), re.compile(words, re.IGNORECASE), says)


#: The classes that drivers give these errors are unrelated to what they mean: 1222 is a "ProgrammingError".
_SERVER_ERRORS: Final = (
    _server_error(
        {102, 156, 195, 207, 208, 209, 229, 230, 371, 1033, 2812, 4104, 4121, 8120, 8155},
        r"incorrect syntax near|invalid (?:object|column) name|ambiguous column name"
        r"|the (?:select|execute|\w+) permission was denied|the multi-part identifier .* could not be bound"
        r"|'[^']*' is not a recognized|could not find stored procedure|cannot find (?:the|either)"
        r"|column '[^']*' is invalid in the select list|the order by clause is invalid|no column name was specified",
    ),
    _server_error(
        {1205},
        r"transaction \(process id \d+\) was deadlocked",
        "this query and another program waited for each other's locks, and SQL Server stopped the query (deadlock, "
        "error 1205); the next run reads again",
    ),
    _server_error(
        {1222},
        "lock request time ?out period exceeded",
        "another program keeps the rows locked (error 1222); the next run reads again",
    ),
    _server_error(
        {241, 242, 244, 245, 248, 295, 296, 8114, 8115, 8169, 9807},
        r"conversion failed when converting|error converting data type|arithmetic overflow error"
        r"|the conversion of (?:a|an|the) ",
        "a value cannot be converted to the type that the query asks for; use TRY_CONVERT in the query",
    ),
    _server_error({8134}, "divide by zero", "the query divides by zero"),
    _server_error(
        {596, 6005}, "cannot continue the execution because the session is in the kill state|shutdown is in progress",
        "the server ended the session; an administrator stopped it, or the server is shutting down",
    ),
)  # fmt: skip

#: What mssql-python and pyodbc put before a message.
_PREFIX: Final = re.compile(r"^(?:\[[0-9A-Z]{5}\] ?)?(?:\[(?:Microsoft|unixODBC|FreeTDS|SQL Server|ODBC[^\]]*)\])+")

#: Sockets' errors, by the numbers that Windows and Linux give them.
_NETWORK_ERRORS: Final = {
    "the network cannot be reached": (10051, 101),
    "the server closed the connection": (10053, 10054, 32, 103, 104),
    "the connection was refused": (10057, 10061, 111),
    "no answer within the time (timed out)": (10060, 110),
    "there is no route to the host": (10064, 10065, 112, 113),
    "the server's name cannot be resolved": (11001, 11002, 11003, 11004),
}
_BY_NUMBER: Final = {number: words for words, numbers in _NETWORK_ERRORS.items() for number in numbers}

#: What helps against the usual reasons for not getting through, by what drivers and servers say; the first one counts.
_REMEDIES: Final = {
    "mssql-python needs libraries of the system: install libltdl7, libkrb5-3 and libgssapi-krb5-2": (
        "failed to load the driver",
    ),
    "If you trust the network between this machine and the server, add TrustServerCertificate=yes to source.url": (
        "ssl provider: certificate verify failed: self-signed",
        "ssl provider: certificate verify failed: self signed",
    ),
    "Add the certificate of the authority that issued it (a ca_file) to this machine's certificate store, since the "
    "driver has no option for such a file; or add TrustServerCertificate=yes to source.url": (
        "ssl provider: certificate verify failed: unable to get",
        "ssl provider: the certificate chain was issued by an authority that is not trusted",
    ),
    "Write the server's name in source.url as its certificate has it, or add HostNameInCertificate=… with that name": (
        "ssl provider: certificate verify failed: subject name does not match",
        "ssl provider: the target principal name is incorrect",
    ),
    "Renew the server's certificate, or add TrustServerCertificate=yes to source.url": (
        "ssl provider: certificate verify failed: certificate has expired",
    ),
    "The server has TLS switched off: switch it on, or add Encrypt=no to source.url if the network is trusted": (
        "encryption not supported on sql server",
    ),
    "Not every SQL Server offers Encrypt=strict: write Encrypt=yes in source.url": ("ssl provider: wrong version",),
    "Have this machine trust the server's certificate, or set in source.url how strict the driver is to be": (
        "certificate",
        "ssl provider",
    ),
    "Windows sign-in needs a Kerberos ticket: run kinit with a keytab as the user that syncd runs as, and set "
    "KRB5CCNAME to a ticket cache outside /tmp, since the service has a /tmp of its own": (
        *("sspi provider", "gssapi", "kerberos", "cannot be used with integrated authentication"),
    ),
    "Check the instance's name and that its SQL Server Browser answers on UDP port 1434, or write the instance's port "
    "instead of its name: host,port (…@SERVER:PORT/…)": ("error locating server/instance",),
    "Oracle older than 12.1 and its old passwords need thick mode: set source.oracle_client to the folder of Oracle's "
    "client libraries": ("dpy-3010", "dpy-3015"),
    "Name the folder of Oracle's client libraries; on Linux the system must find them too (ldconfig or "
    "LD_LIBRARY_PATH)": ("dpi-1047",),
    "Restart syncd, since the mode of Oracle's driver cannot change in a running process": ("dpy-2019", "dpy-2053"),
    "A name without port and service is looked up in tnsnames.ora: add ?config_dir=FOLDER with the folder of that file "
    "to source.url, or write …@HOST:1521/?service_name=NAME": ("dpy-4027",),
    "Check config_dir in source.url: it must be the folder of tnsnames.ora, and the user that syncd runs as must be "
    "able to read the file": ("dpy-4026",),
    "Check the name in source.url: tnsnames.ora in config_dir has no such entry": ("dpy-4000", "ora-12154"),
    "Check the database's name in source.url, and that this login may use it": (
        'database "',
        "unknown database",
        "' to database",
        "the server principal",
        *("ora-12514", "ora-12505", "dpy-6001", "dpy-6003"),
    ),
    "Check the user and the password in source.url; a password in the key source.password needs no encoding": (
        "password authentication",
        "no password supplied",
        'role "',
        "access denied for user",
        "login failed",
        *("ora-01017", "ora-01005", "dpy-4001"),
    ),
    "Check that the port in source.url is the database's own, and that the server takes connections": (
        *("server closed the connection", "during handshakes before login"),
    ),
    "Check the host and the port in source.url, and that no firewall is in between": (
        *("refused", "resolve", "name or service", "timeout", "timed out", "no route", "unreachable", "be reached"),
        *("can't connect", "provider: error code", "dpy-6005"),
    ),
}


def why_unreachable(problem: Exception) -> str:
    """Why no connection came about, and what helps against it."""
    said = problem.orig if isinstance(problem, DBAPIError) and problem.orig is not None else problem
    if not isinstance(problem, SQLAlchemyError) and not is_of_oracle_client(problem):
        return _of_options(problem)
    words = _in_words(said)
    remedy = next((remedy for remedy, signs in _REMEDIES.items() if any(sign in words.lower() for sign in signs)), "")
    return f"{words}. {remedy}." if remedy else f"{words}."


def is_of_oracle_client(problem: Exception) -> bool:
    """Whether Oracle's driver says that it cannot work with Oracle's client libraries."""
    return code_of(problem) in {"DPI-1047", "DPY-2019", "DPY-2053"}


def why_unreadable(problem: Exception, *, is_about_query: bool, is_lost: bool, seconds: float) -> str:
    """Why a feed cannot be read. What a database says of data may quote the data, so that is not repeated."""
    code = code_of(problem)
    if code in _STOPPED:
        return f"the database stopped it, as a rule because it takes more than source.timeout_seconds ({seconds:g})"
    if (kind := _server_error_of(problem)) and kind.says:
        return kind.says
    if kind or _is_telling(problem, code, is_about_query=is_about_query):
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


def _server_error_of(problem: BaseException) -> _ServerError | None:
    """The kind of SQL Server's error: by its number if the driver gives one, else by how the message begins."""
    text = _server_said(problem)
    if text is None:
        return None
    # pyodbc ends with the number and its own function; mssql-python gives no number.
    number = re.search(r"\((\d+)\) \(SQL\w+\)$", text)
    for kind in _SERVER_ERRORS:
        if int(number[1]) in kind.numbers if number else kind.words.match(text):
            return kind
    return None


def _server_said(problem: BaseException) -> str | None:
    """SQL Server's message without what drivers put before it; nothing for an error of another database."""
    text = getattr(problem, "ddbc_error", None)
    if not isinstance(text, str):
        text = problem.args[-1] if problem.args and isinstance(problem.args[-1], str) else ""
        if "[SQL Server]" not in text:
            return None
    return _PREFIX.sub("", text).strip()


def _is_telling(problem: Exception, code: str, *, is_about_query: bool) -> bool:
    if _server_said(problem) is not None:
        # SQL Server's messages quote values, and its drivers' classes say nothing: only _SERVER_ERRORS are repeated.
        return False
    match type(problem).__module__.partition(".")[0]:
        case "sqlite3":
            return not str(problem).startswith("Could not decode")
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
    server_said = _server_said(problem)
    if server_said is not None:
        # The driver's own words for it are unrelated to what the server means, and count only where it said nothing.
        text = _without_numbers(server_said) or str(getattr(problem, "driver_error", ""))
    elif hasattr(problem.args[0] if problem.args else None, "full_code"):
        lines = re.sub(r" ?\(CONNECTION_ID=[^)]*\)", "", str(problem)).splitlines()
        text = ": ".join(line.rstrip(".") for line in lines[:2] if not line.startswith("Help:"))
        text = re.sub(r"\.? See https?://\S+ for help$", "", text)
    else:
        # Some drivers give a number and a sentence.
        text = next((part for part in reversed(problem.args) if isinstance(part, str)), str(problem))
        text = re.sub(r"^connection failed: |FATAL: +", "", text.strip().partition("\n")[0])
    return text.strip().rstrip(".")


def _without_numbers(text: str) -> str:
    """SQL Server's message without numbers of other libraries, in words if these are known."""
    text = re.sub(r" \(\d+\) \(SQL\w+\)$", "", text)
    text = re.sub(r"\[error:[0-9A-F]+:[^:\]]*:[^:\]]*:([^\]]*)\]", lambda found: f"{found[1]}; ", text)
    text = re.sub(r"(?<=verify failed):(?=\S)", ": ", text.removesuffix("; "))
    text = re.sub(r"Error code 0x([0-9A-F]+)", _network_error, text)
    text = re.sub(r" ?\[x[0-9A-F]+\]\.?", "", text)
    # Two of its sentences guess at causes.
    return text.partition(" Common causes include")[0].strip()


def _network_error(found: re.Match[str]) -> str:
    words = _BY_NUMBER.get(int(found[1], 16))
    return f"{words} (code 0x{found[1]})" if words else found[0]
