"""The pages as the tests look at them: their code, their links, and what they name."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from syncd.documentation import FOLDER, INDEX, pages, read

#: Listed, and written elsewhere at the moment: take a name out once its page is there.
BEING_WRITTEN: Final = frozenset[str]()

ROOT: Final = Path(__file__).parents[2]
#: Every page by its name, the index and the front page included.
TEXTS: Final = {
    "README": (ROOT / "README.md").read_text(encoding="utf-8"),
    **{name: read(name) for name in [INDEX, *pages()] if name not in BEING_WRITTEN or (FOLDER / f"{name}.md").exists()},
}

_FENCE: Final = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_SPAN: Final = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")


def blocks(text: str, *languages: str) -> Iterator[str]:
    """The fenced blocks of some languages."""
    return (content for language, content in _FENCE.findall(text) if language in languages)


def spans(text: str) -> Iterator[str]:
    """What is set as code within the text."""
    return (" ".join(span.split()) for span in _SPAN.findall(_FENCE.sub("", text)))


def files() -> set[str]:
    """The names of the pages that are there, the index excepted."""
    return {file.stem for file in FOLDER.glob("*.md")} - {INDEX}
