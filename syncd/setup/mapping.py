"""Proposes which tables of an MIS hold which records, and which columns supply OneFile's fields, with reasons.

The input is names, keys and profiles of a few values. The result is data that the operator decides on, and that
`syncd.setup.sql` writes as SQL; unclear fields are reported as missing, never guessed.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from syncd.core.fields import FIELDS, REFERENCE_COLUMNS, Role, columns_of, fields_of
from syncd.setup import synonyms
from syncd.setup.column_matching import COMMON_KEYS, is_key, matched, order_of, pairs_between, set_aside, worth_of
from syncd.setup.schema import Column, Feed, Having, Join, NotJoined, Supplied, Table, field_of
from syncd.setup.synonyms import things_of, words_of

#: The learner columns to look for.
_WANTED: Final = tuple(name for name in columns_of(Role.LEARNER).values() if name in synonyms.SPELLINGS)
#: The learner columns that another table with one or several rows per learner may supply.
_OF_LEARNER: Final = (
    "Email", "DOB", "ULN", "NINO", "MobileNumber", "Telephone", "HomeAddress", "StartOn", "PlannedEndDate",
    "ClassroomMISID", "ClassroomName", "DefaultAssessorMISID", "PlacementMISID", "PlacementName",
    "DefaultEmployerMISID",
)  # fmt: skip
#: The learner columns that a referenced table, such as that of classes, may supply.
_OF_PLACE: Final = (
    "ClassroomMISID", "ClassroomName", "DefaultAssessorMISID", "PlacementMISID", "PlacementName", "StartOn",
    "PlannedEndDate",
)  # fmt: skip
#: The fields that justify another join: mandatory ones, and the one that shows the newest of several rows.
_WORTH_A_JOIN: Final = frozenset({"Email", "ClassroomID", "DefaultAssessorID", "PlacementID", "StartOn"})
_MOST_JOINS: Final = 5

_SPECIAL: Final = "special-category data or a national number: only if you have to"
_STATUS: Final = "only if these are OneFile's learner statuses: a learner with another is held"
_NO_EMPLOYERS: Final = "only if OneFile has them by these codes: a learner with another is held"
_SAID: Final = "you said so"
_OTHERWISE: Final = "the other way to give it; have one of the two"

#: The other roles: words in the names of their tables, the feed's name, and the learner column that refers to it.
_OTHERS: Final = {
    Role.PLACEMENT: (synonyms.PLACEMENTS, "placements", "PlacementMISID"),
    Role.CLASSROOM: (synonyms.CLASSROOMS, "classrooms", "ClassroomMISID"),
    Role.ASSESSOR: (synonyms.STAFF, "assessors", "DefaultAssessorMISID"),
    Role.EMPLOYER: (synonyms.EMPLOYERS, "employers", "DefaultEmployerMISID"),
    Role.OBSERVER: (synonyms.OBSERVERS, "observers", ""),
}
_OF_STAFF: Final = {Role.ASSESSOR: "assessors", Role.TRAINEE_ASSESSOR: "trainee-assessors", Role.IQA: "iqas"}


def promising(tables: Iterable[Table]) -> list[Table]:
    """Return the tables that may hold people, places or enrolments, the most likely first."""
    every = synonyms.LEARNERS | synonyms.STAFF | synonyms.EMPLOYERS | synonyms.PLACEMENTS | synonyms.CLASSROOMS
    every |= synonyms.ENROLMENTS | synonyms.PEOPLE

    def promise(table: Table) -> float:
        is_called_so = 2.0 * bool(every & things_of(table.name))
        return is_called_so + worth_of(matched(table, _WANTED)) - set_aside(table)

    promises = {table.name: promise(table) for table in tables}
    kept = [table for table in tables if promises[table.name] > 1]
    return sorted(kept, key=lambda table: -promises[table.name])


def learners_tables(tables: Iterable[Table]) -> list[Table]:
    """Return the tables that hold learners, the most likely first."""

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
    """Return the feeds: first that of the learners in this table, then one for each other role that has a table.

    ``chosen`` are the operator's overrides: by the name of a learner column, the table and the column for it, or
    ``None`` to omit it. Raises `NotJoined`.
    """
    return _Proposing(tables, learners, chosen or {}).feeds()


class _Proposing:
    def __init__(self, tables: Sequence[Table], learners: Table, chosen: Mapping[str, tuple[str, str] | None]) -> None:
        self._tables = {table.name: table for table in tables}
        self._learners = learners
        self._chosen = chosen
        self._supplied: dict[str, Supplied] = {}
        """By field; by column for those that are switched off."""
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
        """Return the column of the learners' feed that this column supplies, by its foreign key."""
        for reference in table.references:
            target = self._tables.get(reference.table)
            if target is None or reference.columns[-1] != column:
                continue
            for role, (things, _, name) in _OTHERS.items():
                if name and things & things_of(target.name) and _fits(target, role):
                    return name
        return ""

    def _best_join(self) -> tuple[Join, tuple[str, ...]] | None:
        """Return the join that supplies most of the missing columns, if any join is worth it."""
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
        """Yield the tables that can be joined now, and the learner columns they may supply."""
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
        """Yield the tables that this table refers to: by a foreign key, or by the name of their key."""
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
        """Return the table and the column that a foreign key refers to."""
        for reference in self._tables[source.table].references:
            if reference.columns[-1] == source.columns[0].name:
                return reference.table, reference.their_columns[-1]
        return None

    @staticmethod
    def _code_in(table: Table, source: Supplied | None) -> str:
        """Return the column that a learner's reference code refers to, if there is no foreign key."""
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
        """Yield the staff feed once for each role found in a role column; unchanged if there is no such column."""
        if feed.missing:
            return
        misid = feed.source_of("MISID")
        keys = tuple(column.name for column in misid.columns) if misid else ()
        # A table of staff and their roles is better than one with a row for each of their learners.
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
    """Whether a table has the name columns and the code that a role needs."""
    found = matched(table, ["FirstName", "LastName", "Name", "MISID"])
    is_of_people = {"FirstName", "LastName"} <= found.keys()
    return "MISID" in found and (not is_of_people and "Name" in found if role.is_place else is_of_people)


def with_employers(learners: Feed) -> Feed:
    """Return the learners' feed with employers switched on, for when another feed creates those employers."""
    supplied = (replace(one, off="") if one.off == _NO_EMPLOYERS else one for one in learners.supplied)
    return replace(learners, supplied=tuple(supplied))


def _cautious(learners: Feed) -> Feed:
    """Switch off the columns that must not be sent before the operator has decided."""
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
    """Return the columns, mandatory fields first, then in the order of OneFile's fields."""
    order = list(columns_of(role).values())

    def place(one: Supplied) -> tuple[bool, int, int]:
        name = field_of(one.name)
        return name != "MISID" and role not in FIELDS[name].mandatory, order.index(name), order.index(one.name)

    return tuple(sorted(supplied, key=place))
