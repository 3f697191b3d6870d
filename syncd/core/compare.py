"""Compare one record with its account: which steps follow. `plan` has the table of these decisions.

The comparison uses the values stored for the changed records, the ids that their codes stand for, and what OneFile
already has.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, TypeAlias

from syncd.core.accounts import Known, Status
from syncd.core.assignments import ChangedAssignments, Pair, StoredAssignment, users_by_learner
from syncd.core.changed import ChangedRecords
from syncd.core.fields import GRANT, USERS, Role
from syncd.core.plan import Create, Grant, Refresh, Rekey, Returner, Update
from syncd.core.records import Code, Held, Key, Reason, Record, Warned
from syncd.core.references import Resolved
from syncd.core.values import Sent, Value

_EMPLOYER: Final = "DefaultEmployerID"
_PLACEMENT: Final = "PlacementID"


class Clear(StrEnum):
    """What is sent for a value that the MIS no longer has; what OneFile does with it is not known (U16)."""

    KEEP = "keep"
    EMPTY = "empty"
    NULL = "null"


@dataclass(frozen=True)
class Snapshot:
    """What the plan needs to know besides the feeds, fetched for the changed records only."""

    known: Mapping[Key, Known]
    values: Mapping[Key, Mapping[str, Value]]
    """The values OneFile last accepted: of the changed records; also of the missing ones if a record is new."""
    codes: Mapping[tuple[int, Code], Resolved] = field(default_factory=dict)
    """What OneFile has for codes that no record of the feeds answers to, by organisation and code."""
    in_onefile: Mapping[Key, tuple[int, ...]] = field(default_factory=dict)
    """The ids that OneFile has for keys which the store does not know."""
    in_doubt: Mapping[Key, str] = field(default_factory=dict)
    """Keys whose create has no known outcome: none is created. The text says why a person must decide, if one must."""
    confirmed_new: Set[Key] = frozenset()
    """Keys that a person has confirmed to be new, even if they resemble an account whose record is gone."""
    assignments: Mapping[Pair, StoredAssignment] = field(default_factory=dict)
    """The assignments that earlier runs have sent, and what OneFile answered."""

    @cached_property
    def owners(self) -> Mapping[tuple[Role, int | None], Key]:
        """The key that the store has for an account, by role and id."""
        return {(key.role, account.user_id): key for key, account in self.known.items()}

    @cached_property
    def claims(self) -> Counter[tuple[Role, int]]:
        """How many new records could be the same account or place in OneFile."""
        return Counter((key.role, onefile_id) for key, hits in self.in_onefile.items() for onefile_id in hits)


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that a plan depends on."""

    now: datetime
    archives_leavers: bool = False
    grace: timedelta = timedelta(days=14)
    protected: frozenset[str] = frozenset()
    clear: Clear = Clear.KEEP


RecordStep: TypeAlias = Held | Create | Update | Rekey | Refresh | Grant | Returner
"""A step that a record of a feed leads to."""

_Change: TypeAlias = Create | Update | Refresh


@dataclass(frozen=True, slots=True)
class _Resolved:
    """A record with its codes replaced by ids, or by accounts that this run creates first."""

    fields: dict[str, Value]
    waits_for: dict[str, Key]
    ids: dict[str, int]
    """The ids that codes stand for, by field."""
    grant: Value | None


