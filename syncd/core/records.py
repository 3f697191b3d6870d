"""A raw row becomes a `Record`, or is `Held`."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from enum import StrEnum
from hashlib import blake2b
from typing import Final, NamedTuple, Self, TypeAlias

from syncd.core.evidence import Evidence
from syncd.core.fields import (
    FIELDS,
    ORGANISATION_COLUMN,
    PERSON_COLUMN,
    REFERENCE_COLUMNS,
    Field,
    Kind,
    Referent,
    Role,
    columns_of,
)
from syncd.core.misid import read_misid
from syncd.core.values import GARBLED, Unusable, Value, check_birth, is_garbled, read_text, read_value


class Key(NamedTuple):
    """What makes an account one and the same: nothing here ever changes for it."""

    organisation_id: int
    role: Role
    misid: str


class Code(NamedTuple):
    """A reference in the MIS: not OneFile's id, but a MISID or a name to find the id by."""

    referent: Referent
    by: str
    text: str


class Reason(StrEnum):
    """Why a record is held, or a value left out of it."""

    MISSING = "missing"
    """A mandatory value is absent."""
    UNUSABLE = "unusable"
    """A value is not valid for OneFile."""
    UNUSABLE_KEY = "unusable_key"
    """The MISID cannot be a key, for example because of an invisible character."""
    DUPLICATE_KEY = "duplicate_key"
    """Two rows have the same MISID."""
    LOOKALIKE_KEY = "lookalike_key"
    """The MISID differs from a known one only in case, width, blanks or leading zeros."""
    REFERENCE_NOT_FOUND = "reference_not_found"
    """OneFile has nothing with the code in the MIS."""
    AMBIGUOUS = "ambiguous"
    """OneFile has more than one possible match."""
    SEARCH_MISMATCH = "search_mismatch"
    """OneFile's search for the MISID has returned others, so it is not known whether OneFile has it."""
    REFUSED = "refused"
    """OneFile refused what was sent."""
    REJECTED = "rejected"
    """An operator has rejected what was to be sent, or has undone it."""
    IN_DOUBT = "in_doubt"
    """A create's answer was lost, and it is not settled yet."""
    REKEYED = "rekeyed?"
    """The person resembles one whose record is gone, and may have a new MISID."""
    ANOTHER_PERSON = "another_person?"
    """The values under this MISID have become those of another person."""
    HAS_AN_ACCOUNT = "has_an_account?"
    """OneFile has an account that may be this person's, and that syncd does not know."""
    SAME_PERSON = "same_person?"
    """Another current record seems to be about the same person."""
    DOUBTFUL = "doubtful"
    """A value that is sent looks wrong."""
    CLEARED = "cleared"
    """The MIS no longer has a value that OneFile still holds."""


@dataclass(frozen=True, slots=True)
class Held:
    """A row that cannot be sent now, and why."""

    organisation_id: int
    role: Role
    misid: str
    """Empty if the MISID itself is missing."""
    feed: str
    reason: Reason
    field: str
    detail: str
    """What is wrong, in words, without the value."""
    row: int = 0
    """The row's number in its feed if it has no MISID, else 0."""
    fingerprint: str = ""
    """Of the record that OneFile refused, so that it is not sent again unchanged; or that a question is about."""
    other: str = ""
    """The MISID that the question is about, if another one is."""
    user_id: int | None = None
    """The account in OneFile that the question is about, if it is about one."""
    evidence: Evidence | None = None
    """What indicates, or contradicts, that it is the same person."""

    @property
    def key(self) -> Key:
        """The key of the row; its MISID is empty if that is missing."""
        return Key(self.organisation_id, self.role, self.misid)


