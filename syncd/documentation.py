"""The documentation: the pages of ``syncd/docs``, which ``syncd help`` prints and the daemon serves under ``/docs``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "docs"
#: The page that lists the others, in its order.
INDEX: Final = "index"

_LISTED: Final = re.compile(r"(?m)^\| \[(?P<title>[^]]+)\]\((?P<name>[\w-]+)\.md\) \| (?P<summary>.+) \|$")
_COMMENT: Final = re.compile(r"<!--.*?-->\n*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Page:
    """A page: ``name`` is its topic and address, ``summary`` says in a line what it answers."""

    name: str
    title: str
    summary: str

    @property
    def text(self) -> str:
        """Its Markdown, without the comments that tests and generators read."""
        return read(self.name)


@cache
def pages() -> Mapping[str, Page]:
    """Every page that the index lists, by name and in its order."""
    return {match["name"]: Page(**match.groupdict()) for match in _LISTED.finditer(read(INDEX))}


@cache
def read(name: str) -> str:
    """The Markdown of a page or of the index. Raises `FileNotFoundError` if there is none."""
    return _COMMENT.sub("", (FOLDER / f"{name}.md").read_text(encoding="utf-8"))
