"""Which tables of an MIS hold whom, and which of their columns are which of OneFile's fields: a proposal with reasons.

Names, types and the looks of a few values go in. What comes out is data for a person to settle, and
`syncd.core.queries` writes as SQL; whatever is not clear is said to be missing, and never guessed.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from syncd.core import spellings
from syncd.core.fields import FIELDS, REFERENCE_COLUMNS, Role, columns_of, fields_of
from syncd.core.shapes import UNSEEN, Look, Shape
from syncd.core.spellings import likeness, things_of, words_of


@dataclass(frozen=True, slots=True)
class Column:
    """A column, as a database describes it, and what its values look like."""

    name: str
    look: Look = UNSEEN
    is_nullable: bool = True


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key."""

    columns: tuple[str, ...]
    table: str
    their_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table or a view."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    """The columns of its primary key."""
    references: tuple[Reference, ...] = ()

    def column(self, name: str) -> Column | None:
        """The column of this name, in any letter case."""
        return next((one for one in self.columns if one.name.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Supplied:
    """A column of a feed, and the columns of the MIS that it is made of: several for an address."""

    name: str
    table: str
    columns: tuple[Column, ...]
    reason: str
    off: str = ""
    """Why it is better left out until somebody has thought about it; empty where it is not."""

    def __str__(self) -> str:
        return ", ".join(f"{self.table}.{column.name}" for column in self.columns)


@dataclass(frozen=True, slots=True)
class Join:
    """A table beside the first one of a feed."""

    table: str
    to: str
    on: tuple[tuple[str, str], ...]
    """Pairs of its own column and the other's."""
    newest_by: tuple[Column, ...] = ()
    """Of several rows for one, the one that is last by these counts; empty where there is never more than one."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Having:
    """Only those for whom a column has this value: one of their own, or of a table that has rows of them."""

    table: str
    on: tuple[tuple[str, str], ...]
    """As in `Join`; empty where it is their own."""
    column: str
    value: str


@dataclass(frozen=True, slots=True)
class Feed:
    """A proposed feed."""

    name: str
    role: Role
    table: str
    supplied: tuple[Supplied, ...]
    joins: tuple[Join, ...] = ()
    newest_by: tuple[Column, ...] = ()
    """As in `Join`, where the first table itself has several rows for one."""
    having: Having | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """The mandatory fields that nothing supplies."""
        there = {field_of(one.name) for one in self.supplied if not one.off}
        return tuple(
            name
            for name, each in FIELDS.items()
            if (self.role in each.mandatory or name == "MISID") and name not in there
        )

    def source_of(self, name: str) -> Supplied | None:
        """What supplies a column of the feed."""
        return next((one for one in self.supplied if one.name == name), None)


class NotJoined(ValueError):
    """A table that somebody has named cannot be joined to the feed's; the message says which."""


#: What of a learner is looked for.
_WANTED: Final = tuple(name for name in columns_of(Role.LEARNER).values() if name in spellings.SPELLINGS)
#: What of a learner may be in another table of theirs, one row each or several.
_OF_LEARNER: Final = (
    "Email", "DOB", "ULN", "NINO", "MobileNumber", "Telephone", "HomeAddress", "StartOn", "PlannedEndDate",
    "ClassroomMISID", "ClassroomName", "DefaultAssessorMISID", "PlacementMISID", "PlacementName",
    "DefaultEmployerMISID",
)  # fmt: skip
#: What may be in a table that one of theirs leads to, such as that of their class.
_OF_PLACE: Final = (
    "ClassroomMISID", "ClassroomName", "DefaultAssessorMISID", "PlacementMISID", "PlacementName", "StartOn",
    "PlannedEndDate",
)  # fmt: skip
#: What is worth another join: OneFile will not have a learner without it, or it says which of several is the newest.
_WORTH_A_JOIN: Final = frozenset({"Email", "ClassroomID", "DefaultAssessorID", "PlacementID", "StartOn"})
_SURE_ENOUGH: Final = 0.3
#: Many tables have a key that is called so: it says nothing without the table's name.
_COMMON_KEYS: Final = frozenset((name,) for name in ("id", "code", "name", "ref", "number", "key"))
_LeadsTo: TypeAlias = Callable[[Table, str], str]
_MOST_JOINS: Final = 5

