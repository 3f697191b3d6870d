"""The values of the configuration: how each kind is checked and converted."""

import re
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime, time, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import Annotated, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import durationpy
from cronsim import CronSim, CronSimError
from pydantic import (
    AfterValidator,
    BeforeValidator,
    SecretStr,
)

from syncd.database_url import parse_database_url
from syncd.proxy import parse_proxy
from syncd.secret_file import read_secret_file, trimmed
from syncd.tls import load_certificates

CONFIG_VARIABLE: Final = "SYNCD_CONFIG"
LOOPBACK: Final = "localhost"


_DAY_MINUTES: Final = 24 * 60
_LARGEST_JITTER: Final = timedelta(hours=1)
#: Nothing limits how often a token is tried, because scripts call often.
_SHORTEST_TOKEN: Final = 12


#: The folder of the configuration file: relative paths in the file and in the environment start there.
folder_of_file: ContextVar[Path] = ContextVar("folder", default=Path())


def absolute_path(path: Path) -> Path:
    """The path, relative to the folder of the configuration file."""
    return folder_of_file.get() / path


def _database_url(text: object) -> str:
    url = parse_database_url(text)
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        url = url.set(database=str(absolute_path(Path(url.database))))
    return url.render_as_string(hide_password=False)


def _schedule(text: str) -> str:
    try:
        return text if not text or interval(text) else _cron_line(text)
    except ValueError:
        raise ValueError('is neither an interval such as "15m" nor a cron line such as "*/15 7-19 * * 1-5"') from None


def interval(text: str) -> timedelta | None:
    """Parse an interval such as ``30s``, ``15m`` or ``1h30m``; returns ``None`` if the text is not one."""
    if not re.fullmatch(r"(?=.*[1-9])([0-9]+[smh])+", text):
        return None
    interval: timedelta = durationpy.from_str(text)
    return interval


def _cron_line(text: str) -> str:
    # CronSim also accepts a field for seconds and signs for last days, which a five-field cron line does not have.
    if not re.fullmatch(r"(\S+\s+){4}\S+", text.strip()) or not re.fullmatch(r"(?i)(?:[0-9*,/\s-]|[a-z]{3})+", text):
        raise ValueError
    try:
        next(CronSim(text, datetime(2024, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        raise ValueError from None
    return text


def _jitter(text: str) -> str:
    if text and not timedelta() < (interval(text) or timedelta()) <= _LARGEST_JITTER:
        raise ValueError('must be a duration of at most 1h, e.g. "1m"')
    return text


def _quiet_window(given: object) -> tuple[time, time]:
    clock = "((?:[01][0-9]|2[0-3]):[0-5][0-9])"
    match = re.fullmatch(f"{clock}-{clock}", str(given))
    if match is None:
        raise ValueError('is not a window such as "07:00-07:30"')
    start, end = time.fromisoformat(match[1]), time.fromisoformat(match[2])
    if start == end:
        raise ValueError('begins and ends at the same time; write a window such as "07:00-07:30"')
    return start, end


def leaves_time(windows: Iterable[tuple[time, time]]) -> bool:
    """Whether some time of the day is in none of the windows; one that ends before it begins spans midnight."""
    covered: set[int] = set()
    for start, end in windows:
        first, last = (each.hour * 60 + each.minute for each in (start, end))
        covered.update(minute % _DAY_MINUTES for minute in range(first, last + _DAY_MINUTES * (last < first)))
    return len(covered) < _DAY_MINUTES


def time_zone(text: str) -> str:
    """Check the name of a time zone. Raises `ValueError` for one that this machine does not know."""
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # "Europe" is a folder of the database.
        raise ValueError('is not a time zone such as "Europe/London"') from None
    return text


def _urls(given: object) -> object:
    if isinstance(given, str):
        # Text from a file or from the environment.
        lines = (line for line in map(str.strip, given.splitlines()) if not line.startswith("#"))
        given = [url for line in lines for url in line.split()]
    if not isinstance(given, list | tuple) or not all(isinstance(url, str) and url.strip() for url in given):
        raise ValueError("must be a list of Apprise's URLs, each in quotes")
    return [url.strip() for url in given]


def _daily(text: str) -> str:
    clock = re.fullmatch("([01]?[0-9]|2[0-3]):([0-5][0-9])", text)
    try:
        return f"{int(clock[2])} {int(clock[1])} * * *" if clock else text and _cron_line(text)
    except ValueError:
        raise ValueError('is neither a time such as "08:00" nor a cron line such as "0 8 * * 1-5"') from None


def protected(given: object) -> object:
    """Check a list of MISIDs, or the name of a file of them. Raises `ValueError` for anything else."""
    misids = [given] if isinstance(given, str) else given
    if not isinstance(misids, list | tuple) or not all(isinstance(misid, str) for misid in misids):
        raise ValueError("must be a list of MISIDs, each in quotes, or the name of a file of them")
    return given


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, by address or by name."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == LOOPBACK


def _trusted_proxy(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError('must be addresses or networks such as "127.0.0.1" or "10.0.0.0/24"') from None


def _password_hash(given: object) -> object:
    # Imported here, so that commands do not wait for it if there is no password.
    from argon2 import extract_parameters  # noqa: PLC0415
    from argon2.exceptions import InvalidHash  # noqa: PLC0415

    if isinstance(given, str) and given:
        try:
            extract_parameters(given)
        except InvalidHash:
            raise ValueError("is not the hash of a password: 'syncd admin password' prints one") from None
    return given


def _token(given: object) -> object:
    if isinstance(given, str) and given and len(given) < _SHORTEST_TOKEN:
        raise ValueError(
            f"must have at least {_SHORTEST_TOKEN} characters, because it could be guessed: "
            "'openssl rand -hex 32' prints a good one"
        )
    return given


def is_private(url: str) -> bool:
    """Whether data sent to this URL cannot be read on the way: it is https or on this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(str(host))))


def is_web_url(url: str) -> bool:
    """Whether it is a URL of HTTP or HTTPS with a host."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return bool(host) and parts.scheme in {"https", "http"}


def _proxy_url(given: SecretStr) -> SecretStr:
    parse_proxy(given.get_secret_value(), "")
    return given


def _ca_file(given: Path) -> Path:
    load_certificates(given, SSLContext(PROTOCOL_TLS_CLIENT))
    return given


ConfigPath = Annotated[Path, AfterValidator(absolute_path)]


CaFile = Annotated[ConfigPath, AfterValidator(_ca_file)]


ProxyUrl = Annotated[SecretStr, AfterValidator(_proxy_url)]


PasswordHash = Annotated[SecretStr, BeforeValidator(_password_hash)]


Token = Annotated[SecretStr, BeforeValidator(_token)]


TrustedProxy = Annotated[str, AfterValidator(_trusted_proxy)]


DatabaseUrl = Annotated[SecretStr, BeforeValidator(_database_url)]


Schedule = Annotated[str, AfterValidator(_schedule)]


Jitter = Annotated[str, AfterValidator(_jitter)]


Daily = Annotated[str, AfterValidator(_daily)]


ApprisesUrls = Annotated[tuple[SecretStr, ...], BeforeValidator(_urls)]


QuietWindow = Annotated[tuple[time, time], BeforeValidator(_quiet_window)]


def content_of(key: str, path: str) -> str:
    """The secret in a file. Raises `ValueError`, which names the key, the file and what to do."""
    try:
        text = read_secret_file(absolute_path(Path(path)))
    except ValueError as problem:
        raise ValueError(f"{key}: {problem}") from None
    # A password may begin or end with a blank; other secrets do not.
    return text if key == "password_file" else trimmed(text)
