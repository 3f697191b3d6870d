"""Drift: OneFile has a different value from the one it last accepted from syncd."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

from syncd.core.digests import Digester
from syncd.core.fields import FIELDS, GRANT, Kind
from syncd.core.records import Key
from syncd.core.values import Value, read_value

#: Midnight in London is at most this much earlier in UTC: double summer time, in the 1940s.
_EARLIEST_MIDNIGHT: Final = timedelta(hours=2)
#: In summer OneFile may return a time one hour off (§15); no person changes one by exactly that.
_SUMMER_TIME: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)
#: The one field of which the letter case matters: two MISIDs that differ in it are two keys.
_KEY: Final = "MISID"
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
    not_kept: tuple[str, ...] = ()
    """Those of which OneFile has the value from before it accepted a correction: they are not sent again."""

    @property
    def in_words(self) -> str:
        """What differs, as a phrase."""
        if self.kind is DriftKind.MISSING:
            return "OneFile no longer has the account"
        not_kept = dict.fromkeys(self.not_kept, " (not kept)")
        return ", ".join(
            "archived in OneFile" if name == ARCHIVED else f"{name}{not_kept.get(name, '')}" for name in self.fields
        )


@dataclass(frozen=True, slots=True)
class Correction:
    """A value that was sent again to correct drift, and that OneFile has accepted."""

    digest: str
    """Of that value and of the one that OneFile had instead."""
    is_reported: bool = False
    """Whether it was reported that OneFile has that one still."""


@dataclass(frozen=True, slots=True)
class _Compared:
    key: Key
    user_id: int
    different: dict[str, str]
    """The fields with another value, with a digest of the value that was sent and of that one."""
    absent: dict[str, str]
    """The fields without a value, likewise."""
    not_kept: frozenset[str]
    """The fields that have the same other value as before a correction."""


@dataclass(slots=True)
class Findings:
    """What reading accounts back has shown so far: names of fields, no values.

    A field that is absent from an answer has drifted, unless no answer has it: then OneFile does not return it, and its
    value is unknown. A value that OneFile has accepted and not kept is reported once, and is no drift as long as
    OneFile has the same one instead.
    """

    digester: Digester = field(default_factory=lambda: Digester(b""))
    """Makes the digests of values."""
    seen: set[Key] = field(default_factory=set)
    """The accounts that were read back, or that OneFile does not have."""
    corrections: dict[Key, dict[str, Correction]] = field(default_factory=dict)
    """What remains of the corrections of each account that had some, by field."""
    _told: set[str] = field(default_factory=set)
    _compared: list[_Compared] = field(default_factory=list)
    _missing: list[Drift] = field(default_factory=list)
    _archived: dict[Key, int] = field(default_factory=dict)

    def add(
        self,
        key: Key,
        user_id: int,
        sent: Mapping[str, Value],
        returned: Mapping[str, object] | None,
        corrections: Mapping[str, Correction] | None = None,
    ) -> None:
        """Add one account.

        ``sent`` are the values OneFile last accepted; nothing else is compared. ``returned`` are its values now,
        with keys in any letter case; ``None`` if it has no such account. ``corrections`` are those that
        earlier verifies have sent, by field.
        """
        self.seen.add(key)
        if returned is None:
            self._missing.append(Drift(key, user_id, DriftKind.MISSING))
            return
        # A field that is empty in every account counts as not returned.
        by_name = {name.lower(): value for name, value in returned.items() if value is not None and value != ""}
        self._told |= by_name.keys()
        # OneFile does not return the grant, which a separate call sends.
        ours = (sent.keys() & FIELDS.keys()) - {GRANT}
        corrections = corrections or {}
        not_kept: dict[str, Correction] = {}
        reported: set[str] = set()
        different: dict[str, str] = {}
        absent: dict[str, str] = {}
        for name in ours:
            value = by_name.get(name.lower())
            if value is not None and is_same(FIELDS[name].kind, sent[name], value, in_any_case=name != _KEY):
                continue
            digest = self.digester.digest([sent[name], value])
            correction = corrections.get(name)
            if digest and correction is not None and correction.digest == digest:
                not_kept[name] = replace(correction, is_reported=True)
                if correction.is_reported:
                    continue
                reported.add(name)
            (absent if value is None else different)[name] = digest
        if corrections:
            self.corrections[key] = not_kept
        if different or absent:
            self._compared.append(_Compared(key, user_id, different, absent, frozenset(reported)))

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
        absent = frozenset[str]().union(*(one.absent.keys() for one in self._compared))
        return frozenset(name for name in absent if name.lower() not in self._told)

    def differences(self) -> dict[Key, dict[str, str]]:
        """The accounts that differ, each with its fields and the digest for a `Correction`."""
        return {one.key: one.different | one.absent for one in self._compared}

    @property
    def drift(self) -> tuple[Drift, ...]:
        """Every account that has drifted, in the order of their keys."""
        not_told = self.not_returned
        fields: dict[tuple[Key, int], frozenset[str]] = {
            (one.key, one.user_id): frozenset(one.different) | one.absent.keys() - not_told for one in self._compared
        }
        for one in self._archived.items():
            fields[one] = fields.get(one, frozenset()) | {ARCHIVED}
        not_kept = {one.key: one.not_kept for one in self._compared}
        changed = (
            Drift(
                key, user_id, DriftKind.CHANGED, tuple(sorted(names)), tuple(sorted(names & not_kept.get(key, set())))
            )
            for (key, user_id), names in fields.items()
            if names
        )
        return tuple(sorted((*changed, *self._missing), key=lambda drift: drift.key))


def confirmed(sent: Mapping[str, Value], returned: Mapping[str, object]) -> dict[str, Value]:
    """The values of what was sent that OneFile returns; ``returned`` are its values, with keys in any letter case."""
    by_name = {name.lower(): value for name, value in returned.items()}
    return {
        name: value
        for name, value in sent.items()
        if name in FIELDS and name.lower() in by_name and is_same(FIELDS[name].kind, value, by_name[name.lower()])
    }


def is_same(kind: Kind, sent: Value, returned: object, *, in_any_case: bool = True) -> bool:
    """Whether OneFile returns the value that it was sent, in any of its forms (§15, U25).

    OneFile may keep another letter case, such as e-mail addresses in small letters.
    """
    try:
        match kind:
            case Kind.DATE:
                return _day_of(returned) == _day_of(sent)
            case Kind.MOMENT:
                apart = abs(_moment_of(returned) - _moment_of(sent))
                return min(apart, abs(apart - _SUMMER_TIME)) < _SECOND
            case _:
                value = read_value(kind, returned)
                if in_any_case and isinstance(value, str):
                    return value.casefold() == str(sent).casefold()
                return value == sent
    except (ValueError, OverflowError):
        return False


def _moment_of(returned: object) -> datetime:
    moment = datetime.fromisoformat(str(returned).strip())
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _day_of(returned: object) -> date:
    return (_moment_of(returned) + _EARLIEST_MIDNIGHT).date()
