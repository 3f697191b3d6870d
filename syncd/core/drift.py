"""Drift: OneFile has a different value from the one it last accepted from syncd."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

from syncd.core.fields import FIELDS, GRANT, Kind
from syncd.core.records import Key
from syncd.core.values import Value, read_value

#: Midnight in London is at most this much earlier in UTC: double summer time, in the 1940s.
_EARLIEST_MIDNIGHT: Final = timedelta(hours=2)
#: In summer OneFile may return a time one hour off (§15); no person changes one by exactly that.
_SUMMER_TIME: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)
#: Stands among the names of the fields for an account that OneFile has archived; no field of OneFile has this name.
ARCHIVED: Final = "archived"


class DriftKind(StrEnum):
    """In what way an account has drifted."""

    CHANGED = "changed"
    """Fields have a different value or none, or the account is archived."""
    MISSING = "missing"
    """OneFile no longer has the account."""


@dataclass(frozen=True, slots=True)
class Drift:
    """An account that differs from what OneFile last accepted from syncd."""

    key: Key
    user_id: int
    kind: DriftKind
    fields: tuple[str, ...] = ()
    """The names of the fields that differ; `ARCHIVED` is one of them if the account is archived in OneFile."""

    @property
    def in_words(self) -> str:
        """What differs, as a phrase."""
        if self.kind is DriftKind.MISSING:
            return "OneFile no longer has the account"
        return ", ".join("archived in OneFile" if name == ARCHIVED else name for name in self.fields)


@dataclass(frozen=True, slots=True)
class _Compared:
    key: Key
    user_id: int
    different: frozenset[str]
    absent: frozenset[str]


@dataclass(slots=True)
class Findings:
    """What reading accounts back has shown so far: names of fields, no values.

    A field that is absent from an answer has drifted, unless no answer has it: then OneFile does not return it, and its
    value is unknown.
    """

    seen: set[Key] = field(default_factory=set)
    """The accounts that were read back, or that OneFile does not have."""
    _told: set[str] = field(default_factory=set)
    _compared: list[_Compared] = field(default_factory=list)
    _missing: list[Drift] = field(default_factory=list)
    _archived: dict[Key, int] = field(default_factory=dict)

    def add(self, key: Key, user_id: int, sent: Mapping[str, Value], told: Mapping[str, object] | None) -> None:
        """Add one account.

        ``sent`` are the values OneFile last accepted; nothing else is compared. ``told`` are the values it returns now,
        with keys in any letter case; ``None`` if it has no such account.
        """
        self.seen.add(key)
        if told is None:
            self._missing.append(Drift(key, user_id, DriftKind.MISSING))
            return
        # A field that is empty in every account counts as not returned.
        by_name = {name.lower(): value for name, value in told.items() if value is not None and value != ""}
        self._told |= by_name.keys()
        # OneFile does not return the grant, which a separate call sends.
        ours = (sent.keys() & FIELDS.keys()) - {GRANT}
        absent = frozenset(name for name in ours if name.lower() not in by_name)
        different = frozenset(
            name for name in ours - absent if not is_same(FIELDS[name].kind, sent[name], by_name[name.lower()])
        )
        if different or absent:
            self._compared.append(_Compared(key, user_id, different, absent))

    def add_archived(self, key: Key, user_id: int) -> None:
        """Add that OneFile has archived an account that was read back."""
        self._archived[key] = user_id

    @property
    def checked(self) -> int:
        """The number of accounts that were read back."""
        return len(self.seen)

    @property
    def not_returned(self) -> frozenset[str]:
        """The fields that were sent and that OneFile returns for no account."""
        absent = frozenset[str]().union(*(one.absent for one in self._compared))
        return frozenset(name for name in absent if name.lower() not in self._told)

    @property
    def drift(self) -> tuple[Drift, ...]:
        """Every account that has drifted, in the order of their keys."""
        not_told = self.not_returned
        fields: dict[tuple[Key, int], frozenset[str]] = {
            (one.key, one.user_id): one.different | one.absent - not_told for one in self._compared
        }
        for one in self._archived.items():
            fields[one] = fields.get(one, frozenset()) | {ARCHIVED}
        changed = (
            Drift(key, user_id, DriftKind.CHANGED, tuple(sorted(names)))
            for (key, user_id), names in fields.items()
            if names
        )
        return tuple(sorted((*changed, *self._missing), key=lambda drift: drift.key))


def confirmed(sent: Mapping[str, Value], told: Mapping[str, object]) -> dict[str, Value]:
    """The values of what was sent that OneFile returns; ``told`` are those it returns, with keys in any letter case."""
    by_name = {name.lower(): value for name, value in told.items()}
    return {
        name: value
        for name, value in sent.items()
        if name in FIELDS and name.lower() in by_name and is_same(FIELDS[name].kind, value, by_name[name.lower()])
    }


def is_same(kind: Kind, sent: Value, told: object) -> bool:
    """Whether OneFile returns the value that it was sent, in any of its forms (§15, U25)."""
    try:
        match kind:
            case Kind.DATE:
                return _day_of(told) == _day_of(sent)
            case Kind.MOMENT:
                apart = abs(_moment_of(told) - _moment_of(sent))
                return min(apart, abs(apart - _SUMMER_TIME)) < _SECOND
            case _:
                return read_value(kind, told) == sent
    except (ValueError, OverflowError):
        return False


def _moment_of(told: object) -> datetime:
    moment = datetime.fromisoformat(str(told).strip())
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _day_of(told: object) -> date:
    return (_moment_of(told) + _EARLIEST_MIDNIGHT).date()
