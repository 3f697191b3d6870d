"""The records that `sift` has kept become a plan.

It is made from the values stored for just those, the ids that their codes stand for, and what OneFile already has.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, TypeAlias, TypeVar, get_args

from syncd.core.accounts import Known, Status
from syncd.core.buffers import Buffer, BufferFactory
from syncd.core.changed import ChangedRecords
from syncd.core.fields import GRANT, USERS, Role
from syncd.core.plan import Create, Grant, Leaver, Plan, Refresh, Rekey, Returner, Update
from syncd.core.records import Code, Held, Key, Reason, Record, Warned
from syncd.core.references import Resolved
from syncd.core.rekey import find_rekeyed
from syncd.core.values import Sent, Value

_EMPLOYER: Final = "DefaultEmployerID"


class Clear(StrEnum):
    """What is sent for a value that the MIS no longer has; nobody outside knows what OneFile does with it (U16)."""

    KEEP = "keep"
    EMPTY = "empty"
    NULL = "null"


@dataclass(frozen=True)
class Snapshot:
    """What `compare` needs to know beside the records, each fetched for the changed ones only."""

    known: Mapping[Key, Known]
    values: Mapping[Key, Mapping[str, Value]]
    """The values OneFile last accepted: of the changed, and of the missed where somebody is new."""
    codes: Mapping[tuple[int, Code], Resolved] = field(default_factory=dict)
    """What OneFile has said of codes that nobody in the feeds is known by; by organisation and code."""
    in_onefile: Mapping[Key, tuple[int, ...]] = field(default_factory=dict)
    """UserIDs that OneFile already has under a key unknown to the store."""
    in_doubt: Mapping[Key, str] = field(default_factory=dict)
    """Keys whose create is not settled: nothing is created for them. The text says of some why a person must."""
    surely_new: Set[Key] = frozenset()
    """Keys that a person has said are somebody new, whoever they look like."""
    to_assign: Mapping[Key, Set[Key]] = field(default_factory=dict)
    """Who is to be assigned to whom by this run, by learner."""
    unassignable: Mapping[Key, Set[Key]] = field(default_factory=dict)
    """Whom OneFile has refused to assign to whom, by learner."""

    @cached_property
    def owners(self) -> Mapping[tuple[Role, int | None], Key]:
        """Whose account a UserID is, by role and UserID."""
        return {(key.role, account.user_id): key for key, account in self.known.items()}

    @cached_property
    def claims(self) -> Counter[tuple[Role, int]]:
        """How many newcomers each account or place in OneFile could be."""
        return Counter((key.role, onefile_id) for key, hits in self.in_onefile.items() for onefile_id in hits)


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that bear on a plan."""

    now: datetime
    archives_leavers: bool = False
    grace: timedelta = timedelta(days=14)
    protected: frozenset[str] = frozenset()
    clear: Clear = Clear.KEEP


_Step: TypeAlias = Held | Create | Update | Rekey | Refresh | Grant
_StepType = TypeVar("_StepType", Held, Create, Update, Rekey, Refresh, Grant)


def compare(
    sifted: ChangedRecords, snapshot: Snapshot, rules: Rules, secret: bytes, buffers: BufferFactory | None = None
) -> Plan:
    """Make the plan. Calls nobody and changes nothing; equal inputs give equal plans.

    It is laid out on ``desk``; in memory, if there is none.
    """
    comparison = _Comparison(sifted, snapshot, rules, secret, buffers or BufferFactory())
    for record in sifted.changed.records():
        comparison.add(record)
    return comparison.plan()


@dataclass(frozen=True, slots=True)
class _Resolved:
    """A record whose codes have become ids, or accounts that this run creates first."""

    fields: dict[str, Value]
    waits_for: dict[str, Key]
    ids: dict[str, int]
    """Those of the fields that a code stands for."""
    grant: Value | None


