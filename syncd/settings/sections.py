"""The sections of the configuration, and the whole of it."""

import os
import re
from collections.abc import Mapping
from datetime import time, timedelta
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy.engine import make_url

from syncd.core.assignments import ASSIGNABLE
from syncd.core.compare import Clear
from syncd.core.fields import USERS, Referent, Role
from syncd.core.guard import Limits
from syncd.core.misid import canonical
from syncd.core.rate import CALLS_PER_MINUTE
from syncd.core.records import Code
from syncd.database_url import with_password
from syncd.secret_file import trimmed
from syncd.settings.values import (
    LOOPBACK,
    ApprisesUrls,
    CaFile,
    ConfigPath,
    Daily,
    DatabaseUrl,
    Jitter,
    PasswordHash,
    ProxyUrl,
    QuietWindow,
    Schedule,
    Token,
    TrustedProxy,
    content_of,
    interval,
    is_loopback,
    is_private,
    is_web_url,
    leaves_time,
    protected,
    time_zone,
)


class Environment(StrEnum):
    """OneFile's three installations (§1)."""

    LIVE = "live"
    PRACTICE = "practice"
    BETA = "beta"

    @property
    def base_url(self) -> str:
        """The base URL of its API."""
        host = {"live": "wsapi", "practice": "wsapi2", "beta": "wsapibeta"}[self]
        return f"https://{host}.onefile.co.uk/api/v2.1"


def onefile_named(host: str) -> str:
    """The name for people of the OneFile whose API has this host."""
    for each in Environment:
        if urlsplit(each.base_url).hostname == host:
            return f"OneFile's {each} environment"
    return "the simulated OneFile on this machine" if host == LOOPBACK else f"the OneFile at {host}"


class Section(BaseModel):
    """One table of the file. Unknown keys are mistakes, never ignored; values are never shown in errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _from_files(cls, given: Any) -> Any:
        """Trim every value, and set every ``<key>`` to the content of its ``<key>_file``."""
        if not isinstance(given, Mapping):
            return given
        # A password may begin or end with a blank; nothing else does.
        given = {
            name: trimmed(value) if isinstance(value, str) and name != "password" else value
            for name, value in given.items()
        }
        files = {name: given[f"{name}_file"] for name in cls.SECRETS if isinstance(given.get(f"{name}_file"), str)}
        for name in files.keys() & given.keys():
            raise ValueError(f"needs either {name} or {name}_file, and not both")
        return {**given, **{name: content_of(f"{name}_file", path) for name, path in files.items()}}

    SECRETS: ClassVar[frozenset[str]] = frozenset()
    """The keys that may also be given as a file."""


class OneFileSettings(Section):
    """``[onefile]``: the OneFile environment, the organisations, and the speed of calls."""

    SECRETS = frozenset({"customer_token", "proxy"})

    base_url: str = ""
    environment: Environment | None = None
    organisation_id: int = Field(ge=1, strict=True)
    organisations: tuple[Annotated[int, Field(ge=1)], ...] = ()
    assign_path: Literal["user", "learner"] = "user"
    customer_token: SecretStr = SecretStr("")
    customer_token_file: ConfigPath | None = None
    proxy: ProxyUrl | None = None
    proxy_file: ConfigPath | None = None
    ca_file: CaFile | None = None
    calls_per_minute: int = Field(CALLS_PER_MINUTE, ge=1)
    max_in_flight: int = Field(16, ge=1, le=64)
    timeout_seconds: float = Field(30, gt=0)
    settle_seconds: float = Field(60, ge=0)
    clear: Clear = Clear.KEEP
    compare_names: bool = True

    @property
    def url(self) -> str:
        """The API's base URL, without a slash at its end."""
        return (self.environment.base_url if self.environment else self.base_url).rstrip("/")

    @property
    def proxy_url(self) -> str | None:
        """The proxy; empty for none, ``None`` if the environment decides."""
        return self.proxy.get_secret_value() if self.proxy is not None else None

    @property
    def host(self) -> str:
        """The host that identifies the OneFile; all simulators on this machine count as one, on any port."""
        host = str(urlsplit(self.url).hostname)
        return LOOPBACK if is_loopback(host) else host

    @property
    def all_organisations(self) -> tuple[int, ...]:
        """Every organisation with rows in the feeds; the default organisation of rows is first."""
        return tuple(dict.fromkeys((self.organisation_id, *self.organisations)))

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.base_url) == bool(self.environment):
            raise ValueError('needs either environment = "live" (or "practice", "beta") or base_url, and not both')
        if not is_private(self.url):
            raise ValueError("base_url must be https; plain http is for a simulator on this machine")
        if self.calls_per_minute > CALLS_PER_MINUTE and not is_loopback(str(urlsplit(self.url).hostname)):
            raise ValueError(f"calls_per_minute is {self.calls_per_minute}, and OneFile allows {CALLS_PER_MINUTE}")
        if not self.settle_seconds and not is_loopback(str(urlsplit(self.url).hostname)):
            raise ValueError("settle_seconds must be more than 0; 0 is for a simulator on this machine")
        return self


class DatabaseSection(Section):
    """A section that names a database, with its password in the URL or in a key of its own."""

    SECRETS = frozenset({"url", "password"})

    url: DatabaseUrl
    url_file: ConfigPath | None = None
    password: SecretStr = SecretStr("")
    password_file: ConfigPath | None = None

    @property
    def connection_url(self) -> str:
        """The URL to connect with, including the password."""
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
    """The default store, in the service's state directory if systemd or our image sets one."""
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
        """How long changes and runs are kept; zero means for ever."""
        return timedelta(days=self.keep_days)