_SPECIAL: Final = "special-category data or a national number: only if you have to"
_STATUS: Final = "only if these are OneFile's learner statuses: a learner with another is held"
_NO_EMPLOYERS: Final = "only if OneFile has them by these codes: a learner with another is held"
_SAID: Final = "you said so"
_OTHERWISE: Final = "the other way to give it; have one of the two"

#: Which tables hold what besides learners, and what the feeds of them are called.
_OTHERS: Final = {
    Role.PLACEMENT: (spellings.PLACEMENTS, "placements", "PlacementMISID"),
    Role.CLASSROOM: (spellings.CLASSROOMS, "classrooms", "ClassroomMISID"),
    Role.ASSESSOR: (spellings.STAFF, "assessors", "DefaultAssessorMISID"),
    Role.EMPLOYER: (spellings.EMPLOYERS, "employers", "DefaultEmployerMISID"),
    Role.OBSERVER: (spellings.OBSERVERS, "observers", ""),
}
_OF_STAFF: Final = {Role.ASSESSOR: "assessors", Role.TRAINEE_ASSESSOR: "trainee-assessors", Role.IQA: "iqas"}


def field_of(name: str) -> str:
    """The field that a column of a feed is for."""
    return REFERENCE_COLUMNS[name].field if name in REFERENCE_COLUMNS else name


def promising(tables: Iterable[Table]) -> list[Table]:
    """The tables that may hold people, places or what learners are enrolled on; those that look most like it first."""
    every = spellings.LEARNERS | spellings.STAFF | spellings.EMPLOYERS | spellings.PLACEMENTS | spellings.CLASSROOMS
    every |= spellings.ENROLMENTS | spellings.PEOPLE

    def promise(table: Table) -> float:
        is_called_so = 2.0 * bool(every & things_of(table.name))
        return is_called_so + _worth(_matched(table, _WANTED)) - _set_aside(table)

    promises = {table.name: promise(table) for table in tables}
    kept = [table for table in tables if promises[table.name] > 1]
    return sorted(kept, key=lambda table: -promises[table.name])


def learners_tables(tables: Iterable[Table]) -> list[Table]:
    """The tables that hold learners, the likeliest first."""

    def likelihood(table: Table) -> float:
        found = _matched(table, _WANTED)
        if not {"FirstName", "LastName"} <= {one.name for one in found.values()}:
            return 0
        things = things_of(table.name)
        by_name = 3 * bool(things & spellings.LEARNERS) + bool(things & spellings.PEOPLE)
        by_name -= 3 * bool(things & (spellings.STAFF | spellings.EMPLOYERS | spellings.OBSERVERS))
        is_told = any(one.name == "ULN" for one in found.values())
        return _worth(found) + by_name + 2 * is_told - _set_aside(table)

    likelihoods = {table.name: likelihood(table) for table in tables}
    return sorted(
        (table for table in tables if likelihoods[table.name] > 0), key=lambda table: -likelihoods[table.name]
    )


def propose(
    tables: Sequence[Table], learners: Table, chosen: Mapping[str, tuple[str, str] | None] | None = None
) -> tuple[Feed, ...]:
    """The feeds: of the learners in this table first, then of whatever else there is a table of.

    ``chosen`` is what somebody knows better: by the name of a learners' column the table and the column for it, or
    nothing to leave it out. Raises `NotJoined`.
    """
    return _Proposing(tables, learners, chosen or {}).feeds()


