"""A feed's query as text: where it ends, how it stands in another SELECT, and what it must not contain."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Final

_LINE: Final = r"--[^\n]*"
_BLOCK: Final = r"/\*(?:(?!\*/).)*\*/"
_TEXT: Final = r"'[^']*'|\"[^\"]*\"|`[^`]*`"
_ESCAPED: Final = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`"

_COMMENTS: Final = {
    # MySQL executes what is in /*! … */ and MariaDB also what is in /*M! … */.
    "mysql": rf"--(?=\s|$)[^\n]*|\#[^\n]*|/\*M?!\d*|{_BLOCK}",
    "postgresql": r"--[^\n\r]*",
    "mssql": _LINE,
    # SQLite accepts a comment without an end.
    "sqlite": rf"{_LINE}|/\*(?:(?!\*/).)*(?:\*/|\Z)",
}
#: On these a comment may contain another one.
_NESTING: Final = {"postgresql", "mssql"}
_QUOTED: Final = {
    "mysql": _ESCAPED,
    "postgresql": rf"[eE]'(?:[^'\\]|\\.)*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|{_TEXT}",
    "mssql": rf"\[(?:[^\]]|\]\])*\]|{_TEXT}",
    "sqlite": rf"\[[^\]]*\]|{_TEXT}",
    "oracle": rf"[qQ]'(?:\[.*?\]|\{{.*?\}}|\(.*?\)|<.*?>|(?P<mark>.).*?(?P=mark))'|{_TEXT}",
}
#: The characters of names and keywords; in MySQL "#" begins a comment, in PostgreSQL it is an operator.
_WORDS: Final = {"mssql": r"[\w$#@]+", "oracle": r"[\w$#]+"}
#: SQLAlchemy's other name for the same dialect.
_ALIASES: Final = {"mariadb": "mysql"}

_SELECTS: Final = frozenset({"SELECT", "WITH", "VALUES", "TABLE"})
#: The words that a feed's query may begin with. SQL Server also takes a batch, which may begin with anything.
_FIRST_WORDS: Final = {
    "mysql": _SELECTS | {"CALL"},
    "postgresql": _SELECTS,
    "sqlite": _SELECTS,
    "oracle": frozenset({"SELECT", "WITH"}),
}
#: SQL Server has no read-only transaction. There a batch may change its own temporary tables and variables only.
_CHANGING: Final = {
    "mssql": frozenset(
        {"INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "UPDATETEXT", "WRITETEXT", "CREATE", "ALTER", "DROP"}
        | {"GRANT", "REVOKE", "DENY", "BACKUP", "RESTORE", "KILL", "SHUTDOWN", "RECONFIGURE", "DBCC"}
    )
}
#: The words that may stand between such a word, or INTO, and the name of a temporary table or a variable.
_BEFORE_NAME: Final = {"INTO", "FROM", "TABLE", "INDEX", "IF", "EXISTS", "USING", "CLUSTERED", "UNIQUE", "NONCLUSTERED"}
#: After these a word is the name of a column.
_BEFORE_COLUMN: Final = {".", "AS"}
#: What acts outside the transaction: functions that PostgreSQL carries out even in one that is read-only, if the login
#: may call them, and SQL Server's procedures that change the server.
_ACTING: Final = {
    "mssql": re.compile(r"XP_CMDSHELL|SP_CONFIGURE|SP_OA\w+"),
    "postgresql": re.compile(
        r"LO_EXPORT|DBLINK\w*|PG_FILE_\w+|PG_(?:TERMINATE|CANCEL)_BACKEND|PG_RELOAD_CONF|PG_ROTATE_LOGFILE\w*"
        r"|PG_SWITCH_WAL|PG_CREATE_RESTORE_POINT|PG_PROMOTE|PG_NOTIFY|PG_LOGICAL_\w+|PG_STAT_RESET\w*"
        r"|PG_\w*REPLICATION_(?:SLOT|ORIGIN)\w*|PG_WAL_REPLAY_\w+|PG_BACKUP_\w+|PG_LOG_\w+|PG_ADVISORY_LOCK\w*"
    ),
}


@dataclass(frozen=True, slots=True)
class _Token:
    """A part of the code of a query: a word in capital letters, or a sign, or a text or name in quotes."""

    text: str
    start: int
    end: int
    depth: int
    """In how many parentheses it stands."""


@dataclass(frozen=True, slots=True)
class Subquery:
    """A query in the parts of a SELECT that reads from it: ``before`` SELECT, ``select`` in it, ``after`` it."""

    select: str
    before: str = ""
    """The definitions that precede it, and their last comma."""
    after: str = ""


def strip_terminators(query: str, dialect: str) -> str:
    """Return the query without the semicolons before and after it, so that it can stand in parentheses.

    Semicolons between two statements stay: the database refuses them. SQLite's comment without an end gets one.
    """
    query = query.rstrip().rstrip(";")
    tokens = list(_code(query, dialect))
    code = [token for token in tokens if token.text != ";"]
    first, last = (code[0].start, code[-1].end) if code else (len(query), 0)
    ends = {token.start for token in tokens if token.text == ";" and not first < token.start < last}
    closed = f"{query}\n*/"
    if dialect == "sqlite" and list(_code(closed, dialect)) == tokens:
        query = closed
    return "".join(character for place, character in enumerate(query) if place not in ends).rstrip()


def find_forbidden(query: str, dialect: str) -> str:
    """Return what the query has that a feed must not have, as the end of a sentence; empty if there is nothing."""
    dialect = _ALIASES.get(dialect, dialect)
    tokens = list(_code(query, dialect))
    first = next((token.text for token in tokens if token.text not in {"(", ";"}), "")
    allowed = _FIRST_WORDS.get(dialect)
    if allowed and first not in allowed and re.fullmatch(r"\w+", first):
        return f"the query begins with {first}; it must be one SELECT, because a feed may only read"
    for number, token in enumerate(tokens):
        before = tokens[number - 1].text if number else ""
        after = [each.text for each in tokens[number + 1 : number + 6]]
        if _acts(token.text, dialect) or (before not in _BEFORE_COLUMN and _changes(token.text, after, dialect)):
            said = f"{token.text} {after[0]}" if after[:1] in (["OUTFILE"], ["DUMPFILE"]) else token.text
            return f"the query has {said}, and a feed may only read. Remove it from the query"
    return ""


def _acts(text: str, dialect: str) -> bool:
    pattern = _ACTING.get(dialect)
    return pattern is not None and pattern.fullmatch(text.strip('"[]').upper()) is not None


def _changes(word: str, after: list[str], dialect: str) -> bool:
    """Whether a word, with the next ones, changes data or writes a file."""
    if word != "INTO" and word not in _CHANGING.get(dialect, ()):
        return False
    name = next((text for text in after if text not in _BEFORE_NAME), "")
    is_temporary = dialect == "mssql" and name.startswith(("#", "@"))
    return not is_temporary and not (word == "MERGE" and name in {"JOIN", "UNION"})


def as_subquery(query: str, dialect: str) -> Subquery:
    """Return the parts of a query that is to be read from by another SELECT.

    SQL Server accepts neither WITH nor ORDER BY nor OPTION in a subquery. There WITH is put before the SELECT and
    OPTION behind it; the last ORDER BY is left out if it only sorts.
    """
    if dialect != "mssql":
        return Subquery(query)
    outer = [token for token in _code(query, dialect) if token.depth == 0]
    parts = Subquery(query)
    if option := next((token for token in reversed(outer) if token.text == "OPTION"), None):
        parts = Subquery(query[: option.start], after=f"\n{query[option.start :]}")
        outer = [token for token in outer if token.start < option.start]
    order = next((one for one, two in pairwise(outer) if (one.text, two.text) == ("ORDER", "BY")), None)
    if order and not any(
        token.text == "TOP" or (token.text in {"OFFSET", "FOR"} and token.start > order.start) for token in outer
    ):
        parts = replace(parts, select=query[: order.start])
    select = next((token for token in outer if token.text == "SELECT"), None)
    if outer and outer[0].text == "WITH" and select:
        parts = replace(parts, before=f"{query[: select.start]}\n, ", select=parts.select[select.start :])
    return parts


def _code(query: str, dialect: str) -> Iterator[_Token]:
    """Return the code of a query, without blanks and comments."""
    dialect = _ALIASES.get(dialect, dialect)
    pattern, place, depth = _pattern(dialect), 0, 0
    while found := pattern.match(query, place):
        place = found.end()
        if found["open"]:
            place = _end_of_comment(query, place) or place
            if place > found.end():
                continue
        if found["skipped"]:
            continue
        text = found[0].upper() if found["word"] else found[0]
        depth -= text == ")"
        yield _Token(text, found.start(), place, depth)
        depth += text == "("


def _end_of_comment(query: str, place: int) -> int | None:
    """Return where a comment ends whose beginning was read, with the comments in it; ``None`` if it has no end."""
    depth = 1
    for mark in re.finditer(r"/\*|\*/", query[place:]):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return place + mark.end()
    return None


@cache
def _pattern(dialect: str) -> re.Pattern[str]:
    comment = _COMMENTS.get(dialect, f"{_LINE}|{_BLOCK}")
    opening = r"/\*" if dialect in _NESTING else r"(?!)"
    quoted = _QUOTED.get(dialect, _TEXT)
    word = _WORDS.get(dialect, r"[\w$]+")
    return re.compile(rf"(?P<skipped>\s+|{comment})|(?P<open>{opening})|{quoted}|(?P<word>{word})|.", re.DOTALL)