class Comparison:
    """Decides the steps of the changed records of one run, which must come in the order in which they are sent.

    ``lookalikes`` are the new records that resemble an account whose record is gone, each with that account's key.
    """

    def __init__(
        self,
        changed: ChangedRecords,
        assignments: ChangedAssignments,
        snapshot: Snapshot,
        rules: Rules,
        secret: bytes,
        lookalikes: Mapping[Key, Key],
    ) -> None:
        self._changed = changed
        self._snapshot = snapshot
        self._rules = rules
        self._secret = secret
        self._lookalikes = lookalikes
        self._to_assign = users_by_learner(assignments.to_assign)
        self._not_assignable = users_by_learner(assignments.refused)
        self._held: set[Key] = set()
        self.warnings: list[Warned] = []
        """Values left out of the records so far."""

    def steps_for(self, record: Record) -> tuple[RecordStep, ...]:
        """The steps of one record, in the order in which they are carried out; if it is held, that is the only one."""
        steps = self._decide(record)
        if isinstance(steps[0], Held):
            self._held.add(record.key)
        account = self._snapshot.known.get(record.key)
        is_back = account is not None and account.status is not Status.ACTIVE
        if isinstance(steps[0], Held | Rekey) or account is None or account.user_id is None or not is_back:
            return steps
        may_be_archived = account.status in {Status.ARCHIVED, Status.UNSURE}
        return Returner(record.key, account.user_id, may_be_archived), *steps

    def _decide(self, record: Record) -> tuple[RecordStep, ...]:
        snapshot = self._snapshot
        account = snapshot.known.get(record.key)
        if record.key in snapshot.in_doubt or (account is not None and account.user_id is None):
            return (_hold_in_doubt(record, snapshot.in_doubt.get(record.key, "")),)
        resolved = self._resolve(record)
        if isinstance(resolved, Held):
            return (resolved,)
        stored: Mapping[str, Value] = {}
        step: Held | Rekey | _Change
        if account is None or account.user_id is None:
            step = self._new_account(record, resolved)
        else:
            stored = snapshot.values.get(record.key, {})
            step = self._difference(record, resolved, account.user_id, stored)
        if isinstance(step, Held | Rekey):
            return (step,)
        match record.key.role:
            case Role.LEARNER:
                return self._with_default_employer(record, step)
            case Role.EMPLOYER:
                return _with_grant(step, resolved, stored.get(GRANT))
            case _:
                return (step,)

    def _resolve(self, record: Record) -> _Resolved | Held:
        fields = dict(record.fields)
        waits_for: dict[str, Key] = {}
        ids: dict[str, int] = {}
        for name, code in record.codes.items():
            match self._meaning(record.key.organisation_id, code):
                case Reason() as reason:
                    return _hold(record, reason, name, _unresolved(reason, code))
                case Key() as awaited if awaited in self._held:
                    detail = f"the {awaited.role} {awaited.misid} is held as well"
                    return _hold(record, Reason.REFERENCE_NOT_FOUND, name, detail)
                case Key() as awaited if (found := self._to_be_linked(awaited)) is not None:
                    # OneFile may already have accepted this id, before the account was linked.
                    fields[name] = ids[name] = found
                case Key() as awaited:
                    waits_for[name] = awaited
                case int() as onefile_id:
                    fields[name] = ids[name] = onefile_id
        return _Resolved(fields, waits_for, ids, fields.pop(GRANT, None))

    def _to_be_linked(self, key: Key) -> int | None:
        """The id of an account that OneFile already has, and that this run links."""
        hits = self._snapshot.in_onefile.get(key, ())
        return hits[0] if len(hits) == 1 else None

    def _meaning(self, organisation_id: int, code: Code) -> Resolved:
        in_feeds = self._changed.references.resolve(organisation_id, code)
        return in_feeds or self._snapshot.codes.get((organisation_id, code), Reason.REFERENCE_NOT_FOUND)

    def _new_account(self, record: Record, resolved: _Resolved) -> Held | Create | Update | Rekey:
        snapshot, key, lookalike = self._snapshot, record.key, self._lookalikes.get(record.key)
        fingerprint = record.fingerprint(self._secret)
        hits = snapshot.in_onefile.get(key, ())
        if len(hits) > 1:
            ids = ", ".join(map(str, hits))
            what = "or its name on several places: IDs" if key.role.is_place else "on several accounts: UserIDs"
            return _hold(record, Reason.AMBIGUOUS, "MISID", f"OneFile has it {what} {ids}")
        if hits and snapshot.claims[key.role, hits[0]] > 1:
            detail = f"OneFile has one {key.role} of this name, ID {hits[0]}, and the MIS several"
            return _hold(record, Reason.AMBIGUOUS, "Name", detail)
        if hits:
            owner = snapshot.owners.get((key.role, hits[0]))
            if owner is not None:
                return _misid_on_known_account(record, owner, hits[0], lookalike)
            return Update(
                key,
                record.feed,
                hits[0],
                dict(resolved.fields),
                resolved.waits_for,
                fingerprint,
                is_link=True,
                ids=resolved.ids,
            )
        if lookalike is not None:
            return _hold(record, Reason.REKEYED, "MISID", _resembles(key, lookalike))
        former_role = _former_role(key, self._changed)
        return Create(key, record.feed, resolved.fields, resolved.waits_for, fingerprint, resolved.ids, former_role)

    def _difference(
        self, record: Record, resolved: _Resolved, user_id: int, stored: Mapping[str, Value]
    ) -> Update | Refresh:
        key, clear = record.key, self._rules.clear
        fingerprint, needs_recheck = record.fingerprint(self._secret), False
        different: dict[str, Sent] = {
            name: value for name, value in resolved.fields.items() if stored.get(name) != value
        }
        cleared = _cleared(record, stored, resolved.fields.keys() | resolved.waits_for.keys())
        if clear is not Clear.KEEP:
            different |= dict.fromkeys(cleared, "" if clear is Clear.EMPTY else None)
        elif cleared:
            self.warnings.extend(
                Warned(key, record.feed, Reason.CLEARED, name, f"{name} is empty in the MIS; OneFile keeps its value")
                for name in cleared
            )
            # Each run must find it again, so that the warning stays for as long as it is true.
            needs_recheck = True
        if different or resolved.waits_for:
            return Update(
                key,
                record.feed,
                user_id,
                different,
                resolved.waits_for,
                fingerprint,
                ids=resolved.ids,
                needs_recheck=needs_recheck,
            )
        return Refresh(key, record.feed, fingerprint, resolved.ids, needs_recheck)

    def _with_default_employer(self, record: Record, step: _Change) -> tuple[_Change, ...]:
        """The default employer is sent after being assigned to the learner, if the MIS wants it assigned (§11)."""
        employer = self._employer_of(record)
        if employer is None or isinstance(step, Refresh) or not contains_field((step,), _EMPLOYER):
            return (step,)
        before = replace(step, needs_recheck=True, **_without_field(step, _EMPLOYER))
        if employer in self._not_assignable.get(record.key, ()):
            detail = f"{_EMPLOYER} is left out: OneFile has refused to assign the employer {employer.misid}"
            self.warnings.append(Warned(record.key, record.feed, Reason.REFUSED, _EMPLOYER, detail))
            if before.fields or before.waits_for:
                return (before,)
            return (Refresh(step.key, step.feed, step.fingerprint, step.ids, needs_recheck=True),)
        if employer not in self._to_assign.get(record.key, ()):
            return (step,)
        if isinstance(step, Update):
            return (replace(step, after_assigning=employer),)
        after = Update(
            step.key,
            step.feed,
            None,
            {_EMPLOYER: step.fields[_EMPLOYER]} if _EMPLOYER in step.fields else {},
            {_EMPLOYER: step.waits_for[_EMPLOYER]} if _EMPLOYER in step.waits_for else {},
            step.fingerprint,
            ids=step.ids,
            after_assigning=employer,
        )
        return before, after

    def _employer_of(self, record: Record) -> Key | None:
        if code := record.codes.get(_EMPLOYER):
            return Key(record.key.organisation_id, Role.EMPLOYER, code.text)
        onefile_id = record.fields.get(_EMPLOYER)
        return self._snapshot.owners.get((Role.EMPLOYER, onefile_id)) if isinstance(onefile_id, int) else None


