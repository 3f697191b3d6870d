"""The configuration: a TOML file, overridden by environment variables, checked before anything starts."""

import os
import re
import tomllib
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime, time, timedelta
from difflib import get_close_matches
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import durationpy
from argon2 import extract_parameters
from argon2.exceptions import InvalidHash
from cronsim import CronSim, CronSimError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy.engine import make_url

from syncd.core.assignments import ASSIGNABLE
from syncd.core.compare import Clear
from syncd.core.fields import USERS, Referent, Role
from syncd.core.rate import CALLS_PER_MINUTE
from syncd.core.records import Code
from syncd.database_url import parse_database_url, with_password
from syncd.errors import ConfigurationError
from syncd.secret_file import read_secret_file, unreadable

CONFIG_VARIABLE: Final = "SYNCD_CONFIG"
LOOPBACK: Final = "localhost"
_CONFIG: Final = CONFIG_VARIABLE.removeprefix("SYNCD_")
DEFAULT_FILE: Final = Path("syncd.toml")
_LARGEST_JITTER: Final = timedelta(hours=1)


class Environment(StrEnum):
    """OneFile's three installations (§1)."""

    LIVE = "live"
    PRACTICE = "practice"
    BETA = "beta"

    @property
    def base_url(self) -> str:
        """Where its API lives."""
        host = {"live": "wsapi", "practice": "wsapi2", "beta": "wsapibeta"}[self]
        return f"https://{host}.onefile.co.uk/api/v2.1"


def onefile_named(host: str) -> str:
    """A OneFile as people call it, by the host of its API."""
    for each in Environment:
        if urlsplit(each.base_url).hostname == host:
            return f"OneFile's {each} environment"
    return "the simulated OneFile on this machine" if host == LOOPBACK else f"the OneFile at {host}"


#: Where the configuration file is: relative paths in it, or in the environment, start there.
_folder: ContextVar[Path] = ContextVar("folder", default=Path())


def _path(path: Path) -> Path:
    return _folder.get() / path


def _database_url(text: object) -> str:
    url = parse_database_url(text)
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        url = url.set(database=str(_path(Path(url.database))))
    return url.render_as_string(hide_password=False)


def _schedule(text: str) -> str:
    try:
        return text if not text or _interval(text) else _cron_line(text)
    except ValueError:
        raise ValueError('is neither an interval such as "15m" nor a cron line such as "*/15 7-19 * * 1-5"') from None


def _interval(text: str) -> timedelta | None:
    """``30s``, ``15m``, ``1h30m``; ``None`` for what is not an interval."""
    if not re.fullmatch(r"(?=.*[1-9])([0-9]+[smh])+", text):
        return None
    interval: timedelta = durationpy.from_str(text)
    return interval


