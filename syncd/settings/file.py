"""The configuration file: found, read, and overridden by the environment."""

import os
import tomllib
from pathlib import Path
from typing import Any, Final

from pydantic import (
    ValidationError,
)
from sqlalchemy.engine import make_url

from syncd.database_url import has_password
from syncd.errors import ConfigurationError
from syncd.secret_file import trimmed, unreadable
from syncd.settings.messages import is_set, refuse_unknown_variables, sentence_for
from syncd.settings.sections import Settings
from syncd.settings.values import CONFIG_VARIABLE, folder_of_file

DEFAULT_FILE: Final = Path("syncd.toml")


def configuration_file(given: Path | None = None) -> Path:
    """The file to read: the one given, else ``SYNCD_CONFIG``, else ``./syncd.toml``."""
    return given or Path(trimmed(os.environ.get(CONFIG_VARIABLE, "")) or DEFAULT_FILE)


def load_settings(file: Path) -> Settings:
    """Read and check the configuration.

    Raises `ConfigurationError`, which names the file, the key, and the nearest valid name for a misspelt one.
    """
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8-sig"))
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
    refuse_unknown_variables()
    token = folder_of_file.set(file.parent)
    try:
        return Settings(**_without_overridden(given))
    except ValidationError as problems:
        raise ConfigurationError(sentence_for(file, given, problems.errors(include_url=False))) from None
    finally:
        folder_of_file.reset(token)


def has_secrets(file: Path) -> bool:
    """Whether a valid configuration file has a secret itself: a token, a key, a password, or a URL with a password."""
    sections = tomllib.loads(file.read_text(encoding="utf-8"))
    return any(
        bool(value) and (name != "url" or has_password(make_url(value)))
        for section, keys in sections.items()
        if isinstance(keys, dict)
        for name, value in keys.items()
        if name in getattr(Settings.model_fields[section].annotation, "SECRETS", ())
    )


def _without_overridden(given: dict[str, Any]) -> dict[str, Any]:
    """The file without keys that the environment sets in the other form: a secret for its ``_file``, or the reverse."""
    return {
        section: {name: value for name, value in keys.items() if not is_set(section, _other_form(name))}
        if isinstance(keys, dict)
        else keys
        for section, keys in given.items()
    }


def _other_form(name: str) -> str:
    return name.removesuffix("_file") if name.endswith("_file") else f"{name}_file"
