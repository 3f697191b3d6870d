"""JSON on standard output, lists entry by entry."""

import json
from collections.abc import Iterable, Iterator, Mapping
from textwrap import indent
from typing import Any

from syncd.cli.output.streams import data_output


def print_json(document: Any) -> None:
    """Print one JSON document."""
    _print(json.dumps(document, ensure_ascii=False, indent=2))


def print_json_list(documents: Iterable[Any]) -> None:
    """Print a JSON list, each entry as soon as it is available."""
    _echo_list(documents)
    _print()


def print_json_object(document: Mapping[str, Any]) -> None:
    """Print a JSON object; an iterator in it is printed as a list, which may be too long for memory."""
    begun = False
    for name, content in document.items():
        _print(f"{',' if begun else '{'}\n  {json.dumps(name)}: ", nl=False)
        if isinstance(content, Iterator):
            _echo_list(content, "  ")
        else:
            _print(_deeper(content, "  ").lstrip(), nl=False)
        begun = True
    _print("\n}" if begun else "{}")


def _echo_list(documents: Iterable[Any], margin: str = "") -> None:
    begun = False
    for document in documents:
        _print((",\n" if begun else "[\n") + _deeper(document, f"{margin}  "), nl=False)
        begun = True
    _print(f"\n{margin}]" if begun else "[]", nl=False)


def _deeper(document: Any, margin: str) -> str:
    return indent(json.dumps(document, ensure_ascii=False, indent=2), margin)


def _print(text: str = "", *, nl: bool = True) -> None:
    print(text, end="\n" if nl else "", file=data_output())