def _cron_line(text: str) -> str:
    # CronSim has a field for seconds, and signs of its own for last days, which five fields of cron have not.
    if not re.fullmatch(r"(\S+\s+){4}\S+", text.strip()) or not re.fullmatch(r"(?i)(?:[0-9*,/\s-]|[a-z]{3})+", text):
        raise ValueError
    try:
        next(CronSim(text, datetime(2024, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        raise ValueError from None
    return text


def _jitter(text: str) -> str:
    if text and not timedelta() < (_interval(text) or timedelta()) <= _LARGEST_JITTER:
        raise ValueError('is not a time of an hour at most, such as "1m"')
    return text


def _quiet_window(given: object) -> tuple[time, time]:
    clock = "((?:[01][0-9]|2[0-3]):[0-5][0-9])"
    match = re.fullmatch(f"{clock}-{clock}", str(given))
    if match is None:
        raise ValueError('is not a window such as "07:00-07:30"')
    return time.fromisoformat(match[1]), time.fromisoformat(match[2])


def _timezone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError('is not a time zone such as "Europe/London"') from None
    return text


def _urls(given: object) -> object:
    if isinstance(given, str):
        # As it stands in a file or in the environment.
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


def _protected(given: object) -> object:
    misids = [given] if isinstance(given, str) else given
    if not isinstance(misids, list | tuple) or not all(isinstance(misid, str) for misid in misids):
        raise ValueError("must be a list of MISIDs, each in quotes, or the name of a file of them")
    return given


def is_loopback(host: str) -> bool:
    """Whether it is this machine itself, by address or by name."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == LOOPBACK


def _password_hash(given: object) -> object:
    if isinstance(given, str) and given:
        try:
            extract_parameters(given)
        except InvalidHash:
            raise ValueError("is not the hash of a password: 'syncd admin password' prints one") from None
    return given


def _is_private(url: str) -> bool:
    """Whether nobody on the way can read what is sent there."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(str(host))))


ConfigPath = Annotated[Path, AfterValidator(_path)]
PasswordHash = Annotated[SecretStr, BeforeValidator(_password_hash)]
DatabaseUrl = Annotated[SecretStr, BeforeValidator(_database_url)]
Schedule = Annotated[str, AfterValidator(_schedule)]
Jitter = Annotated[str, AfterValidator(_jitter)]
Daily = Annotated[str, AfterValidator(_daily)]
ApprisesUrls = Annotated[tuple[SecretStr, ...], BeforeValidator(_urls)]
QuietWindow = Annotated[tuple[time, time], BeforeValidator(_quiet_window)]


def _content(key: str, path: str) -> str:
    try:
        text = read_secret_file(_path(Path(path)))
    except ValueError as problem:
        raise ValueError(f"{key}: {problem}") from None
    # A password may begin or end with a blank; nothing else that is secret does.
    return text if key == "password_file" else text.strip()


class Section(BaseModel):
    """One table of the file. Unknown keys are mistakes, never ignored; values are never shown in errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _from_files(cls, given: Any) -> Any:
        """Put the content of every ``<key>_file`` in the place of ``<key>``."""
        if not isinstance(given, Mapping):
            return given
        files = {name: given[f"{name}_file"] for name in cls.SECRETS if isinstance(given.get(f"{name}_file"), str)}
        for name in files.keys() & given.keys():
            raise ValueError(f"needs either {name} or {name}_file, and not both")
        return {**given, **{name: _content(f"{name}_file", path) for name, path in files.items()}}

    SECRETS: ClassVar[frozenset[str]] = frozenset()
    """The keys that may also be given as a file."""


class OneFileSettings(Section):
    """``[onefile]``: where OneFile is, whose accounts, and how fast."""

    SECRETS = frozenset({"customer_token"})

    base_url: str = ""
    environment: Environment | None = None
    organisation_id: int = Field(ge=1, strict=True)
    organisations: tuple[Annotated[int, Field(ge=1)], ...] = ()
    assign_path: Literal["user", "learner"] = "user"
    customer_token: SecretStr = SecretStr("")
    customer_token_file: ConfigPath | None = None
    calls_per_minute: int = Field(CALLS_PER_MINUTE, ge=1)
    max_in_flight: int = Field(16, ge=1, le=64)
    timeout_seconds: float = Field(30, gt=0)
    settle_seconds: float = Field(60, ge=0)
    clear: Clear = Clear.KEEP

    @property
    def url(self) -> str:
        """The API's base URL, without a slash at its end."""
        return (self.environment.base_url if self.environment else self.base_url).rstrip("/")

    @property
    def host(self) -> str:
        """Which OneFile it is; every simulator on this machine is the same one, whatever its port."""
        host = str(urlsplit(self.url).hostname)
        return LOOPBACK if is_loopback(host) else host

    @property
    def all_organisations(self) -> tuple[int, ...]:
        """Every organisation that the feeds have rows of, the one that rows belong to by default first."""
        return tuple(dict.fromkeys((self.organisation_id, *self.organisations)))

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.base_url) == bool(self.environment):
            raise ValueError('needs either environment = "live" (or "practice", "beta") or base_url, and not both')
        if not _is_private(self.url):
            raise ValueError("base_url must be https; plain http is for a simulator on this machine")
        if self.calls_per_minute > CALLS_PER_MINUTE and not is_loopback(str(urlsplit(self.url).hostname)):
            raise ValueError(f"calls_per_minute is {self.calls_per_minute}, and OneFile allows {CALLS_PER_MINUTE}")
        return self


class DatabaseSection(Section):
    """A section that says where a database is, with its password in the URL or apart from it."""

    SECRETS = frozenset({"url", "password"})

    url: DatabaseUrl
    url_file: ConfigPath | None = None
    password: SecretStr = SecretStr("")
    password_file: ConfigPath | None = None

    @property
    def connection_url(self) -> str:
        """The URL to connect with, which holds the password."""
        url = with_password(make_url(self.url.get_secret_value()), self.password.get_secret_value())
        return url.render_as_string(hide_password=False)

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        _ = self.connection_url
        return self


class SourceSettings(DatabaseSection):
    """``[source]``: the MIS."""

    timeout_seconds: float = Field(300, gt=0, le=86_400)
    oracle_client: ConfigPath | None = None


def _own_store() -> str:
    """Where a service has a directory for its state, as systemd and our image say, it is there."""
    directory, _, _ = os.environ.get("STATE_DIRECTORY", "").partition(":")
    return f"sqlite:///{Path(directory, 'syncd.db')}"


class StateSettings(DatabaseSection):
    """``[state]``: the state store."""

    SECRETS = DatabaseSection.SECRETS | {"encryption_key"}

    url: DatabaseUrl = Field(default_factory=_own_store, validate_default=True)
    encryption_key: SecretStr = SecretStr("")
    encryption_key_file: ConfigPath | None = None
    auto_upgrade: bool = True
    keep_days: int = Field(400, ge=0, le=36_500)

    @property
    def keep(self) -> timedelta:
        """How long changes and runs are kept; nothing is for ever."""
        return timedelta(days=self.keep_days)


class ScheduleSettings(Section):
    """``[schedule]``: when the daemon works, and when it must not."""

    poll: Schedule = "15m"
    verify: Schedule = ""
    jitter: Jitter = "1m"
    timezone: Annotated[str, AfterValidator(_timezone)] = "Europe/London"
    quiet: tuple[QuietWindow, ...] = ()

    @property
    def poll_interval(self) -> timedelta | None:
        """The interval, or ``None`` when ``poll`` is a cron line."""
        return _interval(self.poll)

    @property
    def verify_interval(self) -> timedelta | None:
        """The same for ``verify``."""
        return _interval(self.verify)

    @property
    def jitter_period(self) -> timedelta:
        """How much later than on the minute work may begin."""
        return _interval(self.jitter) or timedelta()


class GuardSettings(Section):
    """``[guard]``: how much one run may change unasked."""

    percent: float = Field(10, ge=0, le=100)
    floor: int = Field(50, ge=0)


class LeaversSettings(Section):
    """``[leavers]``: what becomes of accounts whose record is gone."""

    action: Literal["report", "archive"] = "report"
    grace_days: int = Field(14, ge=0, le=36_500)
    protect: Annotated[tuple[str, ...] | ConfigPath, BeforeValidator(_protected)] = ()


class DefaultsSettings(Section):
    """``[defaults]``: what stands in where the MIS gives none, each by OneFile's id, by its MISID or by its name."""

    classroom_id: int | None = None
    classroom_misid: str = ""
    classroom_name: str = ""
    placement_id: int | None = None
    placement_misid: str = ""
    placement_name: str = ""
    assessor_id: int | None = None
    assessor_misid: str = ""
    assessor_name: str = ""

    @property
    def by_field(self) -> dict[str, int | Code]:
        """The defaults that are set, by OneFile's field."""
        found: dict[str, int | Code] = {}
        for referent, field in _DEFAULTED.items():
            onefile_id, misid, name = (getattr(self, f"{referent}_{by}") for by in ("id", "misid", "name"))
            if onefile_id is not None:
                found[field] = onefile_id
            elif misid or name:
                found[field] = Code(referent, "MISID" if misid else "Name", misid or name)
        return found

    @model_validator(mode="after")
    def _one_way_each(self) -> Self:
        for referent in _DEFAULTED:
            ways = [f"{referent}_{by}" for by in ("id", "misid", "name")]
            if sum(getattr(self, way) not in {None, ""} for way in ways) > 1:
                raise ValueError(f"needs one of {', '.join(ways)}, and no more")
        return self


_DEFAULTED: Final = {
    Referent.CLASSROOM: "ClassroomID",
    Referent.PLACEMENT: "PlacementID",
    Referent.ASSESSOR: "DefaultAssessorID",
}


class AdminSettings(Section):
    """``[admin]``: the endpoints for people and monitors."""

    SECRETS = frozenset({"token", "password_hash", "viewer_token", "viewer_password_hash"})

    listen: str = "127.0.0.1:8642"
    token: SecretStr = SecretStr("")
    token_file: ConfigPath | None = None
    password_hash: PasswordHash = SecretStr("")
    password_hash_file: ConfigPath | None = None
    viewer_token: SecretStr = SecretStr("")
    viewer_token_file: ConfigPath | None = None
    viewer_password_hash: PasswordHash = SecretStr("")
    viewer_password_hash_file: ConfigPath | None = None

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port, or ``None`` when nothing is to listen."""
        if not self.listen:
            return None
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if not self.listen:
            return self
        host, _, port = self.listen.rpartition(":")
        if not host or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65_535:
            raise ValueError('listen must be an address and a port such as "127.0.0.1:8642", or "" for off')
        if not is_loopback(host.strip("[]")) and not any(
            getattr(self, name).get_secret_value() for name in self.SECRETS
        ):
            raise ValueError(
                "listen is not a loopback address, so a token or a password is needed: "
                "set SYNCD_ADMIN__TOKEN, or SYNCD_ADMIN__PASSWORD_HASH to what 'syncd admin password' prints"
            )
        return self

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        for name in ("token", "password_hash"):
            secret = getattr(self, name).get_secret_value()
            if secret and secret == getattr(self, f"viewer_{name}").get_secret_value():
                raise ValueError(f"{name} and viewer_{name} are the same, and one of them only lets people look")
        return self


class NotifySettings(Section):
    """``[notify]``: who is told when syncd needs somebody, and of what."""

    SECRETS = frozenset({"urls"})

    urls: ApprisesUrls = ()
    urls_file: ConfigPath | None = None
    unreachable_minutes: float = Field(30, ge=0, le=10_080)
    digest: Daily = Field("08:00", validate_default=True)


class LogSettings(Section):
    """``[log]``: how much is said, and in which shape."""

    format: Literal["json", "console", ""] = ""
    level: Literal["debug", "info", "warning", "error"] = "info"


class FeedSettings(Section):
    """One ``[[feeds]]``: a query over the MIS that yields people, places, or who is assigned to whom."""

    name: str = Field(min_length=1)
    kind: Literal["users", "placements", "classrooms", "links"] = "users"
    role: Role | None = None
    query: str = ""
    query_file: ConfigPath | None = None
    watermark: str = ""

    @field_validator("role", mode="before")
    @classmethod
    def _of_users(cls, given: object) -> object:
        if given not in USERS:
            *others, last = map(repr, map(str, USERS))
            nearest = get_close_matches(str(given).title(), map(str, USERS), n=1)
            meant = f"; did you mean {nearest[0]!r}?" if nearest else ""
            raise ValueError(f"must be {', '.join(others)} or {last}{meant}")
        return given

    @property
    def yields(self) -> Role:
        """What each row becomes in OneFile; of links, the role of whoever is assigned."""
        return _PLACES.get(self.kind) or self.role or Role.LEARNER

    @model_validator(mode="after")
    def _one_query(self) -> Self:
        if bool(self.query.strip()) == bool(self.query_file):
            raise ValueError("needs either query_file or query, and not both")
        return self

    @model_validator(mode="after")
    def _watermark_of_learners(self) -> Self:
        if self.watermark and self.yields is not Role.LEARNER:
            raise ValueError("has a watermark, which only feeds of learners may have: the others are read as a whole")
        return self

    @model_validator(mode="after")
    def _fitting_role(self) -> Self:
        roles = {"users": USERS, "links": ASSIGNABLE}.get(self.kind, ())
        if roles and self.role not in roles:
            raise ValueError(f"needs a role, which is one of {', '.join(roles)}")
        if not roles and self.role is not None:
            raise ValueError(f"is of the kind {self.kind!r}, which has no role")
        return self


_PLACES: Final = {"placements": Role.PLACEMENT, "classrooms": Role.CLASSROOM}


class _FromEnvironment(EnvSettingsSource):
    """The environment, where a list is written as JSON."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """What is not JSON stays text, so that the key it is meant for can say what it should have been."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class Settings(BaseSettings):
    """The whole configuration, as `load_settings` gives it."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, env_prefix="SYNCD_", env_nested_delimiter="__"
    )

    onefile: OneFileSettings
    source: SourceSettings
    # Made anew for every configuration, because the place of the default file depends on it.
    state: StateSettings = Field(default_factory=StateSettings)
    schedule: ScheduleSettings = ScheduleSettings()
    guard: GuardSettings = GuardSettings()
    leavers: LeaversSettings = LeaversSettings()
    defaults: DefaultsSettings = DefaultsSettings()
    admin: AdminSettings = AdminSettings()
    notify: NotifySettings = NotifySettings()
    log: LogSettings = LogSettings()
    feeds: tuple[FeedSettings, ...]

    @field_validator("feeds")
    @classmethod
    def _distinct(cls, feeds: tuple[FeedSettings, ...]) -> tuple[FeedSettings, ...]:
        if not feeds:
            raise ValueError("there must be at least one [[feeds]]")
        names = [feed.name for feed in feeds]
        doubled = {name for name in names if names.count(name) > 1}
        if doubled:
            raise ValueError(f"two feeds are called {', '.join(sorted(doubled))}; a feed's name must be its own")
        return feeds

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, key by key."""
        return _FromEnvironment(settings_cls), init_settings


def configuration_file(given: Path | None = None) -> Path:
    """The file to read: the one given, else ``SYNCD_CONFIG``, else ``./syncd.toml``."""
    return given or Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_FILE)


def load_settings(file: Path) -> Settings:
    """Read and check the configuration.

    Raises `ConfigurationError`, which names the file, the key, and the nearest valid name for a misspelt one.
    """
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"There is no configuration file {file}. Write one with 'syncd init', or name another with --config."
        ) from None
    except OSError as problem:
        raise ConfigurationError(f"{unreadable(file, problem)}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} cannot be read: not UTF-8 text.") from None
    except tomllib.TOMLDecodeError as problem:
        hint = r" In double quotes a backslash is written \\, in single quotes \." if "'\\'" in str(problem) else ""
        raise ConfigurationError(f"{file} is not valid TOML: {problem}.{hint}") from None
    _refuse_unknown_variables()
    token = _folder.set(file.parent)
    try:
        return Settings(**_without_overridden(given))
    except ValidationError as problems:
        raise ConfigurationError(_in_words(file, given, problems.errors(include_url=False))) from None
    finally:
        _folder.reset(token)


