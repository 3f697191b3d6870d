"""Numbers and lists in words, as every page, command and message writes them."""

from collections.abc import Mapping, Sequence


def plural(count: int, one: str, several: str = "") -> str:
    """A number with its noun, such as "1 run" and "1,200 runs"; ``several`` is an irregular plural."""
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"


def join(words: Sequence[str]) -> str:
    """Words as a list in a sentence, such as "a, b and c"."""
    *first, last = words or [""]
    return f"{', '.join(first)} and {last}" if first else last


def plurals(counts: Mapping[str, int], none: str) -> str:
    """Numbers with their nouns, such as "2 creates and 1 update", without zeros; ``none`` if all are zero."""
    return join([plural(count, noun) for noun, count in counts.items() if count]) or none
