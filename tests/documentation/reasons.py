"""Reasons and errors as Markdown."""

from collections.abc import Iterator

from syncd.cli.help import entries
from syncd.sync.reasons import HELD, LEFT_OUT

_HEADINGS = {"Held": len(HELD), "Left out": len(LEFT_OUT)}


def reasons() -> Iterator[str]:
    """A section for each list that `syncd help` prints, a heading for each entry."""
    kinds = ["Held"] * len(HELD) + ["Left out"] * len(LEFT_OUT)
    last = ""
    for place, entry in enumerate(entries()):
        kind = kinds[place] if place < len(kinds) else "Error"
        if kind != last:
            yield f"## {_TITLES[kind]}"
            last = kind
        yield f"### {kind}: {entry.name}"
        yield f"{entry.meaning} **{entry.remedy}**"


_TITLES = {"Held": "Held records", "Left out": "Values left out", "Error": "Errors"}
