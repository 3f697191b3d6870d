"""The parts of pages that are made of the code: the commands, the configuration, and reasons and errors."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from syncd.documentation import FOLDER

from .commands import commands
from .configuration import configuration
from .reasons import reasons

PAGES: Final[Mapping[str, Callable[[], Iterator[str]]]] = {
    "commands": commands,
    "configuration": configuration,
    "reasons": reasons,
}

_PART: Final = re.compile(r"(<!-- generated: begin -->\n).*(\n<!-- generated: end -->)", re.DOTALL)


def page_with_generated_part(name: str) -> str:
    """The Markdown of a page as it should be: what is between its two marks is made anew."""
    part = "\n\n".join(PAGES[name]())
    text, count = _PART.subn(
        lambda marks: f"{marks[1]}\n{part}\n{marks[2]}", (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    )
    assert count == 1, f"{name}.md lacks the marks of its generated part"
    return text
