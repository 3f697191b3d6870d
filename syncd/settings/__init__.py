"""The configuration: a TOML file, overridden by environment variables, checked before anything starts."""

from syncd.settings.file import configuration_file, has_secrets, load_settings
from syncd.settings.sections import (
    AdminSettings,
    DefaultsSettings,
    Environment,
    FeedSettings,
    GuardSettings,
    LeaversSettings,
    LogSettings,
    NotifySettings,
    OneFileSettings,
    ScheduleSettings,
    Section,
    Settings,
    SourceSettings,
    StateSettings,
    onefile_named,
)
from syncd.settings.values import is_loopback

__all__ = [
    "AdminSettings",
    "DefaultsSettings",
    "Environment",
    "FeedSettings",
    "GuardSettings",
    "LeaversSettings",
    "LogSettings",
    "NotifySettings",
    "OneFileSettings",
    "ScheduleSettings",
    "Section",
    "Settings",
    "SourceSettings",
    "StateSettings",
    "configuration_file",
    "has_secrets",
    "is_loopback",
    "load_settings",
    "onefile_named",
]