class _Comparison:
    def __init__(
        self, sifted: ChangedRecords, snapshot: Snapshot, rules: Rules, secret: bytes, buffers: BufferFactory
    ) -> None:
        self._sifted = sifted
        self._snapshot = snapshot
        self._rules = rules
        self._secret = secret
        self._lookalikes = _find_lookalikes(sifted, snapshot)
        self._warnings = list(sifted.warnings)
        self._steps: dict[type[_Step], Buffer[Any]] = {kind: buffers.new_buffer(kind) for kind in get_args(_Step)}
        self._returners: list[Returner] = []
        self._held: set[Key] = set()
        self._defaulted: Counter[tuple[Role, str]] = Counter()

    def plan(self) -> Plan:
        refreshes = self._of(Refresh)
        rekeys = self._of(Rekey)
        spared = {*self._lookalikes.values(), *(rekey.old for rekey in rekeys)}
        return Plan(
            creates=self._of(Create),
            updates=self._of(Update),
            refreshes=refreshes,
            returners=tuple(self._returners),
            leavers=tuple(_leavers(self._sifted, self._rules, spared)),
            held=(*self._sifted.held, *self._of(Held)),
            warnings=tuple(self._warnings),
            unchanged=self._sifted.unchanged + len(refreshes),
            rekeys=tuple(rekeys),
            grants=self._of(Grant),
            defaulted=dict(self._defaulted),
        )

    def _of(self, kind: type[_StepType]) -> Collection[_StepType]:
        return self._steps[kind].close()

    def add(self, record: Record) -> None:
        """Decide what becomes of one record."""
        steps = self._decide(record)
        for step in steps:
            self._steps[type(step)].append(step)
        if isinstance(steps[0], Held):
            self._held.add(record.key)
        if isinstance(steps[0], Held | Rekey):
            return
        self._defaulted.update((record.key.role, name) for name in record.defaulted if _contains_field(steps, name))
        account = self._snapshot.known.get(record.key)
        if account is not None and account.status is not Status.ACTIVE and account.user_id is not None:
            may_be_archived = account.status in {Status.ARCHIVED, Status.UNSURE}
            self._returners.append(Returner(record.key, account.user_id, may_be_archived))

    def _decide(self, record: Record) -> tuple[_Step, ...]:
        around = self._snapshot
        account = around.known.get(record.key)
        if record.key in around.in_doubt or (account is not None and account.user_id is None):
            if ambiguity := around.in_doubt.get(record.key):
                return (_held(record, Reason.AMBIGUOUS, "MISID", ambiguity),)
            return (_held(record, Reason.IN_DOUBT, "MISID", "an earlier create is still in doubt"),)
        resolved = self._resolve(record)
        if isinstance(resolved, Held):
            return (resolved,)
        stored: Mapping[str, Value] = {}
        step: Held | Create | Update | Rekey | Refresh
        if account is None or account.user_id is None:
            step = self._newcomer(record, resolved)
        else:
            stored = around.values.get(record.key, {})
            step = self._difference(record, resolved, account.user_id, stored)
        if isinstance(step, Held | Rekey):
            return (step,)
        if record.key.role is Role.LEARNER:
            return self._with_employer(record, step)
        return _with_grant(step, resolved.grant, stored.get(GRANT))

    def _resolve(self, record: Record) -> _Resolved | Held:
        fields = dict(record.fields)
        waits_for: dict[str, Key] = {}
        ids: dict[str, int] = {}
        for name, code in record.codes.items():
            match self._meaning(record.key.organisation_id, code):
                case Reason() as reason:
                    return _held(record, reason, name, _unresolved(reason, code))
                case Key() as awaited if awaited in self._held:
                    detail = f"the {awaited.role} {awaited.misid} is held as well"
                    return _held(record, Reason.REFERENCE_NOT_FOUND, name, detail)
                case Key() as awaited if (found := self._to_be_linked(awaited)) is not None:
                    # It may be just what OneFile was told before it was ours.
                    fields[name] = ids[name] = found
                case Key() as awaited:
                    waits_for[name] = awaited
                case int() as onefile_id:
                    fields[name] = ids[name] = onefile_id
        return _Resolved(fields, waits_for, ids, fields.pop(GRANT, None))

    def _to_be_linked(self, key: Key) -> int | None:
        """The id of an account that OneFile has already, and that becomes ours by this run."""
        hits = self._snapshot.in_onefile.get(key, ())
        return hits[0] if len(hits) == 1 else None

    def _meaning(self, organisation_id: int, code: Code) -> Resolved:
        ours = self._sifted.references.resolve(organisation_id, code)
        return ours or self._snapshot.codes.get((organisation_id, code), Reason.REFERENCE_NOT_FOUND)

    def _newcomer(self, record: Record, resolved: _Resolved) -> Held | Create | Update | Rekey:
        around, key, lookalike = self._snapshot, record.key, self._lookalikes.get(record.key)
        fingerprint = record.fingerprint(self._secret)
        hits = around.in_onefile.get(key, ())
        if len(hits) > 1:
            ids = ", ".join(map(str, hits))
            what = "or its name on several places: IDs" if key.role.is_place else "on several accounts: UserIDs"
            return _held(record, Reason.AMBIGUOUS, "MISID", f"OneFile has it {what} {ids}")
        if hits and around.claims[key.role, hits[0]] > 1:
            detail = f"OneFile has one {key.role} of this name, ID {hits[0]}, and the MIS several"
            return _held(record, Reason.AMBIGUOUS, "Name", detail)
        if hits:
            owner = around.owners.get((key.role, hits[0]))
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
            detail = (
                f"looks like {lookalike.misid}, whose record is gone: 'syncd rekey {lookalike.misid} {key.misid}' "
                f"if it is the same {'place' if key.role.is_place else 'person'}, 'syncd retry {key.misid}' if it is "
                f"{'a new one' if key.role.is_place else 'a new person'}"
            )
            return _held(record, Reason.REKEYED, "MISID", detail)
        return Create(
            key,
            record.feed,
            resolved.fields,
            resolved.waits_for,
            fingerprint,
            resolved.ids,
            was=_former_role(key, self._sifted),
        )

    def _difference(
        self, record: Record, resolved: _Resolved, user_id: int, stored: Mapping[str, Value]
    ) -> Update | Refresh:
        key, clear = record.key, self._rules.clear
        fingerprint = record.fingerprint(self._secret)
        different: dict[str, Sent] = {
            name: value for name, value in resolved.fields.items() if stored.get(name) != value
        }
        cleared = _cleared(record, stored, resolved.fields.keys() | resolved.waits_for.keys())
        if clear is not Clear.KEEP:
            different |= dict.fromkeys(cleared, "" if clear is Clear.EMPTY else None)
        elif cleared:
            self._warnings.extend(
                Warned(key, record.feed, Reason.CLEARED, name, f"{name} is empty in the MIS; OneFile keeps its value")
                for name in cleared
            )
            # The next run is to look again, so that the warning stands for as long as it is true.
            fingerprint = ""
        if different or resolved.waits_for:
            return Update(key, record.feed, user_id, different, resolved.waits_for, fingerprint, ids=resolved.ids)
        return Refresh(key, record.feed, fingerprint, resolved.ids)

    def _with_employer(self, record: Record, step: Create | Update | Refresh) -> tuple[_Step, ...]:
        """The default employer is told after being assigned to the learner, where the MIS asks for that (§11)."""
        employer = self._employer_of(record)
        if employer is None or isinstance(step, Refresh) or not _contains_field((step,), _EMPLOYER):
            return (step,)
        before, name = replace(step, fingerprint="", **_without_field(step, _EMPLOYER)), _EMPLOYER
        if employer in self._snapshot.unassignable.get(record.key, ()):
            detail = f"{name} is left out: OneFile has refused to assign the employer {employer.misid}"
            self._warnings.append(Warned(record.key, record.feed, Reason.REFUSED, name, detail))
            return (before,) if before.fields or before.waits_for else (Refresh(record.key, record.feed, ""),)
        if employer not in self._snapshot.to_assign.get(record.key, ()):
            return (step,)
        if isinstance(step, Update):
            return (replace(step, assigned=employer),)
        after = Update(
            step.key,
            step.feed,
            None,
            {name: step.fields[name]} if name in step.fields else {},
            {name: step.waits_for[name]} if name in step.waits_for else {},
            step.fingerprint,
            ids=step.ids,
            assigned=employer,
        )
        return before, after

    def _employer_of(self, record: Record) -> Key | None:
        if code := record.codes.get(_EMPLOYER):
            return Key(record.key.organisation_id, Role.EMPLOYER, code.text)
        onefile_id = record.fields.get(_EMPLOYER)
        return self._snapshot.owners.get((Role.EMPLOYER, onefile_id)) if isinstance(onefile_id, int) else None


