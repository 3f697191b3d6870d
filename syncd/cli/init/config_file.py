"""The configuration that ``init`` writes: the commented example, with some of its keys set and with other feeds."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Values: TypeAlias = Mapping[tuple[str, str], str | int]
"""By section and key."""


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One ``[[feeds]]`` entry; its query is in its own file."""

    name: str
    kind: str
    role: str
    is_on: bool = True
    """If false, the feed is written as a comment."""

    @property
    def file(self) -> str:
        """The name of the file with its query."""
        return f"{self.name}.sql"


def render_config(example: str, values: Values, feeds: Iterable[FeedEntry]) -> str:
    """Return the example with these values, and with these feeds instead of its own, if there are any."""
    feeds = list(feeds)
    left = dict(values)
    section = ""
    lines: list[str] = []
    for line in example.splitlines():
        if header := re.fullmatch(r"\[+([a-z]+)\]+", line):
            section = header[1]
        if line == "[[feeds]]" and feeds:
            break
        key = re.match(r"#?([a-z_]+) = ", line)
        if key and (section, key[1]) in left:
            line = f"{key[1]} = {_toml(left.pop((section, key[1])))}"  # noqa: PLW2901 - it is this line, changed
            _drop_placeholder_comment(lines)
        elif key and (section, key[1]) in _OTHERWISE and (section, _OTHERWISE[section, key[1]]) in values:
            # The alternative key is set, and only one of the two may be.
            line = line if line.startswith("#") else f"#{line}"  # noqa: PLW2901
        lines.append(line)
    if left:
        raise AssertionError(f"the example has no {', '.join(map('.'.join, left))}")
    lines += [line for feed in feeds for line in _block(feed)]
    return "\n".join((*lines, "")).replace("\n\n\n", "\n\n")


def _drop_placeholder_comment(lines: list[str]) -> None:
    """Remove ``CHANGE THIS:`` from the comment at the end of these lines."""
    for place in range(len(lines) - 1, -1, -1):
        if not lines[place].startswith("#"):
            return
        before, mark, after = lines[place].partition("CHANGE THIS: ")
        if mark:
            lines[place] = before + after[0].upper() + after[1:]


#: Pairs of keys of which only one may be set.
_OTHERWISE = {("onefile", "environment"): "base_url", ("source", "url"): "url_file"}


def _block(feed: FeedEntry) -> Iterable[str]:
    mark = "" if feed.is_on else "#"
    yield f"{mark}[[feeds]]"
    yield f"{mark}name = {_toml(feed.name)}"
    if feed.kind != "users":
        yield f"{mark}kind = {_toml(feed.kind)}"
    else:
        yield f"{mark}role = {_toml(feed.role)}"
    yield f"{mark}query_file = {_toml(feed.file)}"
    yield ""


def _toml(value: str | int) -> str:
    # Text without control characters, and numbers, are written the same way in JSON and in TOML.
    return json.dumps(value, ensure_ascii=False)
