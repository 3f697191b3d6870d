"""Recipes: complete configurations for certain MISs, written by ``init``."""

import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from syncd.cli.init.config_file import FeedEntry
from syncd.errors import ConfigurationError
from syncd.resources import shipped

#: The file that describes a recipe and is not written.
_ABOUT: Final = "recipe.toml"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One folder of ``config/recipes``."""

    name: str
    title: str
    tried: str
    """What it was tried on."""
    url: str
    """The value of ``source.url``."""
    feeds: tuple[FeedEntry, ...]
    files: dict[str, bytes]
    """The files written beside the configuration."""
    left: tuple[str, ...]
    """What is left for the operator to do."""


def recipes() -> list[Recipe]:
    """Return all recipes."""
    return [_read(folder) for folder in sorted((shipped("config") / "recipes").iterdir()) if folder.is_dir()]


def recipe(name: str) -> Recipe:
    """Return the recipe of this name. Raises `ConfigurationError`, which names the nearest."""
    there = {each.name: each for each in recipes()}
    if name not in there:
        near = get_close_matches(name, there, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(there)}."
        raise ConfigurationError(f"There is no recipe {name!r}; {hint}")
    return there[name]


def _read(folder: Path) -> Recipe:
    about = tomllib.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    feeds = tuple(
        FeedEntry(each["name"], each.get("kind", "users"), each.get("role", ""), each.get("on", True))
        for each in about["feeds"]
    )
    files = {
        file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file() and file.name != _ABOUT
    }
    return Recipe(folder.name, about["title"], about["tried"], about["url"], feeds, files, tuple(about["left"]))