class ScheduleSettings(Section):
    """``[schedule]``: when the daemon polls and verifies, and when it makes no calls."""

    poll: Schedule = "15m"
    verify: Schedule = ""
    jitter: Jitter = "1m"
    timezone: Annotated[str, AfterValidator(time_zone)] = "Europe/London"
    quiet: tuple[QuietWindow, ...] = ()

    @field_validator("quiet")
    @classmethod
    def _leave_time(cls, windows: tuple[tuple[time, time], ...]) -> tuple[tuple[time, time], ...]:
        if not leaves_time(windows):
            raise ValueError("leaves no time of the day for calls; make a window shorter")
        return windows

    @property
    def poll_interval(self) -> timedelta | None:
        """The interval, or ``None`` if ``poll`` is a cron line."""
        return interval(self.poll)

    @property
    def verify_interval(self) -> timedelta | None:
        """The interval, or ``None`` if ``verify`` is a cron line or empty."""
        return interval(self.verify)

    @property
    def jitter_period(self) -> timedelta:
        """The longest delay after the scheduled minute."""
        return interval(self.jitter) or timedelta()


class GuardSettings(Section):
    """``[guard]``: how much may change without approval: in one run, in 24 hours and in 7 days."""

    # Assignments are changes as well, so there may be more changes than accounts.
    percent: float = Field(10, ge=0, le=1_000_000)
    floor: int = Field(50, ge=0)
    percent_day: float = Field(15, ge=0, le=1_000_000)
    percent_week: float = Field(25, ge=0, le=1_000_000)
    field_percent: float = Field(20, ge=0, le=100)

    @property
    def limits(self) -> Limits:
        """The limits of the guard."""
        return Limits(**self.model_dump())


class LeaversSettings(Section):
    """``[leavers]``: what happens to accounts whose record is in no feed any more."""

    action: Literal["report", "archive"] = "report"
    grace_days: int = Field(14, ge=0, le=36_500)
    protect: Annotated[tuple[str, ...] | ConfigPath, BeforeValidator(protected)] = ()


class DefaultsSettings(Section):
    """``[defaults]``: the class, placement or assessor of records without one, by OneFile's id, by MISID or by name."""

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
                found[field] = Code(referent, "MISID" if misid else "Name", canonical(misid) or name)
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
    """``[admin]``: the web pages, the API and the endpoints for monitoring."""

    SECRETS = frozenset({"token", "password_hash", "viewer_token", "viewer_password_hash"})

    listen: str = "127.0.0.1:8642"
    trusted_proxies: tuple[TrustedProxy, ...] = ()
    token: Token = SecretStr("")
    token_file: ConfigPath | None = None
    password_hash: PasswordHash = SecretStr("")
    password_hash_file: ConfigPath | None = None
    viewer_token: Token = SecretStr("")
    viewer_token_file: ConfigPath | None = None
    viewer_password_hash: PasswordHash = SecretStr("")
    viewer_password_hash_file: ConfigPath | None = None

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port, or ``None`` if it is switched off."""
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
    """``[notify]``: who is notified if syncd needs an operator, and of what."""

    SECRETS = frozenset({"urls", "heartbeat_url"})

    urls: ApprisesUrls = ()
    urls_file: ConfigPath | None = None
    heartbeat_url: SecretStr = SecretStr("")
    heartbeat_url_file: ConfigPath | None = None
    unreachable_minutes: float = Field(30, ge=0, le=10_080)
    digest: Daily = Field("08:00", validate_default=True)

    @model_validator(mode="after")
    def _watcher(self) -> Self:
        url = self.heartbeat_url.get_secret_value()
        if url and not is_web_url(url):
            raise ValueError('heartbeat_url must be a URL that begins with "https://" or "http://"')
        return self


class LogSettings(Section):
    """``[log]``: the level and the format of the log."""

    format: Literal["json", "console", ""] = ""
    level: Literal["debug", "info", "warning", "error"] = "info"


class FeedSettings(Section):
    """One ``[[feeds]]``: a query over the MIS that yields people, places, or who is assigned to whom."""

    name: str = Field(min_length=1)
    kind: Literal["users", "placements", "classrooms", "assignments"] = "users"
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
        """The role that each row becomes in OneFile; for assignments, the role of the assigned users."""
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
        roles = {"users": USERS, "assignments": ASSIGNABLE}.get(self.kind, ())
        if roles and self.role not in roles:
            raise ValueError(f"needs a role, which is one of {', '.join(roles)}")
        if not roles and self.role is not None:
            raise ValueError(f"is of the kind {self.kind!r}, which has no role")
        return self


_PLACES: Final = {"placements": Role.PLACEMENT, "classrooms": Role.CLASSROOM}


class _FromEnvironment(EnvSettingsSource):
    """The environment as a source of settings; a list is written as JSON."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Keep a value that is not JSON as text, so that the check of its key reports what it should be."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class Settings(BaseSettings):
    """The whole configuration, as `load_settings` returns it."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, env_prefix="SYNCD_", env_nested_delimiter="__"
    )

    onefile: OneFileSettings
    source: SourceSettings
    # Created for each configuration, because the path of the default file depends on it.
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