class _Proposing:
    def __init__(self, tables: Sequence[Table], learners: Table, chosen: Mapping[str, tuple[str, str] | None]) -> None:
        self._tables = {table.name: table for table in tables}
        self._learners = learners
        self._chosen = chosen
        self._supplied: dict[str, Supplied] = {}
        """By field; what is switched off by column."""
        self._joins: list[Join] = []

    def feeds(self) -> tuple[Feed, ...]:
        learners = self._of_learners()
        return (_cautious(learners), *self._others(learners))

    def _of_learners(self) -> Feed:
        base = self._learners
        self._take(base, _WANTED)
        for name, source in self._chosen.items():
            if source:
                self._take_chosen(name, *source)
        while len(self._joins) < _MOST_JOINS and (best := self._best_join()):
            self._joins.append(best[0])
            self._take(self._tables[best[0].table], best[1])
        misid = self._supplied.get("MISID")
        newest_by: tuple[Column, ...] = ()
        if misid and not _is_key(base, misid.columns) and not misid.columns[0].look.is_distinct:
            newest_by = _order_of(base, self._supplied)
        supplied = _in_order(Role.LEARNER, self._supplied.values())
        return Feed("learners", Role.LEARNER, base.name, supplied, tuple(self._joins), newest_by)

    def _take(self, table: Table, wanted: Collection[str]) -> None:
        found = _matched(table, [name for name in wanted if name not in self._chosen], self._leads_to)
        for name, one in found.items():
            self._supplied.setdefault(field_of(name), one)
        for name, one in found.items():
            if self._supplied[field_of(name)] is not one and name in REFERENCE_COLUMNS:
                self._supplied.setdefault(name, replace(one, off=_OTHERWISE))

    def _take_chosen(self, name: str, table: str, column: str) -> None:
        there = self._tables.get(table)
        if there is None:
            raise NotJoined(f"There is no table or view {table}")
        found = there.column(column)
        if found is None:
            raise NotJoined(f"{table} has no column {column}")
        if table not in self._joined():
            join = next((join for join, _ in self._reachable() if join.table == table), None)
            if join is None:
                raise NotJoined(f"{table} has no column that leads to {self._learners.name}, or from it")
            self._joins.append(join)
        self._supplied[field_of(name)] = Supplied(name, table, (found,), _SAID)

    def _joined(self) -> list[str]:
        return [self._learners.name, *(join.table for join in self._joins)]

    def _leads_to(self, table: Table, column: str) -> str:
        """The column of the learners' feed that this one is, by where it leads."""
        for reference in table.references:
            target = self._tables.get(reference.table)
            if target is None or reference.columns[-1] != column:
                continue
            for role, (things, _, name) in _OTHERS.items():
                if name and things & things_of(target.name) and _fits(target, role):
                    return name
        return ""

    def _best_join(self) -> tuple[Join, tuple[str, ...]] | None:
        """The table that supplies most of what is still missing, if any supplies something that is worth a join."""
        best, most = None, 0.0
        for join, offered in self._reachable():
            table = self._tables[join.table]
            left = [name for name in offered if field_of(name) not in self._supplied and name not in self._chosen]
            found = _matched(table, left, self._leads_to)
            if not _WORTH_A_JOIN & {field_of(name) for name in found}:
                continue
            worth = _worth(found) + bool(things_of(table.name) & spellings.ENROLMENTS) - _set_aside(table)
            if worth > most:
                best, most = (join, tuple(found)), worth
        return best

    def _reachable(self) -> Iterator[tuple[Join, Collection[str]]]:
        """The tables that can be joined now, and what of a learner they may supply."""
        joined = self._joined()
        base = self._learners
        misid = self._supplied.get("MISID")
        keys = tuple(dict.fromkeys((*base.key, *((column.name for column in misid.columns) if misid else ()))))
        for table in self._tables.values():
            if table.name not in joined and (on := _on(table, base, keys)):
                is_one = bool(table.key) and set(table.key) <= {own for own, _ in on}
                newest_by = () if is_one else _order_of(table, {})
                yield Join(table.name, base.name, on, newest_by, "has rows of each learner"), _OF_LEARNER
        for name in joined:
            for target, on in self._leading_from(self._tables[name]):
                if target not in joined:
                    yield Join(target, name, on, (), f"is what {name} leads to"), _OF_PLACE

    def _leading_from(self, table: Table) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
        """The tables of which each row of this one names one: by a foreign key, or by what their key is called."""
        for reference in table.references:
            if reference.table in self._tables:
                yield reference.table, tuple(zip(reference.their_columns, reference.columns, strict=True))
        for other in self._tables.values():
            if other is table or len(other.key) != 1 or words_of(other.key[0]) in _COMMON_KEYS:
                continue
            if own := table.column(other.key[0]):
                yield other.name, ((other.key[0], own.name),)

    def _others(self, learners: Feed) -> Iterator[Feed]:
        taken = {learners.table}
        for role, (things, name, referring) in _OTHERS.items():
            source = learners.source_of(referring)
            candidates = [table for table in self._tables.values() if table.name not in taken and _fits(table, role)]
            target = self._target_of(source) if source else None
            table = next((one for one in candidates if target and one.name == target[0]), None)
            if table is None:
                named = [one for one in candidates if things & things_of(one.name)]
                table = max(named, key=lambda one: _worth(_matched(one, _wanted(role))) - _set_aside(one), default=None)
                target = None
            if table is None:
                continue
            taken.add(table.name)
            feed = self._of(table, role, name, target[1] if target else self._code_in(table, source))
            if role is Role.ASSESSOR:
                yield from self._by_role(feed, table)
            elif not feed.missing:
                yield feed

    def _target_of(self, source: Supplied) -> tuple[str, str] | None:
        """The table and the column that a foreign key leads to."""
        for reference in self._tables[source.table].references:
            if reference.columns[-1] == source.columns[0].name:
                return reference.table, reference.their_columns[-1]
        return None

    @staticmethod
    def _code_in(table: Table, source: Supplied | None) -> str:
        """The column that a learner's code for somebody names, where no foreign key says so."""
        if source is None:
            return ""
        theirs = source.columns[0].name
        last = words_of(theirs)[-1:]
        same = (column.name for column in table.columns if words_of(column.name) in (words_of(theirs), last))
        return next(same, "")

    def _of(self, table: Table, role: Role, name: str, misid: str) -> Feed:
        found = _matched(table, _wanted(role), self._leads_to)
        if column := table.column(misid) if misid else None:
            found["MISID"] = Supplied("MISID", table.name, (column,), "what the learners' rows name")
        taken: dict[str, Supplied] = {}
        for one in found.values():
            taken.setdefault(field_of(one.name), one)
        return Feed(name, role, table.name, _in_order(role, taken.values()))

    def _by_role(self, feed: Feed, table: Table) -> Iterator[Feed]:
        """The staff's feed once for each role that a column says they have; as it is where none does."""
        if feed.missing:
            return
        misid = feed.source_of("MISID")
        keys = tuple(column.name for column in misid.columns) if misid else ()
        # A table that says no more than who has which role is better than one that says it of each of their learners.
        for other in sorted(self._tables.values(), key=lambda each: (each is not table, len(each.columns))):
            on = () if other is table else _on(other, table, keys)
            for column in other.columns if on or other is table else ():
                roles = {role: text for role, text in column.look.roles.items() if role in _OF_STAFF}
                if roles and "role" in things_of(column.name) | things_of(other.name):
                    for role in filter(roles.__contains__, _OF_STAFF):
                        having = Having(other.name, on, column.name, roles[role])
                        yield replace(feed, name=_OF_STAFF[role], role=role, having=having)
                    return
        yield feed