def _with_grant(
    step: Create | Update | Refresh, grant: Value | None, stored: Value | None
) -> tuple[Create | Update | Refresh | Grant, ...]:
    """An employer is assigned to the placement by a call of its own, once OneFile has both (§11)."""
    moves = not isinstance(step, Refresh) and _contains_field((step,), "PlacementID")
    if not isinstance(grant, bool) or (grant is stored and not moves):
        return (step,)
    last = Grant(step.key, step.feed, grant, step.fingerprint, step.ids)
    return (last,) if isinstance(step, Refresh) else (replace(step, fingerprint=""), last)


def _contains_field(steps: Iterable[_Step], name: str) -> bool:
    return any(isinstance(step, Create | Update) and (name in step.fields or name in step.waits_for) for step in steps)


def _without_field(step: Create | Update, name: str) -> dict[str, Any]:
    return {
        "fields": {other: value for other, value in step.fields.items() if other != name},
        "waits_for": {other: key for other, key in step.waits_for.items() if other != name},
    }


def _find_lookalikes(sifted: ChangedRecords, around: Snapshot) -> dict[Key, Key]:
    """Newcomers who may be somebody whose record is gone."""
    newcomers = (
        record
        for record in sifted.changed.records()
        if record.key not in around.known and record.key not in around.surely_new
    )
    gone = {
        key: around.values[key]
        for key, account in sifted.absent.items()
        if account.status is not Status.ARCHIVED and key in around.values
    }
    return find_rekeyed(newcomers, gone) if gone else {}


