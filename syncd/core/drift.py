"""Drift: where OneFile holds another value than the one it last accepted from us."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

from syncd.core.fields import FIELDS, GRANT, Kind
from syncd.core.records import Key
from syncd.core.values import Value, read_value

#: A midnight of London's told in UTC is this much early at most: the double summer time of the 1940s.
_EARLIEST_MIDNIGHT: Final = timedelta(hours=2)
#: In summer a moment may be told an hour off (§15); no hand moves one by exactly that.
_SUMMER_TIME: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)


class DriftKind(StrEnum):
    """In what way an account is not as it was left."""

    CHANGED = "changed"
    """Fields hold another value, or none."""
    MISSING = "missing"
    """OneFile no longer has the account."""


@dataclass(frozen=True, slots=True)
class Drift:
    """An account that is not as OneFile last accepted it from us."""

    key: Key
    user_id: int
    kind: DriftKind
    fields: tuple[str, ...] = ()
    """The names of those that differ."""


@dataclass(frozen=True, slots=True)
class _Compared:
    key: Key
    user_id: int
    different: frozenset[str]
    absent: frozenset[str]


@dataclass(slots=True)
class Findings:
    """What reading accounts back has shown so far: names of fields, and no values.

    A field that is absent from an answer has drifted, unless it is in no answer at all: then OneFile does not tell
    it, and nothing is known of it.
    """

    seen: set[Key] = field(default_factory=set)
    """The accounts that have been read back, or looked for in vain."""
    _told: set[str] = field(default_factory=set)
    _compared: list[_Compared] = field(default_factory=list)
    _missing: list[Drift] = field(default_factory=list)

    def add(self, key: Key, user_id: int, sent: Mapping[str, Value], told: Mapping[str, object] | None) -> None:
        """Take in one account.

        ``sent`` are the values OneFile last accepted, and nothing else is compared; ``told`` is what it says now, keys
        in any letter case, or ``None`` where it has no such account.
        """
        self.seen.add(key)
        if told is None:
            self._missing.append(Drift(key, user_id, DriftKind.MISSING))
            return
        # What is empty for everybody is not told either.
        by_name = {name.lower(): value for name, value in told.items() if value is not None and value != ""}
        self._told |= by_name.keys()
        # Of what was told by a call of its own OneFile says nothing.
        ours = (sent.keys() & FIELDS.keys()) - {GRANT}
        absent = frozenset(name for name in ours if name.lower() not in by_name)
        different = frozenset(
            name for name in ours - absent if not is_same(FIELDS[name].kind, sent[name], by_name[name.lower()])
        )
        if different or absent:
            self._compared.append(_Compared(key, user_id, different, absent))

    @property
    def checked(self) -> int:
        """How many accounts that are."""
        return len(self.seen)

    @property
    def not_returned(self) -> frozenset[str]:
        """The fields that were sent and that OneFile does not tell of anybody."""
        absent = frozenset[str]().union(*(one.absent for one in self._compared))
        return frozenset(name for name in absent if name.lower() not in self._told)

    @property
    def drift(self) -> tuple[Drift, ...]:
        """Every account that has drifted, in the order of their keys."""
        not_told = self.not_returned
        changed = (
            Drift(one.key, one.user_id, DriftKind.CHANGED, tuple(sorted(fields)))
            for one in self._compared
            if (fields := one.different | one.absent - not_told)
        )
        return tuple(sorted((*changed, *self._missing), key=lambda drift: drift.key))


def is_same(kind: Kind, sent: Value, told: object) -> bool:
    """Whether what OneFile tells is what it was sent, in whatever form it tells it (§15, U25)."""
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