def contains_field(steps: Iterable[RecordStep], name: str) -> bool:
    """Whether one of the steps sends the field."""
    return any(isinstance(step, Create | Update) and (name in step.fields or name in step.waits_for) for step in steps)


def _with_grant(step: _Change, resolved: _Resolved, stored: Value | None) -> tuple[_Change | Grant, ...]:
    """An employer is assigned to the placement by a call of its own, once OneFile has both (§11).

    OneFile ties the access to the placement: with another placement it is granted again, and what was stored of the
    old one is no longer true, even if the run ends before the grant.
    """
    moves = contains_field((step,), _PLACEMENT)
    if moves and isinstance(step, Update):
        step = replace(step, invalidates=(GRANT,))
    grant = resolved.grant
    placement = resolved.waits_for.get(_PLACEMENT) or resolved.fields.get(_PLACEMENT)
    if not isinstance(grant, bool) or not isinstance(placement, int | Key) or (grant is stored and not moves):
        return (step,)
    last = Grant(step.key, step.feed, placement, grant, step.fingerprint, step.ids, step.needs_recheck)
    return (last,) if isinstance(step, Refresh) else (replace(step, needs_recheck=True), last)


def _without_field(step: Create | Update, name: str) -> dict[str, Any]:
    return {
        "fields": {other: value for other, value in step.fields.items() if other != name},
        "waits_for": {other: key for other, key in step.waits_for.items() if other != name},
    }


def _former_role(key: Key, changed: ChangedRecords) -> Role | None:
    """The role in which a person with this MISID had an account until now."""
    roles = USERS if not key.role.is_place else ()
    former = (role for role in roles if (gone := changed.missed.get(key._replace(role=role))) and gone.is_settled)
    return next(former, None)


def _misid_on_known_account(record: Record, owner: Key, user_id: int, lookalike: Key | None) -> Held | Rekey:
    """OneFile has the new MISID on an account that the store knows by another.

    It is a rekey whose answer was lost, or a mix-up.
    """
    if owner == lookalike:
        return Rekey(owner, record.key, user_id)
    detail = f"OneFile has it on the account with the UserID {user_id}, which is that of {owner.misid}"
    return _hold(record, Reason.AMBIGUOUS, "MISID", detail)


def _cleared(record: Record, stored: Mapping[str, Value], given: Set[str]) -> list[str]:
    # An unusable value is not an empty one: it has its own warning.
    unusable = {warned.field for warned in record.warnings}
    return sorted((stored.keys() & record.supplied) - given - unusable - {GRANT})


def _hold(record: Record, reason: Reason, name: str, detail: str) -> Held:
    key = record.key
    return Held(key.organisation_id, key.role, key.misid, record.feed, reason, name, detail)


def _hold_in_doubt(record: Record, ambiguity: str) -> Held:
    reason = Reason.AMBIGUOUS if ambiguity else Reason.IN_DOUBT
    return _hold(record, reason, "MISID", ambiguity or "an earlier create is not settled yet")


def _resembles(key: Key, lookalike: Key) -> str:
    same, new = ("place", "a new one") if key.role.is_place else ("person", "somebody new")
    return (
        f"looks like {lookalike.misid}, whose record is gone: 'syncd rekey {lookalike.misid} {key.misid}' "
        f"if it is the same {same}, 'syncd retry {key.misid}' if it is {new}"
    )


def _unresolved(reason: Reason, code: Code) -> str:
    what = f"{code.referent} with the {code.by} {code.text!r}"
    return f"OneFile has more than one {what}" if reason is Reason.AMBIGUOUS else f"OneFile has no {what}"