def _refuse_unknown_variables() -> None:
    for variable in os.environ:
        section, separator, _ = variable.lower().removeprefix("syncd_").partition("__")
        if variable.upper().startswith("SYNCD_") and separator and section not in Settings.model_fields:
            raise ConfigurationError(
                f"The environment variable {variable} sets nothing: there is no section {section!r}"
                + _ended(_nearest(section, Settings.model_fields))
            )
        if variable.upper().startswith("SYNCD_") and not separator and (meant := _variable_meant(section)):
            raise ConfigurationError(f"The environment variable {variable} sets nothing; did you mean {meant}?")


def _variable_meant(name: str) -> str:
    """The variable that this was probably to be; nothing for one that is none of syncd's."""
    section, _, key = name.partition("_")
    if section in Settings.model_fields and get_close_matches(key, _keys_at([section]), n=1, cutoff=0.8):
        return _variable(section, key)
    is_near = name.upper() != _CONFIG and bool(get_close_matches(name.upper(), [_CONFIG], cutoff=0.8))
    return CONFIG_VARIABLE if is_near else ""


def _without_overridden(given: dict[str, Any]) -> dict[str, Any]:
    """The file without what the environment gives in its other form: a secret for its ``_file``, or the reverse."""
    return {
        section: {name: value for name, value in keys.items() if not _is_set(section, _other_form(name))}
        if isinstance(keys, dict)
        else keys
        for section, keys in given.items()
    }


