"""Removes the semicolons that end a feed's query, so that the query can stand in parentheses."""

import re
from functools import cache
from typing import Final

#: Blanks and comments may follow the semicolon that ends a statement; everything else is code.
_BLANK: Final = r"(?P<blank>\s+)"
_LINE: Final = r"--[^\n]*"
_BLOCK: Final = r"/\*(?:(?!\*/).)*\*/"
_NESTED: Final = r"/\*(?:(?!\*/|/\*).|/\*(?:(?!\*/).)*\*/)*\*/"
_TEXT: Final = r"'[^']*'|\"[^\"]*\"|`[^`]*`"
_ESCAPED: Final = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`"

_COMMENTS: Final = {
    "mysql": rf"--(?=\s|$)[^\n]*|\#[^\n]*|{_BLOCK}",
    "postgresql": f"{_LINE}|{_NESTED}",
    "mssql": f"{_LINE}|{_NESTED}",
}
_QUOTED: Final = {
    "mysql": _ESCAPED,
    "postgresql": rf"[eE]'(?:[^'\\]|\\.)*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|{_TEXT}",
    "mssql": rf"\[[^\]]*\]|{_TEXT}",
    "sqlite": rf"\[[^\]]*\]|{_TEXT}",
    "oracle": rf"[qQ]'(?:\[.*?\]|\{{.*?\}}|\(.*?\)|<.*?>|(?P<mark>.).*?(?P=mark))'|{_TEXT}",
}
#: SQLAlchemy's other name for the same dialect.
_ALIASES: Final = {"mariadb": "mysql"}


def strip_terminators(query: str, dialect: str) -> str:
    """Return the query without the semicolons that end it, also if a comment follows them.

    Semicolons between two statements stay: the database refuses them.
    """
    query = query.rstrip().rstrip(";")
    ends: list[int] = []
    for token in _tokens(_ALIASES.get(dialect, dialect)).finditer(query):
        if token["end"]:
            ends.append(token.start())
        elif token["code"]:
            ends.clear()
    return "".join(character for place, character in enumerate(query) if place not in ends).rstrip()


@cache
def _tokens(dialect: str) -> re.Pattern[str]:
    comment = _COMMENTS.get(dialect, f"{_LINE}|{_BLOCK}")
    quoted = _QUOTED.get(dialect, _TEXT)
    return re.compile(rf"{_BLANK}|(?P<comment>{comment})|(?P<end>;)|(?P<code>{quoted}|.)", re.DOTALL)
