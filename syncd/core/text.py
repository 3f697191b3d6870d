"""Numbers and lists in words, as every page, command and message writes them."""

import re
from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Final

#: What a terminal obeys or nobody sees: controls, marks of direction, ends of lines, halves of a pair. They are the
#: categories Cc, Cf, Cs, Zl and Zp of Unicode.
_NOT_PRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0001-\U000e007f]"
)
_ESCAPES: Final = re.compile(r"(?:\\u[0-9a-f]{4})+")


def printable(text: str, *, keep: str = "") -> str:
    """The text with every character that is not to be printed as its escape in JSON, such as ``\\u202e``.

    Text of others goes through it before it reaches a terminal, a page or a file: it may hold sequences that move the
    cursor, turn the direction of reading or begin a new line. ``keep`` are characters that stay.
    """
    return _NOT_PRINTABLE.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def unescaped(text: str) -> str:
    """The text that `printable` was given, unless that had such escapes itself."""
    return _ESCAPES.sub(_restored, text)


def _restored(found: re.Match[str]) -> str:
    units = bytes.fromhex(found[0].replace("\\u", ""))
    characters = units.decode("utf-16-be", "surrogatepass")
    return "".join(each if _NOT_PRINTABLE.match(each) else _escape(each) for each in characters)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def plural(count: int, one: str, several: str = "") -> str:
    """A number with its noun, such as "1 run" and "1,200 runs"; ``several`` is an irregular plural."""
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"


def join(words: Sequence[str]) -> str:
    """Words as a list in a sentence, such as "a, b and c"."""
    *first, last = words or [""]
    return f"{', '.join(first)} and {last}" if first else last


def quoted(misid: str) -> str:
    """A MISID as an argument of a command that can be copied to a shell."""
    return quote(misid)


def plurals(counts: Mapping[str, int], none: str) -> str:
    """Numbers with their nouns, such as "2 creates and 1 update", without zeros; ``none`` if all are zero."""
    return join([plural(count, noun) for noun, count in counts.items() if count]) or none