def _wanted(role: Role) -> list[str]:
    return [
        name
        for name in columns_of(role).values()
        if name in spellings.SPELLINGS
        and name not in {"DOB", "HomeAddress"}
        and not (role.is_place and name == "Email")
    ]


def _fits(table: Table, role: Role) -> bool:
    """Whether it has what makes such a thing: a name or two, and a code."""
    found = _matched(table, ["FirstName", "LastName", "Name", "MISID"])
    is_of_people = {"FirstName", "LastName"} <= found.keys()
    return "MISID" in found and (not is_of_people and "Name" in found if role.is_place else is_of_people)


def with_employers(learners: Feed) -> Feed:
    """The learners' feed where another makes the employers that it names, so that no code of theirs is unknown."""
    supplied = (replace(one, off="") if one.off == _NO_EMPLOYERS else one for one in learners.supplied)
    return replace(learners, supplied=tuple(supplied))


def _cautious(learners: Feed) -> Feed:
    """Switch off what is not to be sent before somebody has thought about it."""
    reasons = {name: _SPECIAL for name, each in fields_of(Role.LEARNER).items() if each.special}
    reasons |= {"LearnerStatusName": _STATUS, "DefaultEmployerMISID": _NO_EMPLOYERS}
    return replace(
        learners,
        supplied=tuple(
            replace(one, off=reasons[one.name]) if one.name in reasons and one.reason != _SAID else one
            for one in learners.supplied
        ),
    )


def _in_order(role: Role, supplied: Iterable[Supplied]) -> tuple[Supplied, ...]:
    """What is mandatory first, then as OneFile's fields are listed."""
    order = list(columns_of(role).values())

    def place(one: Supplied) -> tuple[bool, int, int]:
        name = field_of(one.name)
        return name != "MISID" and role not in FIELDS[name].mandatory, order.index(name), order.index(one.name)

    return tuple(sorted(supplied, key=place))


