"""A database's errors as one or two plain sentences: the cause, without personal values, and the remedy."""

import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

#: Codes for missing objects, missing permissions and refused writes, in addition to what drivers class as programming
#: errors. Their messages name objects of the database, not people, and are repeated.
_REPEATABLE_CODES: Final = {
    *("1044", "1054", "1142", "1143", "1305", "1356", "1370", "1792"),  # MySQL, MariaDB
    *("0A000", "25006"),  # PostgreSQL
    *("ORA-01031", "ORA-01456"),
}

#: The codes for a statement that took too long: PostgreSQL, MariaDB, MySQL, Oracle, mssql-python, pyodbc, SQLite.
_TIMEOUT_CODES: Final = {"57014", "1969", "3024", "DPY-4024", "Timeout expired", "HYT00", "SQLITE_INTERRUPT"}

#: What mssql-python puts before a SQLSTATE that it does not know; without one it says nothing.
_UNKNOWN_SQLSTATE: Final = "An error occurred with SQLSTATE code:"

#: The code of PostgreSQL for a query that the recovery of a replica stops; a transaction that reads meets no other.
_CONFLICT_CODE: Final = "40001"
_REPLICA_CONFLICT: Final = (
    "the server is a replica, and its recovery stopped the query. On the replica, set hot_standby_feedback = on, or "
    "raise max_standby_streaming_delay"
)

_READS_AGAIN: Final = "The next run reads again"

_UNENCODABLE: Final = (
    "the query has a character that the database's character set does not have. Remove it from the query, also from "
    "its comments"
)
_UNDECODABLE: Final = (
    "it has text that is not in the character set that the database declares. Correct the text, or the character set "
    "in source.url"
)

#: Codes whose messages do not say what to do. On SQLite a query that writes has the code SQLITE_READONLY.
_BY_CODE: Final = {
    # PostgreSQL
    "22P05": f"{_UNENCODABLE}; or correct the value that has it",
    "SQLITE_AUTH": (
        "a feed may only read: it must not use ATTACH or DETACH, nor a PRAGMA other than those that describe tables"
    ),
    **dict.fromkeys(
        [f"SQLITE_READONLY_{why}" for why in ("DIRECTORY", "CANTINIT", "CANTLOCK", "RECOVERY", "ROLLBACK")],
        "the file is in WAL mode, or its last writer was interrupted. Then SQLite writes files beside it even if it "
        "only reads, such as the -shm file, and syncd may not write to this folder. Let the user that runs syncd write "
        "to the folder, or switch the file to another mode in the MIS with: PRAGMA journal_mode = DELETE",
    ),
}


@dataclass(frozen=True, slots=True)
class _ServerError:
    """A kind of SQL Server error: its numbers, how its messages begin, and syncd's explanation."""

    numbers: frozenset[int]
    pattern: re.Pattern[str]
    """For a login whose language is English. Messages may quote values, so only their beginning is compared."""
    explanation: str = ""
    """Empty if the message names only objects of the database and is repeated."""


def _server_error(numbers: set[int], pattern: str, explanation: str = "") -> _ServerError:
    return _ServerError(frozenset(numbers), re.compile(pattern, re.IGNORECASE), explanation)


#: The drivers' exception classes say nothing about these errors: 1222 is a "ProgrammingError".
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
        f"error 1205). {_READS_AGAIN}",
    ),
    _server_error(
        {1222},
        "lock request time ?out period exceeded",
        f"another program keeps the rows locked (error 1222). {_READS_AGAIN}",
    ),
    _server_error(
        {241, 242, 244, 245, 248, 295, 296, 8114, 8115, 8169, 9807},
        r"conversion failed when converting|error converting data type|arithmetic overflow error"
        r"|the conversion of (?:a|an|the) ",
        "a value cannot be converted to the type that the query asks for. Use TRY_CONVERT in the query",
    ),
    _server_error({8134}, "divide by zero", "the query divides by zero. Use NULLIF in the query"),
    _server_error(
        {596, 6005}, "cannot continue the execution because the session is in the kill state|shutdown is in progress",
        f"the server ended the session: an administrator stopped it, or the server is shutting down. {_READS_AGAIN}",
    ),
)  # fmt: skip

#: What mssql-python and pyodbc put before a server's message.
_PREFIX: Final = re.compile(r"^(?:\[[0-9A-Z]{5}\] ?)?(?:\[(?:Microsoft|unixODBC|FreeTDS|SQL Server|ODBC[^\]]*)\])+")

