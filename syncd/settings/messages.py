"""The error messages for the configuration: the file, the key, and the nearest valid name."""

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic_core import ErrorDetails

from syncd.errors import ConfigurationError
from syncd.settings.sections import FeedSettings, Settings
from syncd.settings.values import CONFIG_VARIABLE

_CONFIG: Final = CONFIG_VARIABLE.removeprefix("SYNCD_")


def refuse_unknown_variables() -> None:
    """Raise `ConfigurationError` for a variable SYNCD_… with an unknown section, or that is probably misspelt."""
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
    """The variable that was probably meant; empty if the name is not like one of syncd's."""
    section, _, key = name.partition("_")
    if section in Settings.model_fields and get_close_matches(key, _keys_at([section]), n=1, cutoff=0.8):
        return _variable(section, key)
    is_near = name.upper() != _CONFIG and bool(get_close_matches(name.upper(), [_CONFIG], cutoff=0.8))
    return CONFIG_VARIABLE if is_near else ""


def is_set(*path: str) -> bool:
    """Whether the environment sets this key, such as ``source``, ``url``."""
    return _variable(*path) in {name.upper() for name in os.environ}


def _variable(*path: str) -> str:
    return f"SYNCD_{'__'.join(path).upper()}"


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith("?") else f"{sentence}."


#: Plain wording for pydantic's errors, by the type of error.
_PLAIN: Final = {
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


def sentence_for(file: Path, given: Mapping[str, Any], problems: list[ErrorDetails]) -> str:
    """One sentence for the first problem, without the given value, and the number of further problems."""
    # A misspelt key is often why another one seems to be missing.
    problem = min(problems, key=lambda each: (each["type"] != "extra_forbidden", each["type"] == "missing"))
    *path, last = [str(part) for part in problem["loc"]] or ["feeds"]
    where, names = str(file), [*path, last]
    if is_set(*names):
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
            sentence = f"{keyed}: must be {problem.get('ctx', {}).get('expected')}{_nearest_allowed(problem)}"
        case "tuple_type" if key == "feeds":
            sentence = f"{where}: each feed must be a table of its own, headed [[feeds]]"
        case kind:
            sentence = f"{keyed}: {_PLAIN.get(kind) or problem['msg'].replace('Input should be', 'must be')}"
    more = len(problems) - 1
    return _ended(sentence) + (f" There {'is' if more == 1 else 'are'} {more} more like this." if more else "")


def _feed_at(index: int, given: Mapping[str, Any]) -> str:
    """A feed by its name, or by its position if it has no name."""
    try:
        name = given["feeds"][index]["name"]
    except (LookupError, TypeError):
        name = ""
    return f"the feed {name!r}" if name and isinstance(name, str) else f"feed number {index + 1}"


def _nearest_allowed(problem: ErrorDetails) -> str:
    """The allowed word that was probably meant; the given value is not repeated."""
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
