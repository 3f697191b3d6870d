"""Which tables of an MIS hold whom, and which of their columns are which of OneFile's fields: a proposal with reasons.

Names, keys and the looks of a few values go in. What comes out is data for a person to settle, and
`syncd.setup.sql` writes as SQL; whatever is not clear is said to be missing, and never guessed.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from syncd.core.fields import FIELDS, REFERENCE_COLUMNS, Role, columns_of, fields_of
from syncd.setup import synonyms
from syncd.setup.column_matching import COMMON_KEYS, is_key, matched, order_of, pairs_between, set_aside, worth_of
from syncd.setup.schema import Column, Feed, Having, Join, NotJoined, Supplied, Table, field_of
from syncd.setup.synonyms import things_of, words_of

#: What of a learner is looked for.
_WANTED: Final = tuple(name for name in columns_of(Role.LEARNER).values() if name in synonyms.SPELLINGS)
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
_MOST_JOINS: Final = 5

_SPECIAL: Final = "special-category data or a national number: only if you have to"
_STATUS: Final = "only if these are OneFile's learner statuses: a learner with another is held"
_NO_EMPLOYERS: Final = "only if OneFile has them by these codes: a learner with another is held"
_SAID: Final = "you said so"
_OTHERWISE: Final = "the other way to give it; have one of the two"

#: Which tables hold what besides learners, and what the feeds of them are called.
_OTHERS: Final = {
    Role.PLACEMENT: (synonyms.PLACEMENTS, "placements", "PlacementMISID"),
    Role.CLASSROOM: (synonyms.CLASSROOMS, "classrooms", "ClassroomMISID"),
    Role.ASSESSOR: (synonyms.STAFF, "assessors", "DefaultAssessorMISID"),
    Role.EMPLOYER: (synonyms.EMPLOYERS, "employers", "DefaultEmployerMISID"),
    Role.OBSERVER: (synonyms.OBSERVERS, "observers", ""),
}
_OF_STAFF: Final = {Role.ASSESSOR: "assessors", Role.TRAINEE_ASSESSOR: "trainee-assessors", Role.IQA: "iqas"}


def promising(tables: Iterable[Table]) -> list[Table]:
    """The tables that may hold people, places or what learners are enrolled on; those that look most like it first."""
    every = synonyms.LEARNERS | synonyms.STAFF | synonyms.EMPLOYERS | synonyms.PLACEMENTS | synonyms.CLASSROOMS
    every |= synonyms.ENROLMENTS | synonyms.PEOPLE

    def promise(table: Table) -> float:
        is_called_so = 2.0 * bool(every & things_of(table.name))
        return is_called_so + worth_of(matched(table, _WANTED)) - set_aside(table)

    promises = {table.name: promise(table) for table in tables}
    kept = [table for table in tables if promises[table.name] > 1]
    return sorted(kept, key=lambda table: -promises[table.name])


def learners_tables(tables: Iterable[Table]) -> list[Table]:
    """The tables that hold learners, the likeliest first."""

    def likelihood(table: Table) -> float:
        found = matched(table, _WANTED)
        if not {"FirstName", "LastName"} <= {one.name for one in found.values()}:
            return 0
        things = things_of(table.name)
        by_name = 3 * bool(things & synonyms.LEARNERS) + bool(things & synonyms.PEOPLE)
        by_name -= 3 * bool(things & (synonyms.STAFF | synonyms.EMPLOYERS | synonyms.OBSERVERS))
        is_told = any(one.name == "ULN" for one in found.values())
        return worth_of(found) + by_name + 2 * is_told - set_aside(table)

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
        if misid and not is_key(base, misid.columns) and not misid.columns[0].look.is_distinct:
            newest_by = order_of(base, self._supplied)
        supplied = _in_order(Role.LEARNER, self._supplied.values())
        return Feed("learners", Role.LEARNER, base.name, supplied, tuple(self._joins), newest_by)

    def _take(self, table: Table, wanted: Collection[str]) -> None:
        found = matched(table, [name for name in wanted if name not in self._chosen], self._leads_to)
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
            found = matched(table, left, self._leads_to)
            if not _WORTH_A_JOIN & {field_of(name) for name in found}:
                continue
            worth = worth_of(found) + bool(things_of(table.name) & synonyms.ENROLMENTS) - set_aside(table)
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
            if table.name not in joined and (on := pairs_between(table, base, keys)):
                is_one = bool(table.key) and set(table.key) <= {own for own, _ in on}
                newest_by = () if is_one else order_of(table, {})
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
            if other is table or len(other.key) != 1 or words_of(other.key[0]) in COMMON_KEYS:
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
                table = max(named, key=lambda one: worth_of(matched(one, _wanted(role))) - set_aside(one), default=None)
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
        found = matched(table, _wanted(role), self._leads_to)
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
            on = () if other is table else pairs_between(other, table, keys)
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
        if name in synonyms.SPELLINGS and name not in {"DOB", "HomeAddress"} and not (role.is_place and name == "Email")
    ]


def _fits(table: Table, role: Role) -> bool:
    """Whether it has what makes such a thing: a name or two, and a code."""
    found = matched(table, ["FirstName", "LastName", "Name", "MISID"])
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