def _matched(
    table: Table, wanted: Iterable[str], leads_to: _LeadsTo = lambda _table, _column: ""
) -> dict[str, Supplied]:
    """Which of the wanted columns a table supplies, each of its own used once, the surest first."""
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
    """How likely a column is to be that of a feed, from 0 up, and why."""
    if leading:
        return (1.2, "where it leads") if leading == name else (0, "")
    shape = column.look.shape
    by_name = likeness(column.name, name, things_of(table.name))
    if name == "MISID":
        return _score_of_key(table, column, by_name)
    if name == "Name" and shape in spellings.NOT_KEYS | {Shape.NUMBER}:
        return 0, ""
    forms = spellings.FORMS.get(name)
    if forms is None or shape is None:
        return by_name, "its name"
    if shape in forms:
        return _score_by_form(column, name, by_name, shape)
    # A first name may be two words with something between them, and a telephone number a note.
    return (by_name * 0.6, "its name") if name not in spellings.TELLING and by_name > 0.8 else (0, "")


def _score_by_form(column: Column, name: str, by_name: float, shape: Shape) -> tuple[float, str]:
    if by_name:
        return by_name + 0.3, "its name" if shape is Shape.WORDS else f"its name, and its values are {shape}"
    is_somebody_elses = bool(spellings.SOMEBODY_ELSES.intersection(words_of(column.name)))
    return (0.4, f"its values are {shape}") if name in spellings.TELLING and not is_somebody_elses else (0, "")


def _score_of_key(table: Table, column: Column, by_name: float) -> tuple[float, str]:
    if not by_name or column.look.shape in spellings.NOT_KEYS:
        return 0, ""
    if len(words_of(column.name)) == 1 and column.name.lower() == "id":
        by_name -= 0.2
    if _is_key(table, (column,)):
        return by_name + 0.2, f"its name, and it is the key of {table.name}"
    if column.name in table.key:
        return by_name + 0.1, "its name, and it is of the key"
    return (by_name + 0.1, "its name, and no two are alike") if column.look.is_distinct else (by_name, "its name")


def _address_lines(table: Table, used: Collection[str]) -> tuple[Column, ...]:
    lines: dict[tuple[int, str], Column] = {}
    for column in table.columns:
        squashed = "".join(word for word in words_of(column.name) if word not in spellings.LEARNERS)
        match = spellings.ADDRESS_LINE.fullmatch(squashed)
        if match is None or column.name in used:
            continue
        part = match["part"]
        place = 6 + spellings.ADDRESS_PARTS.index(part) if part else int(match["number"])
        place = place - 6 if part and part.startswith(("house", "street")) else place
        lines.setdefault((place, part or ""), column)
    return tuple(lines[place] for place in sorted(lines))


def _on(table: Table, base: Table, keys: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """How a table's rows are of a row of the base: by a foreign key, else by columns that are called like its keys."""
    for reference in table.references:
        if reference.table == base.name:
            return tuple(zip(reference.columns, reference.their_columns, strict=True))
    pairs = []
    for key in keys:
        called = [base.name + "_" + key] if words_of(key) in _COMMON_KEYS else [key, base.name + "_" + key]
        squashed = {"".join(map(singular_of_last, (words_of(each),))) for each in called}
        for column in table.columns:
            if "".join(words_of(column.name)) in squashed:
                pairs.append((column.name, key))
                break
    # Of a key of several columns, such as a provider's number and a learner's, all that both have.
    own = [pair for pair in pairs if likeness(pair[1], "MISID") > 0]
    return tuple(pairs) if own else ()


def singular_of_last(words: tuple[str, ...]) -> str:
    """The words of ``<tables>_<key>`` run together, the table's in the singular."""
    return "".join((*map(spellings.singular, words[:-1]), *words[-1:]))


def _order_of(table: Table, supplied: Mapping[str, Supplied]) -> tuple[Column, ...]:
    """By which columns the newest of several rows is last: when it began, else any date, and the key."""
    found = _matched(table, ["StartOn", "DOB"])
    start = supplied.get("StartOn") or found.get("StartOn")
    born = found["DOB"].columns if "DOB" in found else ()
    days = [column for column in table.columns if column.look.shape is Shape.DAY and column not in born]
    first = start.columns[:1] if start and start.table == table.name else tuple(days[:1])
    key = tuple(column for column in table.columns if column.name in table.key and column not in first)
    return (*first, *key) or table.columns[:1]


def _is_key(table: Table, columns: Collection[Column]) -> bool:
    return bool(table.key) and set(table.key) <= {column.name for column in columns}


def _worth(found: Mapping[str, Supplied]) -> float:
    return sum(3 if Role.LEARNER in FIELDS[field_of(name)].mandatory else 1 for name in found)


def _set_aside(table: Table) -> float:
    return 4.0 * bool(things_of(table.name) & spellings.ASIDE)