@dataclass(frozen=True, slots=True)
class Warned:
    """An optional value left out of a record that is otherwise sent, or what is doubtful about one that is sent."""

    key: Key
    feed: str
    reason: Reason
    field: str
    detail: str
    other: str = ""
    """The MISID of the record that it is about, if it is about another one."""
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a feed, fit to be sent."""

    key: Key
    feed: str
    fields: dict[str, Value]
    codes: dict[str, Code]
    """The id fields that are still to be resolved."""
    supplied: frozenset[str]
    """The fields that the feed has a column for, whether this row fills them or not."""
    warnings: tuple[Warned, ...] = ()
    defaulted: frozenset[str] = frozenset()
    """The references that the row lacks and that come from the defaults."""
    person_key: str = ""
    """The MIS's own key of the person, if the feed has one; it is never sent."""

    @property
    def name(self) -> str:
        """The name in OneFile: a place's name, or a person's first and last name."""
        parts = ("Name",) if self.key.role.is_place else ("FirstName", "LastName")
        return " ".join(str(self.fields[part]) for part in parts)

    def fingerprint(self, secret: bytes) -> str:
        """Return a keyed hash of all that would be sent: equal for equal records, and no value can be recovered.

        The ids that the codes stand for are not in it: see `stamped`. ``secret`` is at most 64 bytes.
        """
        # An empty field may have to be cleared; an unusable one, or one without a column, never.
        empty = self.supplied.difference(self.fields, self.codes, (warned.field for warned in self.warnings))
        content = json.dumps(
            [self.fields, self.codes, sorted(empty), self.person_key],
            sort_keys=True,
            ensure_ascii=False,
            separators=(",", ":"),
        )
        return blake2b(content.encode("utf-8", "surrogatepass"), key=secret, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class OtherOrganisation:
    """A row of another organisation."""

    feed: str
    key: Key | None = None
    """Of a row that does not say which organisation it is of: the key that it would have in this one."""


@dataclass(frozen=True, slots=True)
class NotSelected:
    """A row outside the scope of a run for a few people: only its key."""

    key: Key
    feed: str


def stamped(fingerprint: str, ids: Mapping[str, int]) -> str:
    """Return the fingerprint of a record whose codes stand for these ids, by field; a different id changes it.

    Without ids it is unchanged.
    """
    if not ids:
        return fingerprint
    content = ",".join((fingerprint, *(f"{name}={ids[name]}" for name in sorted(ids))))
    return blake2b(content.encode(), digest_size=16).hexdigest()


_BIRTH: Final = "DOB"
_NAMES: Final = frozenset({"FirstName", "LastName"})

Row: TypeAlias = Sequence[object]
FetchRows: TypeAlias = Callable[[int], Sequence[Row]]
"""Returns the next rows of a feed, about as many as asked for; no rows at its end."""
Defaults: TypeAlias = Mapping[str, int | Code]
"""The defaults for references that a row lacks, by field: an id, or a code to find it by."""


class UnusableColumns(ValueError):
    """The columns of a feed do not fit its role; the message says which, and the nearest right name."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a feed, and the field that it is for."""

    position: int
    name: str
    field: Field
    by: str | None
    """For a reference column, what its code is matched with."""
    today: date | None = None
    """The day of the reading, by which a day of birth is checked; ``None`` to accept every day."""

    def read(self, raw: object) -> Value | Code | None:
        """Parse one value; returns ``None`` for an empty one. Raises `Unusable`."""
        if self.by is None or self.field.referent is None:
            value = read_value(self.field.kind, raw)
            if self.name == _BIRTH and self.today is not None and value is not None:
                check_birth(value, self.today)
            return value
        if self.by == "MISID":
            misid = read_misid(raw)
            return None if misid is None else Code(self.field.referent, self.by, misid)
        text = None if raw is None else read_text(raw)
        return None if text is None else Code(self.field.referent, self.by, text)

    def doubt(self, raw: object, value: Value) -> str:
        """Say what looks wrong with a value that can be sent; empty if nothing does."""
        if isinstance(value, str) and not value.isascii() and is_garbled(raw):
            return GARBLED
        if self.name in _NAMES and not any(map(str.isalpha, str(value))):
            return "has no letter"
        return ""


@dataclass(frozen=True, slots=True)
class OrganisationColumn:
    """How the organisation of a feed's rows is read."""

    position: int | None
    """``None`` if the feed has no such column."""
    default: int
    """The organisation of rows that need not name one."""
    is_mandatory: bool

    @classmethod
    def at(cls, position: int | None, default: int, *, is_mandatory: bool) -> Self:
        """Make one of the column's position. Raises `UnusableColumns` if there is none and each row needs it."""
        if position is None and is_mandatory:
            raise UnusableColumns(
                f"the column {ORGANISATION_COLUMN} is missing, and it is mandatory because onefile.organisations is "
                "set: add the organisation of each row to the query"
            )
        return cls(position, default, is_mandatory)

    def read(self, row: Row) -> int | tuple[Reason, str]:
        """Return the organisation of a row, or why it is not known: the reason, and what is wrong with the value."""
        if self.position is None:
            return self.default
        try:
            number = read_value(Kind.INTEGER, row[self.position])
        except Unusable as problem:
            return Reason.UNUSABLE, str(problem)
        if number is None and self.is_mandatory:
            return Reason.MISSING, "is empty; because onefile.organisations is set, each row must name its organisation"
        return self.default if number is None else int(number)


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column of a feed is which field: made once a feed, applied to every row."""

    role: Role
    feed: str
    organisation: OrganisationColumn
    misid_position: int
    columns: tuple[Column, ...]
    supplied: frozenset[str]
    defaults: Defaults = field(default_factory=dict)
    person_position: int | None = None

    @classmethod
    def from_columns(
        cls,
        role: Role,
        feed: str,
        columns: Sequence[str],
        organisation_id: int,
        defaults: Defaults | None = None,
        watermark: str = "",
        *,
        has_several_organisations: bool = False,
        today: date | None = None,
    ) -> Self:
        """Match a feed's column names with OneFile's fields, in any letter case.

        A column that is only the ``watermark`` is skipped. Rows that do not name their organisation are of
        ``organisation_id``, unless the feeds have rows of several organisations. ``today`` is the day by which days of
        birth are checked.
        Raises `UnusableColumns` for an unknown or doubled column, and for a mandatory one that is missing.
        """
        spellings = columns_of(role)
        positions: dict[str, int] = {}
        for position, column in enumerate(columns):
            name = spellings.get(column.strip().lower())
            if name is None and column.lower() == watermark.lower():
                continue
            if name is None:
                raise UnusableColumns(_unknown_column(role, column, spellings))
            if name in positions:
                raise UnusableColumns(f"column {name} appears twice; keep one")
            positions[name] = position
        if watermark and watermark.lower() not in map(str.lower, columns):
            nearest = get_close_matches(watermark, columns, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else "add it to the query"
            raise UnusableColumns(f"the watermark {watermark!r} is not among the columns; {hint}")
        defaults = {name: value for name, value in (defaults or {}).items() if role in FIELDS[name].roles}
        own = {ORGANISATION_COLUMN, PERSON_COLUMN}
        matched = tuple(_column(name, position, today) for name, position in positions.items() if name not in own)
        supplied = frozenset(column.field.name for column in matched) | defaults.keys()
        _refuse_missing_columns(role, supplied)
        return cls(
            role,
            feed,
            OrganisationColumn.at(
                positions.get(ORGANISATION_COLUMN), organisation_id, is_mandatory=has_several_organisations
            ),
            positions["MISID"],
            tuple(column for column in matched if column.name != "MISID"),
            supplied,
            defaults,
            positions.get(PERSON_COLUMN),
        )

    def key_of(self, row: Row) -> Key | None:
        """Return the key of a row without parsing the rest; ``None`` if `read` would hold the row for its key."""
        organisation_id = self.organisation.read(row)
        try:
            misid = read_misid(row[self.misid_position])
        except Unusable:
            return None
        if not isinstance(organisation_id, int) or misid is None:
            return None
        return Key(organisation_id, self.role, misid)

    def read(self, row: Row, number: int) -> Record | Held:
        """Normalise and validate one row; ``number`` counts the feed's rows from 1."""
        organisation = self.organisation.read(row)
        organisation_id = organisation if isinstance(organisation, int) else self.organisation.default
        try:
            misid = read_misid(row[self.misid_position])
        except Unusable as problem:
            return self._held("", number, Reason.UNUSABLE_KEY, "MISID", str(problem), organisation_id)
        if misid is None:
            return self._held("", number, Reason.MISSING, "MISID", "is empty", organisation_id)
        if not isinstance(organisation, int):
            reason, detail = organisation
            return self._held(misid, 0, reason, ORGANISATION_COLUMN, detail, organisation_id)

        key = Key(organisation_id, self.role, misid)
        fields: dict[str, Value] = {"MISID": misid}
        codes: dict[str, Code] = {}
        problems: dict[str, str] = {}
        doubts: dict[str, str] = {}
        for column in self.columns:
            self._read_column(column, row[column.position], fields, codes, problems, doubts)
        person_key = self._person_of(row, problems)
        for name in codes.keys() & fields.keys():
            del codes[name]
        defaulted = self.defaults.keys() - fields.keys() - codes.keys() - problems.keys()
        for name in defaulted:
            match self.defaults[name]:
                case Code() as code:
                    codes[name] = code
                case number:
                    fields[name] = number

        blocking = self._blocking(fields, codes, problems)
        if blocking:
            reason, name, detail = blocking[0]
            also = f" (also: {', '.join(other for _, other, _ in blocking[1:])})" if blocking[1:] else ""
            return self._held(misid, 0, reason, name, detail + also, organisation_id)
        left_out = (
            Warned(key, self.feed, Reason.UNUSABLE, name, f"{name} {detail}")
            for name, detail in problems.items()
            if name not in fields and name not in codes
        )
        doubtful = (
            Warned(key, self.feed, Reason.DOUBTFUL, name, f"{name} {detail}; it is sent as it is")
            for name, detail in doubts.items()
        )
        warnings = (*left_out, *doubtful)
        return Record(key, self.feed, fields, codes, self.supplied, warnings, frozenset(defaulted), person_key)

    def _person_of(self, row: Row, problems: dict[str, str]) -> str:
        raw = None if self.person_position is None else row[self.person_position]
        try:
            return "" if raw is None else read_text(raw) or ""
        except Unusable as problem:
            problems[PERSON_COLUMN] = str(problem)
            return ""

    @staticmethod
    def _read_column(
        column: Column,
        raw: object,
        fields: dict[str, Value],
        codes: dict[str, Code],
        problems: dict[str, str],
        doubts: dict[str, str],
    ) -> None:
        name = column.field.name
        try:
            value = column.read(raw)
        except Unusable as problem:
            problems[name] = str(problem)
            return
        match value:
            case None:
                pass
            case Code():
                # A MISID is more precise than a name, and columns come in any order.
                if name not in codes or value.by == "MISID":
                    codes[name] = value
            case _:
                fields[name] = value
                if doubt := column.doubt(raw, value):
                    doubts[name] = doubt

    def _blocking(
        self, fields: dict[str, Value], codes: dict[str, Code], problems: dict[str, str]
    ) -> list[tuple[Reason, str, str]]:
        absent = (
            name
            for name, field in FIELDS.items()
            if self.role in field.mandatory and name not in fields and name not in codes
        )
        return [
            (Reason.UNUSABLE, name, problems[name]) if name in problems else (Reason.MISSING, name, "is empty")
            for name in absent
        ]

    def _held(self, misid: str, row: int, reason: Reason, name: str, detail: str, organisation_id: int) -> Held:
        return Held(organisation_id, self.role, misid, self.feed, reason, name, f"{name} {detail}", row)


def _column(name: str, position: int, today: date | None) -> Column:
    reference = REFERENCE_COLUMNS.get(name)
    if reference is None:
        return Column(position, name, FIELDS[name], None, today)
    return Column(position, name, FIELDS[reference.field], reference.by)


def _unknown_column(role: Role, column: str, spellings: dict[str, str]) -> str:
    nearest = get_close_matches(column.strip().lower(), spellings, n=1)
    hint = f"did you mean {spellings[nearest[0]]}?" if nearest else "rename it or leave it out"
    known = column.strip().lower() in {name.lower() for name in (*FIELDS, *REFERENCE_COLUMNS)}
    what = f"is not a field of the role {role}" if known else "is not a OneFile field"
    return f"column {column!r} {what}; {hint}"


def _refuse_missing_columns(role: Role, supplied: frozenset[str]) -> None:
    needed = ["MISID", *(name for name, field in FIELDS.items() if role in field.mandatory)]
    missing = [name for name in needed if name not in supplied]
    if missing:
        ways = {
            name: [name, *(column.name for column in REFERENCE_COLUMNS.values() if column.field == name)]
            for name in missing
        }
        wanted = "; ".join(" or ".join(names) for names in ways.values())
        raise UnusableColumns(f"mandatory for the role {role} and not among the columns: {wanted}")
