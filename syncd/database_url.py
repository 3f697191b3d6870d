"""URLs of databases: read strictly, so that no part of a password is taken for something else, and shown safely."""

import re
from collections.abc import Mapping
from typing import Final

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

#: How SQLAlchemy divides a URL: the password ends at the first "@".
_PARTS: Final = re.compile(r"[\w+]+://(?:(?P<user>[^:/]*)(?P<password>:[^@]*)?@)?(?P<rest>.*)", re.DOTALL)

#: Options that hold a password.
_PASSWORD_OPTIONS: Final = {"password", "passwd", "pwd"}

_SCHEMES: Final = {
    "sqlserver": "mssql+mssqlpython",
    "oracle": "oracle+oracledb",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "postgresql": "postgresql+psycopg",
}
_JDBC: Final = re.compile(rf"(?i)(?:jdbc:({'|'.join(_SCHEMES)}):|(sqlserver)://)")
_ODBC: Final = re.compile(r"(?i)(?:^|;)\s*(?:driver|server|data source|address|addr|network address)\s*=")
_PROPERTY: Final = re.compile(r"(?:^|[;?&])\s*([\w ]+?)\s*=\s*(\{(?:[^}]|\}\})*\}|[^;&]*)")
_NO: Final = {"no", "false", "optional", "0"}
_YES: Final = {"yes", "true", "sspi", "1"}


def parse_database_url(text: object) -> URL:
    """The SQLAlchemy URL that ``text`` is; ``%5C`` in a SQL Server's name is a backslash.

    Raises `ValueError` with the end of a sentence that shows no part of the text, since any part may be secret.
    """
    if not isinstance(text, str):
        raise ValueError(_NO_URL)  # noqa: TRY004 - pydantic makes a sentence of a ValueError only
    text = text.strip()
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError(
            "has a control character, which TOML makes of a backslash in double quotes. "
            r"Write \\ or %5C for a backslash, or use single quotes"
        )
    refuse_other_notation(text)
    _refuse_ambiguous(text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(_NO_URL) from None
    if url.host and url.get_backend_name() == "mssql":
        url = url.set(host=re.sub("%5c", r"\\", url.host, flags=re.IGNORECASE))
    return url


_NO_URL: Final = "is not a database URL such as postgresql+psycopg://user@host/database"


def refuse_other_notation(text: str) -> None:
    """Raises `ValueError` for JDBC's and ODBC's way of naming a database, with the URL that was probably meant."""
    if jdbc := _JDBC.match(text):
        meant = _of_jdbc((jdbc[1] or jdbc[2]).lower(), text[jdbc.end() :].removeprefix("//"))
    elif not re.match(r"[\w+]+://", text) and _ODBC.search(text):
        meant = _of_properties(_properties(text))
    else:
        return
    raise ValueError(
        f"is a connection string of another program. Write it as {meant.render_as_string()}, and put the password "
        "into the key password or password_file"
    )


def _refuse_ambiguous(text: str) -> None:
    parts = _PARTS.match(text)
    if parts is None:
        return
    rest = parts["rest"]
    if parts["user"] is None:
        # Without a user, an "@" may stand in a file's name or in an option, and nowhere else.
        rest = "" if rest.startswith("/") else rest.partition("?")[0]
    elif parts["password"] is None:
        rest = re.split("[/?]", rest)[0]
    if "@" in rest:
        raise ValueError(
            'has an "@" in an unexpected place, so it is unclear where the password ends. Write "@" as %40 in a user, '
            "a password or an option, or put the password into the key password or password_file, which need no "
            "encoding"
        )


def has_password(url: URL) -> bool:
    """Whether the URL has a password, before its host or among its options."""
    return bool(url.password) or any(name.lower() in _PASSWORD_OPTIONS for name in url.query)


def with_password(url: URL, password: str) -> URL:
    """The URL with a password that is kept apart from it.

    Raises `ValueError` with a sentence if the URL already has a password, or has no user.
    """
    if not password:
        return url
    if has_password(url):
        raise ValueError("the password is both in url and in password; give it in one of the two")
    if not url.username:
        raise ValueError("there is a password, but url has no user; write the user as in scheme://USER@host/database")
    return url.set(password=password)


def without_secrets(url: URL) -> str:
    """The URL without its password and without options, which may be secret too, but for Oracle's service name."""
    service = {name: value for name, value in url.query.items() if name == "service_name"}
    return url.set(query=service).render_as_string(hide_password=True)


def _of_jdbc(kind: str, rest: str) -> URL:
    scheme = _SCHEMES[kind]
    authority, path = re.fullmatch(r"([^/;?]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    if kind == "oracle" or rest.count("@") > 1 or "@" in path:
        # What follows the user may be a part of the password.
        options = {"service_name": "SERVICE"} if kind == "oracle" else {}
        return URL.create(scheme, "USER", None, "SERVER", None, "" if options else "DATABASE", options)
    found = _properties(path)
    user, _, place = authority.rpartition("@")
    database = (re.match(r"/([^;?]*)", path) or ["", ""])[1]
    if kind == "sqlserver" and "database" in found and database:
        place = re.sub(r"(?=:|$)", lambda _: f"\\{database}", place, count=1)
    return _of_properties(
        {"user": user.partition(":")[0], "server": place.replace(":", ","), "database": database} | found, scheme
    )


def _properties(text: str) -> dict[str, str]:
    """What a connection string sets, the first of each name, in the names that ODBC uses."""
    found: dict[str, str] = {}
    for name, value in _PROPERTY.findall(text):
        name = name.lower().replace(" ", "")  # noqa: PLW2901
        value = value[1:-1] if value.startswith("{") else value.strip()  # noqa: PLW2901
        found.setdefault(_SAME.get(name, name), value)
    return found


_SAME: Final = {
    **dict.fromkeys(("datasource", "address", "addr", "networkaddress", "servername"), "server"),
    **dict.fromkeys(("initialcatalog", "databasename"), "database"),
    **dict.fromkeys(("uid", "userid", "username"), "user"),
    **dict.fromkeys(("integratedsecurity",), "trusted_connection"),
}


def _of_properties(found: Mapping[str, str], scheme: str = "") -> URL:
    driver = found.get("driver", "").lower()
    scheme = scheme or next((url for name, url in _SCHEMES.items() if name in driver), _SCHEMES["sqlserver"])
    place = re.fullmatch(r"(?i)(?:(?:tcp|np|lpc):)?([\w.\\-]+)(?:,(\d{1,5}))?", found.get("server", ""))
    host, port = (place[1], place[2] or found.get("port", "")) if place else ("SERVER", "")
    is_windows = found.get("trusted_connection", "").lower() in _YES
    options: dict[str, str] = {"Trusted_Connection": "yes"} if is_windows else {}
    if scheme.startswith("mssql"):
        options |= {"Encrypt": "no"} if found.get("encrypt", "").lower() in _NO else {}
        is_trusted = found.get("trustservercertificate", "").lower() in _YES
        options |= {"TrustServerCertificate": "yes"} if is_trusted else {}
    return URL.create(
        scheme,
        None if is_windows else found.get("user") or "USER",
        None,
        host,
        int(port) if port.isdecimal() else None,
        found.get("database") or "DATABASE",
        options,
    )
