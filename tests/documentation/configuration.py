"""The configuration as Markdown: keys and defaults from the settings' models, their meaning from config/syncd.toml."""

import json
import re
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, Final, get_args

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from syncd.resources import shipped
from syncd.settings import Section, Settings

#: A heading names no more keys than this.
_MANY: Final = 5

FILE: Final = shipped("config") / "syncd.toml"


def models() -> dict[str, type[Section]]:
    """The model of each table of the file."""
    found = {}
    for name, field in Settings.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        found[name] = next(each for each in kinds if isinstance(each, type) and issubclass(each, Section))
    return found


def explained() -> dict[str, list[tuple[list[str], str]]]:
    """Of each table of ``config/syncd.toml`` the keys that share a comment, with the comment."""
    tables: dict[str, list[tuple[list[str], str]]] = {}
    comment: list[str] = []
    table = ""
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#[["):
            break
        if head := re.fullmatch(r"\[+(\w+)\]+", line):
            table, comment = head[1], []
        elif table and (key := re.match(r"#?([a-z_]+) = ", line)):
            if comment:
                tables.setdefault(table, []).append(([], "\n".join(comment)))
            tables[table][-1][0].append(key[1])
            comment = []
        elif line.startswith("#"):
            comment.append(line.removeprefix("#").removeprefix(" "))
        else:
            comment = []
    return tables


def configuration() -> Iterator[str]:
    """A section for each table, a heading for each key, or for keys that are explained together."""
    for table, model in models().items():
        yield f"## {'[[feeds]]' if table == 'feeds' else f'[{table}]'}"
        about = " ".join(str(model.__doc__).partition("``: ")[2].split())
        yield about[0].upper() + about[1:]
        for keys, comment in explained()[table]:
            names = _with_secrets(keys, model)
            full = names if table == "feeds" else [f"{table}.{name}" for name in names]
            yield f"### {', '.join(full) if len(full) < _MANY else f'{full[0]} … {full[-1]}'}"
            yield "\n".join(f"- {_facts(table, name, model.model_fields[name])}" for name in names)
            yield from _paragraphs(comment.removeprefix("CHANGE THIS: "))


def _with_secrets(keys: Sequence[str], model: type[Section]) -> list[str]:
    """A secret that the file has only as ``…_file``, because it belongs in the environment, beside that."""
    names = []
    for key in keys:
        secret = key.removesuffix("_file")
        if secret != key and secret in model.SECRETS and secret not in keys:
            names.append(secret)
        names.append(key)
    return names


def _facts(table: str, key: str, field: FieldInfo) -> str:
    default = field.default
    if default is PydanticUndefined and field.default_factory is None:
        said = "required"
    elif (written := _written(table, key, default)) in {"", '""'}:
        said = "no default" if written == "" else 'default `""`'
    else:
        said = f"default `{written}`"
    variable = "" if table == "feeds" else f", `SYNCD_{table.upper()}__{key.upper()}`"
    return f"`{key}`: {said}{variable}"


def _written(table: str, key: str, default: Any) -> str:
    if (table, key) == ("state", "url"):
        # It depends on the folder.
        return '"sqlite:///syncd.db"'
    if default is None or type(default).__name__ == "SecretStr":
        return ""
    if isinstance(default, Enum):
        default = default.value
    return json.dumps(list(default) if isinstance(default, tuple) else default)


def _paragraphs(comment: str) -> Iterator[str]:
    """What is indented stays as it is."""
    for is_code, lines in _runs(comment.splitlines()):
        if is_code:
            yield "```text\n" + "\n".join(line.removeprefix("  ") for line in lines) + "\n```"
        else:
            text = " ".join(lines)
            yield text[0].upper() + text[1:]


def _runs(lines: Sequence[str]) -> Iterator[tuple[bool, list[str]]]:
    block: list[str] = []
    for line in lines:
        if block and line.startswith("  ") != block[-1].startswith("  "):
            yield block[-1].startswith("  "), block
            block = []
        block.append(line)
    yield block[-1].startswith("  "), block
