"""Every section, unknown and fact of OneFile's API that the code cites is on the page about it."""

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.documentation import ROOT, TEXTS

_CITED: Final = re.compile(r"§§? ?(\d+(?:\.\d+)?)|\b([UF]\d{1,2})\b")
_PAGE: Final = TEXTS["onefile-api"]
_NUMBERS: Final = {
    *re.findall(r"(?m)^#{2,3} (\d+(?:\.\d+)?)\.? ", _PAGE),
    *re.findall(r"(?m)^\| ([UF]\d+) \|", _PAGE),
    # The pitfalls of section 17.
    *(f"17.{number}" for number in re.findall(r"(?m)^(\d+)\. ", _PAGE)),
}


def _remarks(file: Path) -> Iterator[str]:
    """Comments and docstrings; of other files everything."""
    if file.suffix != ".py":
        yield file.read_text(encoding="utf-8")
        return
    with tokenize.open(file) as source:
        for token in tokenize.generate_tokens(source.readline):
            if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.string.startswith('"""')):
                yield token.string


def _cited() -> dict[str, str]:
    """Each number, and a file that cites it."""
    found = {}
    for folder in ("syncd", "tests", "migrations", "config"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in {".py", ".toml", ".sql", ".html"}:
                for remark in _remarks(file):
                    for section, entry in _CITED.findall(remark):
                        found[section or entry] = str(file.relative_to(ROOT))
    return found


def test_every_number_that_the_code_cites_is_on_the_page() -> None:
    cited = _cited()
    assert len(cited) > 40
    assert {number: file for number, file in cited.items() if number not in _NUMBERS} == {}


def test_the_unknowns_and_the_facts_are_numbered_without_gaps() -> None:
    for letter, count in (("U", 35), ("F", 10)):
        numbers = sorted(int(each[1:]) for each in _NUMBERS if each.startswith(letter))
        assert numbers == list(range(1, count + 1))