def _former_role(key: Key, sifted: ChangedRecords) -> Role | None:
    """The role in which somebody had an account until now."""
    roles = USERS if not key.role.is_place else ()
    was = (role for role in roles if (gone := sifted.missed.get(key._replace(role=role))) and gone.is_settled)
    return next(was, None)


def _misid_on_known_account(record: Record, owner: Key, user_id: int, lookalike: Key | None) -> Held | Rekey:
    """OneFile has the new MISID on an account that we know by another: a rekey whose answer was lost, or a mix-up."""
    if owner == lookalike:
        return Rekey(owner, record.key, user_id)
    detail = f"OneFile has it on the account with the UserID {user_id}, which is that of {owner.misid}"
    return _held(record, Reason.AMBIGUOUS, "MISID", detail)


def _cleared(record: Record, stored: Mapping[str, Value], given: Set[str]) -> list[str]:
    # An unusable value is not an empty one: it has its own warning.
    unusable = {warned.field for warned in record.warnings}
    return sorted((stored.keys() & record.supplied) - given - unusable - {GRANT})


def _held(record: Record, reason: Reason, name: str, detail: str) -> Held:
    key = record.key
    return Held(key.organisation_id, key.role, key.misid, record.feed, reason, name, detail)


def _unresolved(reason: Reason, code: Code) -> str:
    what = f"{code.referent} with the {code.by} {code.text!r}"
    return f"OneFile has more than one {what}" if reason is Reason.AMBIGUOUS else f"OneFile has no {what}"


def _leavers(sifted: ChangedRecords, rules: Rules, spared: Set[Key]) -> Iterable[Leaver]:
    for key, account in sifted.missed.items():
        if account.status is Status.ARCHIVED:
            continue
        gone_for = rules.now - (account.left_at or rules.now)
        to_archive = (
            rules.archives_leavers
            and account.user_id is not None
            and gone_for >= rules.grace
            and key.misid not in rules.protected
            and key not in spared
            # Whom a record still names OneFile may not let go (U20), and that record could not be sent again.
            and account.user_id not in sifted.named
            # Nobody is in a place that is gone from the MIS, and nothing of it is ever in the way.
            and not key.role.is_place
        )
        yield Leaver(key, account.user_id, account.left_at, to_archive)