def _other_form(name: str) -> str:
    return name.removesuffix("_file") if name.endswith("_file") else f"{name}_file"


def _is_set(*path: str) -> bool:
    return _variable(*path) in {name.upper() for name in os.environ}


def _variable(*path: str) -> str:
    return f"SYNCD_{'__'.join(path).upper()}"


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith("?") else f"{sentence}."


#: What pydantic says in a programmer's words, by the type of its error.
_PLAINLY: Final = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "model_type": "must be a table",
    "path_type": "must be the name of a file, in quotes",
    "string_too_short": "must not be empty",
    "string_type": "must be text, in quotes",
    "tuple_type": 'must be a list such as ["07:00-07:30"]',
}


def _in_words(file: Path, given: Mapping[str, Any], problems: list[ErrorDetails]) -> str:
    """One sentence for the first problem, without what was given for it, and a word on how many more there are."""
    # A misspelt key is often why another one seems to be missing.
    problem = min(problems, key=lambda each: (each["type"] != "extra_forbidden", each["type"] == "missing"))
    *path, last = [str(part) for part in problem["loc"]] or ["feeds"]
    where, names = str(file), [*path, last]
    if _is_set(*names):
        where = f"the environment variable {_variable(*names)}"
    elif names[0] == "feeds" and names[1:]:
        where = f"{where}: {_feed_at(int(names[1]), given)}"
        names = names[2:]
    key = ".".join(names)
    keyed = f"{where}: {key}" if key else where
    match problem["type"]:
        case "extra_forbidden":
            sentence = f"{where}: unknown key {key!r}{_nearest(last, _keys_at(path))}"
        case "missing":
            sentence = f"{where}: the key {key!r} is missing"
        case "value_error":
            sentence = f"{keyed}: {problem['msg'].removeprefix('Value error, ')}"
        case "enum" | "literal_error":
            sentence = f"{keyed}: must be {problem.get('ctx', {}).get('expected')}{_meant(problem)}"
        case "tuple_type" if key == "feeds":
            sentence = f"{where}: each feed must be a table of its own, headed [[feeds]]"
        case kind:
            sentence = f"{keyed}: {_PLAINLY.get(kind) or problem['msg'].replace('Input should be', 'must be')}"
    more = len(problems) - 1
    return _ended(sentence) + (f" There {'is' if more == 1 else 'are'} {more} more like this." if more else "")


def _feed_at(index: int, given: Mapping[str, Any]) -> str:
    """A feed by its name, or by its place where it has none."""
    try:
        name = given["feeds"][index]["name"]
    except (LookupError, TypeError):
        name = ""
    return f"the feed {name!r}" if name and isinstance(name, str) else f"feed number {index + 1}"


def _meant(problem: ErrorDetails) -> str:
    """Which of the allowed words was probably meant; what was given itself is not repeated."""
    allowed = re.findall("'([^']+)'", str(problem.get("ctx", {}).get("expected")))
    nearest = get_close_matches(str(problem["input"]).lower(), allowed, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


def _keys_at(path: list[str]) -> Mapping[str, object]:
    """The keys of the section that ``path`` leads to."""
    if not path:
        return Settings.model_fields
    annotation = FeedSettings if path[0] == "feeds" else Settings.model_fields[path[0]].annotation
    return getattr(annotation, "model_fields", {})


def _nearest(name: str, known: Mapping[str, object]) -> str:
    nearest = get_close_matches(name.lower(), known, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else f"; known are {', '.join(known)}"
