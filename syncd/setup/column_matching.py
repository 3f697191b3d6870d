"""Matches the columns of a table to those of a feed, and rates tables, by names and value profiles."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, TypeAlias

from syncd.core.fields import FIELDS, Role
from syncd.setup import synonyms
from syncd.setup.profiling import Shape
from syncd.setup.schema import Column, Supplied, Table, field_of
from syncd.setup.synonyms import likeness, things_of, words_of

_SURE_ENOUGH: Final = 0.3
#: Key names that many tables have; they mean nothing without the table's name.
COMMON_KEYS: Final = frozenset((name,) for name in ("id", "code", "name", "ref", "number", "key"))

LeadsTo: TypeAlias = Callable[[Table, str], str]
"""Returns the feed column that a table's column certainly is, by its foreign key; otherwise an empty text."""


def matched(table: Table, wanted: Iterable[str], leads_to: LeadsTo = lambda _table, _column: "") -> dict[str, Supplied]:
    """Return the wanted columns that a table supplies. Each of its columns is used once, the surest match first."""
    wanted = list(wanted)
    scored = []
    for column in table.columns:
        leading = leads_to(table, column.name)
        for name in wanted:
            score, reason = _score(table, column, name, leading)
            if score >= _SURE_ENOUGH:
                scored.append((-score, wanted.index(name), name, column, reason))
    found: dict[str, Supplied] = {}
    used: set[str] = set()
    for _, _, name, column, reason in sorted(scored, key=lambda each: each[:3]):
        if name not in found and column.name not in used:
            found[name] = Supplied(name, table.name, (column,), reason)
            used.add(column.name)
    address = "HomeAddress" if "HomeAddress" in wanted else "Address" if "Address" in wanted else ""
    if address and address not in found and len(lines := _address_lines(table, used)) > 1:
        found[address] = Supplied(address, table.name, lines, "their names")
    return found


def _score(table: Table, column: Column, name: str, leading: str) -> tuple[float, str]:
    """Return how likely a column is to be this feed column, from 0 up, and why."""
    if leading:
        return (1.2, "where it leads") if leading == name else (0, "")
    shape = column.look.shape
    by_name = likeness(column.name, name, things_of(table.name))
    if name == "MISID":
        return _score_of_key(table, column, by_name)
    if name == "Name" and shape in synonyms.NOT_KEYS | {Shape.NUMBER}:
        return 0, ""
    forms = synonyms.FORMS.get(name)
    if forms is None or shape is None:
        return by_name, "its name"
    if shape in forms:
        return _score_by_form(column, name, by_name, shape)
    # A first name may have unusual punctuation, and a telephone number may have a note.
    return (by_name * 0.6, "its name") if name not in synonyms.TELLING and by_name > 0.8 else (0, "")


def _score_by_form(column: Column, name: str, by_name: float, shape: Shape) -> tuple[float, str]:
    if by_name:
        return by_name + 0.3, "its name" if shape is Shape.WORDS else f"its name, and its values are {shape}"
    is_somebody_elses = bool(synonyms.SOMEBODY_ELSES.intersection(words_of(column.name)))
    return (0.4, f"its values are {shape}") if name in synonyms.TELLING and not is_somebody_elses else (0, "")


def _score_of_key(table: Table, column: Column, by_name: float) -> tuple[float, str]:
    if not by_name or column.look.shape in synonyms.NOT_KEYS:
        return 0, ""
    if len(words_of(column.name)) == 1 and column.name.lower() == "id":
        by_name -= 0.2
    if is_key(table, (column,)):
        return by_name + 0.2, f"its name, and it is the key of {table.name}"
    if column.name in table.key:
        return by_name + 0.1, "its name, and it is of the key"
    return (by_name + 0.1, "its name, and no two are alike") if column.look.is_distinct else (by_name, "its name")


def _address_lines(table: Table, used: Collection[str]) -> tuple[Column, ...]:
    lines: dict[tuple[int, str], Column] = {}
    for column in table.columns:
        squashed = "".join(word for word in words_of(column.name) if word not in synonyms.LEARNERS)
        match = synonyms.ADDRESS_LINE.fullmatch(squashed)
        if match is None or column.name in used:
            continue
        part = match["part"]
        place = 6 + synonyms.ADDRESS_PARTS.index(part) if part else int(match["number"])
        place = place - 6 if part and part.startswith(("house", "street")) else place
        lines.setdefault((place, part or ""), column)
    return tuple(lines[place] for place in sorted(lines))


def pairs_between(table: Table, base: Table, keys: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return the columns that join a table to the base: a foreign key, otherwise columns named like the base's keys."""
    for reference in table.references:
        if reference.table == base.name:
            return tuple(zip(reference.columns, reference.their_columns, strict=True))
    pairs = []
    for key in keys:
        called = [base.name + "_" + key] if words_of(key) in COMMON_KEYS else [key, base.name + "_" + key]
        squashed = {"".join(map(_singular_of_last, (words_of(each),))) for each in called}
        for column in table.columns:
            if "".join(words_of(column.name)) in squashed:
                pairs.append((column.name, key))
                break
    # For a key of several columns, such as provider number and learner number, all columns that both tables have.
    own = [pair for pair in pairs if likeness(pair[1], "MISID") > 0]
    return tuple(pairs) if own else ()


def _singular_of_last(words: tuple[str, ...]) -> str:
    """Return the words of ``<tables>_<key>`` joined, with the table's in the singular."""
    return "".join((*map(synonyms.singular, words[:-1]), *words[-1:]))


def order_of(table: Table, supplied: Mapping[str, Supplied]) -> tuple[Column, ...]:
    """Return the columns that sort the newest of several rows last: the start date, otherwise any date, and the key."""
    found = matched(table, ["StartOn", "DOB"])
    start = supplied.get("StartOn") or found.get("StartOn")
    born = found["DOB"].columns if "DOB" in found else ()
    days = [column for column in table.columns if column.look.shape is Shape.DAY and column not in born]
    first = start.columns[:1] if start and start.table == table.name else tuple(days[:1])
    key = tuple(column for column in table.columns if column.name in table.key and column not in first)
    return (*first, *key) or table.columns[:1]


def is_key(table: Table, columns: Collection[Column]) -> bool:
    """Whether these columns are unique in the table."""
    return bool(table.key) and set(table.key) <= {column.name for column in columns}


def worth_of(found: Mapping[str, Supplied]) -> float:
    """Return a score for the columns found; the mandatory fields of a learner count for more."""
    return sum(3 if Role.LEARNER in FIELDS[field_of(name)].mandatory else 1 for name in found)


def set_aside(table: Table) -> float:
    """Return the penalty for a table that seems to hold past or future records."""
    return 4.0 * bool(things_of(table.name) & synonyms.ASIDE)