#: Errors of sockets, by their numbers on Windows and Linux.
_NETWORK_ERRORS: Final = {
    "the network cannot be reached": (10051, 101),
    "the server closed the connection": (10053, 10054, 32, 103, 104),
    "the connection was refused": (10057, 10061, 111),
    "no answer within the time (timed out)": (10060, 110),
    "there is no route to the host": (10064, 10065, 112, 113),
    "the server's name cannot be resolved": (11001, 11002, 11003, 11004),
}
_BY_NUMBER: Final = {number: words for words, numbers in _NETWORK_ERRORS.items() for number in numbers}

#: The remedies for failed connections, by parts of the driver's or server's message; the first match counts.
_REMEDIES: Final = {
    "mssql-python needs libraries of the system: install libltdl7, libkrb5-3 and libgssapi-krb5-2": (
        "failed to load the driver",
    ),
    "If you trust the network between this machine and the server, add TrustServerCertificate=yes to source.url": (
        "ssl provider: certificate verify failed: self-signed",
        "ssl provider: certificate verify failed: self signed",
    ),
    "Add the certificate of the authority that issued it (a ca_file) to this machine's certificate store, or on Linux "
    "to the file that SSL_CERT_FILE names, since the driver has no option for such a file; or add "
    "TrustServerCertificate=yes to source.url": (
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
    "Check the user and the password in source.url, and the database's name: SQL Server's driver reports a database "
    "that does not exist, or that this login may not use, with the same words; a password in the key source.password "
    "needs no encoding": ("login failed",),
    "Check the user and the password in source.url; a password in the key source.password needs no encoding": (
        "password authentication",
        "no password supplied",
        'role "',
        "access denied for user",
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


def explain_unreachable(problem: Exception) -> str:
    """Return why the connection failed, and the remedy, as sentences."""
    cause = problem.orig if isinstance(problem, DBAPIError) and problem.orig is not None else problem
    if not isinstance(problem, SQLAlchemyError) and not is_oracle_client_error(problem):
        return _explain_driver_error(problem)
    message = _sentence_of(cause)
    remedy = next((remedy for remedy, signs in _REMEDIES.items() if any(sign in message.lower() for sign in signs)), "")
    return f"{message}. {remedy}." if remedy else f"{message}."


def is_oracle_client_error(problem: Exception) -> bool:
    """Whether the error means that Oracle's driver cannot use Oracle's client libraries."""
    return error_code(problem) in {"DPI-1047", "DPY-2019", "DPY-2053"}


def is_replica_conflict(problem: BaseException) -> bool:
    """Whether the error means that the recovery of a replica of PostgreSQL has stopped the query."""
    return type(problem).__module__.startswith("psycopg") and error_code(problem) == _CONFLICT_CODE


def explain_unreadable(
    problem: Exception,
    *,
    is_about_query: bool,
    is_lost: bool,
    is_overdue: bool = False,
    has_rows: bool,
    seconds: float,
) -> str:
    """Return why a feed cannot be read, and the remedy if there is one that fits the cause, without a full stop.

    A message about data may quote the data, so such a message is not repeated.
    """
    code = error_code(problem)
    if code in _TIMEOUT_CODES or is_overdue:
        return (
            "the database stopped it, usually because it takes longer than source.timeout_seconds "
            f"({seconds:g}). Make the query faster, or raise source.timeout_seconds"
        )
    kind = _server_error_of(problem)
    conflict = _REPLICA_CONFLICT if is_replica_conflict(problem) else ""
    if explanation := conflict or _BY_CODE.get(code) or (kind and kind.explanation):
        return explanation
    if kind or _is_repeatable(problem, code, is_about_query=is_about_query):
        return _sentence_of(problem)
    if isinstance(problem, UnicodeError):
        return _UNENCODABLE if isinstance(problem, UnicodeEncodeError) else _UNDECODABLE
    named = f"({type(problem).__name__}{f', code {code}' if code else ''})"
    if is_lost:
        return (
            f"the connection was lost {named}. {_READS_AGAIN}; if it is lost again, check the network and the "
            "database server's log"
        )
    # The database's own words may quote values.
    advice = "Run the query as this login in another program, such as SSMS for SQL Server, which shows the reason"
    return f"the database refused {'to read on' if has_rows else 'the query'} {named}. {advice}"


def explain_silence(seconds: float) -> str:
    """Return why a call of the driver was given up, and what to check, without a full stop."""
    return (
        "the database has not answered, and not stopped the statement, within source.timeout_seconds "
        f"({seconds:g}). {_READS_AGAIN}; if that happens again, check the database server and the network to it"
    )


def error_code(problem: BaseException) -> str:
    """Return the database's own code for an error; empty if it has none."""
    first = problem.args[0] if problem.args else None
    if isinstance(first, int):
        return str(first)
    for holder, name in [
        (problem, "sqlstate"),
        (first, "full_code"),
        (problem, "sqlite_errorname"),
        (problem, "driver_error"),
    ]:
        code = getattr(holder, name, None)
        if isinstance(code, str):
            return code.removeprefix(_UNKNOWN_SQLSTATE).strip()
    # pyodbc's errors begin with the SQLSTATE.
    if isinstance(first, str) and len(problem.args) > 1 and re.fullmatch(r"[0-9A-Z]{5}", first):
        return first
    return ""


def _server_error_of(problem: BaseException) -> _ServerError | None:
    """Return the kind of SQL Server error: by its number if the driver has it, else by how the message begins."""
    text = _server_message(problem)
    if text is None:
        return None
    # In pyodbc the number and the function of ODBC follow the message; mssql-python has no number.
    number = re.search(r"\((\d+)\) \(SQL\w+\)$", text)
    for kind in _SERVER_ERRORS:
        if int(number[1]) in kind.numbers if number else kind.pattern.match(text):
            return kind
    return None


def _server_message(problem: BaseException) -> str | None:
    """Return SQL Server's message without the drivers' prefixes; ``None`` for an error of another database."""
    text = getattr(problem, "ddbc_error", None)
    if not isinstance(text, str):
        text = problem.args[-1] if problem.args and isinstance(problem.args[-1], str) else ""
        if "[SQL Server]" not in text:
            return None
    return _PREFIX.sub("", text).strip()


def _is_repeatable(problem: Exception, code: str, *, is_about_query: bool) -> bool:
    if _server_message(problem) is not None:
        # SQL Server's messages quote values, and the drivers' classes say nothing: only _SERVER_ERRORS are repeated.
        return False
    match type(problem).__module__.partition(".")[0]:
        case "sqlite3":
            return not str(problem).startswith("Could not decode")
        case "oracledb":
            # The codes from 900 to 999 are errors in the statement.
            return code in _REPEATABLE_CODES or code.startswith("ORA-009")
        case _:
            return is_about_query or code in _REPEATABLE_CODES


def _explain_driver_error(problem: Exception) -> str:
    errors = getattr(problem, "errors", None)
    if not isinstance(problem, TypeError | ValueError) and errors is None:
        return f"its driver failed ({type(problem).__name__})."
    # The option's name is shown. Its value may be a secret.
    named = re.search(r"(?:keyword argument|[Kk]eyword) '(\w+)'", str(errors or problem))
    if isinstance(problem, TypeError) and named is None:
        # Any TypeError, such as a defect of the driver.
        return "its driver failed (TypeError)."
    what = f"its option {named[1]}" if named else "one of its options"
    return f"the driver does not take {what} ({type(problem).__name__}). Correct source.url."


def _sentence_of(problem: BaseException) -> str:
    """Return the sentence in a driver's error, without internal codes and without the full stop."""
    server_message = _server_message(problem)
    if server_message is not None:
        # The driver's own text is unrelated to what the server means; it is used only if the server's is empty.
        text = _without_numbers(server_message) or str(getattr(problem, "driver_error", ""))
    elif hasattr(problem.args[0] if problem.args else None, "full_code"):
        lines = re.sub(r" ?\(CONNECTION_ID=[^)]*\)", "", str(problem)).splitlines()
        text = ": ".join(line.rstrip(".") for line in lines[:2] if not line.startswith("Help:"))
        text = re.sub(r"\.? See https?://\S+ for help$", "", text)
    else:
        # Some drivers have a number and a sentence.
        text = next((part for part in reversed(problem.args) if isinstance(part, str)), str(problem))
        text = re.sub(r"^connection failed: |FATAL: +", "", text.strip().partition("\n")[0])
    return text.strip().rstrip(".")


def _without_numbers(text: str) -> str:
    """Return SQL Server's message without the numbers of other libraries; known ones are put in words."""
    text = re.sub(r" \(\d+\) \(SQL\w+\)$", "", text)
    text = re.sub(r"\[error:[0-9A-F]+:[^:\]]*:[^:\]]*:([^\]]*)\]", lambda found: f"{found[1]}; ", text)
    text = re.sub(r"(?<=verify failed):(?=\S)", ": ", text.removesuffix("; "))
    text = re.sub(r"Error code 0x([0-9A-F]+)", _network_error, text)
    text = re.sub(r" ?\[x[0-9A-F]+\]\.?", "", text)
    # Two of the messages go on with guesses at causes.
    return text.partition(" Common causes include")[0].strip()


def _network_error(found: re.Match[str]) -> str:
    words = _BY_NUMBER.get(int(found[1], 16))
    return f"{words} (code 0x{found[1]})" if words else found[0]
