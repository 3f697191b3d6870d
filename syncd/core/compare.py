"""Records and accounts become a plan, in two steps.

`sift` lets every record pass once and keeps only those that differ from what OneFile last accepted: a record whose
fingerprint is known costs one look-up and no stored values. `compare` then makes the plan of what was kept, given the
values stored for just those, the ids that their codes stand for, and what OneFile already has.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias

from syncd.core.fields import Role
from syncd.core.plan import Create, Leaver, Plan, Refresh, Rekey, Returner, Update
from syncd.core.records import Code, Held, Key, Reason, Record, Warned
from syncd.core.rekeying import suspects
from syncd.core.values import Sent, Value


class Clear(StrEnum):
    """What is sent for a value that the MIS no longer has; nobody outside knows what OneFile does with it (U16)."""

    KEEP = "keep"
    EMPTY = "empty"
    NULL = "null"


class Status(StrEnum):
    """Where an account stands."""

    ACTIVE = "active"
    LEAVER = "leaver"
    ARCHIVED = "archived"
    UNSURE = "unsure"
    """Its record has been gone, and the answer to archiving it or bringing it back was lost."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the state store knows of an account without opening its values."""

    user_id: int | None
    """``None`` while OneFile has accepted the create and the id is still to be found."""
    status: Status
    fingerprint: str
    left_at: datetime | None = None

    @property
    def is_settled(self) -> bool:
        """Whether it is there, known by its id, and in use: an unchanged record then asks nothing."""
        return self.status is Status.ACTIVE and self.user_id is not None


@dataclass(slots=True)
class Sifted:
    """What is left of the feeds once the unchanged has dropped out."""

    changed: dict[Key, Record] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    unchanged: int = 0
    missed: dict[Key, Known] = field(default_factory=dict)
    """Accounts that no record spoke for."""
    rows: Counter[str] = field(default_factory=Counter)
    """How many rows each feed yielded, usable or not."""


def sift(
    records: Iterable[Record | Held],
    known: Mapping[Key, Known],
    secret: bytes,
    refused: Mapping[Key, Held],
    only: frozenset[str] = frozenset(),
) -> Sifted:
    """Tell the records that need a closer look from those that do not.

    ``refused`` holds what OneFile said no to, by key: the same record is held again, a changed one gets another try.
    ``only`` limits the outcome to these MISIDs; empty means everyone.
    """
    sifted = Sifted()
    seen: dict[Key, Held | Record | None] = {}
    twice: set[Key] = set()
    for record in records:
        sifted.rows[record.feed] += 1
        key = _key_of(record)
        if only and key.misid not in only:
            continue
        if key.misid and key in seen:
            twice.add(key)
            continue
        if isinstance(record, Held):
            sifted.held.append(record)
            if key.misid:
                seen[key] = record
            continue
        seen[key] = _keep_if_changed(record, known.get(key), secret, refused.get(key), sifted)
    _hold_both(twice, seen, sifted)
    sifted.missed = {
        key: account for key, account in known.items() if key not in seen and (not only or key.misid in only)
    }
    return sifted


def _keep_if_changed(
    record: Record, account: Known | None, secret: bytes, refused: Held | None, sifted: Sifted
) -> Held | Record | None:
    sifted.warnings.extend(record.warnings)
    fingerprint = record.fingerprint(secret)
    if account is not None and account.is_settled and account.fingerprint == fingerprint:
        sifted.unchanged += 1
        return None
    if refused is not None and refused.fingerprint == fingerprint:
        sifted.held.append(refused)
        return refused
    sifted.changed[record.key] = record
    return record


def _hold_both(twice: Set[Key], seen: Mapping[Key, Held | Record | None], sifted: Sifted) -> None:
    # One pass over each list, because a join gone wrong doubles every row there is.
    sifted.held = [held for held in sifted.held if _key_of(held) not in twice]
    sifted.warnings = [warned for warned in sifted.warnings if warned.key not in twice]
    for key in sorted(twice):
        match seen[key]:
            case Record():
                del sifted.changed[key]
            case None:
                sifted.unchanged -= 1
        sifted.held.append(
            Held(
                key.organisation_id,
                key.role,
                key.misid,
                "",
                Reason.DUPLICATE_KEY,
                "MISID",
                "MISID is in more than one row of this role",
            )
        )


def _key_of(record: Record | Held) -> Key:
    return Key(record.organisation_id, record.role, record.misid) if isinstance(record, Held) else record.key


Resolved: TypeAlias = int | Key | Reason
"""What a code stands for: an id, an account that this run creates first, or why neither is known."""


@dataclass(frozen=True)
class Surroundings:
    """What `compare` needs to know beside the records, each fetched for the changed ones only."""

    known: Mapping[Key, Known]
    values: Mapping[Key, Mapping[str, Value]]
    """The values OneFile last accepted: of the changed, and of the missed where somebody is new."""
    codes: Mapping[tuple[int, Code], Resolved] = field(default_factory=dict)
    """By organisation and code."""
    in_onefile: Mapping[Key, tuple[int, ...]] = field(default_factory=dict)
    """UserIDs that OneFile already has under a key unknown to the store."""
    in_doubt: Mapping[Key, str] = field(default_factory=dict)
    """Keys whose create is not settled: nothing is created for them. The text says of some why a person must."""
    surely_new: Set[Key] = frozenset()
    """Keys that a person has said are somebody new, whoever they look like."""

    @cached_property
    def owners(self) -> Mapping[tuple[Role, int | None], Key]:
        """Whose account a UserID is, by role and UserID."""
        return {(key.role, account.user_id): key for key, account in self.known.items()}


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that bear on a plan."""

    now: datetime
    archives_leavers: bool = False
    grace: timedelta = timedelta(days=14)
    protected: frozenset[str] = frozenset()
    clear: Clear = Clear.KEEP


def compare(sifted: Sifted, around: Surroundings, rules: Rules, secret: bytes) -> Plan:
    """Make the plan. Calls nobody and changes nothing; equal inputs give equal plans."""
    creates: list[Create] = []
    updates: list[Update] = []
    rekeys: list[Rekey] = []
    refreshes: list[Refresh] = []
    returners: list[Returner] = []
    held = list(sifted.held)
    warnings = list(sifted.warnings)
    unchanged = sifted.unchanged

    lookalikes = _lookalikes(sifted, around)
    for key, record in sifted.changed.items():
        match _decide(record, around, rules, secret, warnings, lookalikes.get(key)):
            case Held() as hold:
                held.append(hold)
                continue
            case Rekey() as rekey:
                rekeys.append(rekey)
                continue
            case Create() as create:
                creates.append(create)
            case Update() as update:
                updates.append(update)
            case Refresh() as refresh:
                refreshes.append(refresh)
                unchanged += 1
        account = around.known.get(key)
        if account is not None and account.status is not Status.ACTIVE and account.user_id is not None:
            may_be_archived = account.status in {Status.ARCHIVED, Status.UNSURE}
            returners.append(Returner(key, account.user_id, may_be_archived))

    return Plan(
        creates=tuple(creates),
        updates=tuple(updates),
        refreshes=tuple(refreshes),
        returners=tuple(returners),
        leavers=tuple(_leavers(sifted, rules, spared={*lookalikes.values(), *(rekey.old for rekey in rekeys)})),
        held=tuple(held),
        warnings=tuple(warnings),
        unchanged=unchanged,
        rekeys=tuple(rekeys),
    )


def _lookalikes(sifted: Sifted, around: Surroundings) -> dict[Key, Key]:
    """Newcomers who may be somebody whose record is gone."""
    newcomers = (
        record for key, record in sifted.changed.items() if key not in around.known and key not in around.surely_new
    )
    gone = {
        key: around.values[key]
        for key, account in sifted.missed.items()
        if account.status is not Status.ARCHIVED and key in around.values
    }
    return suspects(newcomers, gone)


def _decide(
    record: Record,
    around: Surroundings,
    rules: Rules,
    secret: bytes,
    warnings: list[Warned],
    lookalike: Key | None,
) -> Held | Create | Update | Rekey | Refresh:
    account = around.known.get(record.key)
    if record.key in around.in_doubt or (account is not None and account.user_id is None):
        if ambiguity := around.in_doubt.get(record.key):
            return _held(record, Reason.AMBIGUOUS, "MISID", ambiguity)
        return _held(record, Reason.IN_DOUBT, "MISID", "an earlier create is not settled yet")
    resolved = _resolve(record, around)
    if isinstance(resolved, Held):
        return resolved
    if account is None or account.user_id is None:
        return _newcomer(record, resolved, around, secret, lookalike)
    stored = around.values.get(record.key, {})
    return _difference(record, resolved, account.user_id, stored, rules.clear, secret, warnings)


@dataclass(frozen=True, slots=True)
class _Resolved:
    """A record whose codes have become ids, or accounts that this run creates first."""

    fields: dict[str, Value]
    waits_for: dict[str, Key]


def _resolve(record: Record, around: Surroundings) -> _Resolved | Held:
    fields = dict(record.fields)
    waits_for: dict[str, Key] = {}
    for name, code in record.codes.items():
        match around.codes.get((record.key.organisation_id, code), Reason.REFERENCE_NOT_FOUND):
            case Reason() as reason:
                return _held(record, reason, name, _unresolved(reason, code))
            case Key() as awaited:
                waits_for[name] = awaited
            case int() as onefile_id:
                fields[name] = onefile_id
    return _Resolved(fields, waits_for)


def _newcomer(
    record: Record, resolved: _Resolved, around: Surroundings, secret: bytes, lookalike: Key | None
) -> Held | Create | Update | Rekey:
    fingerprint = record.fingerprint(secret)
    hits = around.in_onefile.get(record.key, ())
    if len(hits) > 1:
        ids = ", ".join(map(str, hits))
        return _held(record, Reason.AMBIGUOUS, "MISID", f"OneFile has it on several accounts: UserIDs {ids}")
    if hits:
        owner = around.owners.get((record.key.role, hits[0]))
        if owner is not None:
            return _taken_over(record, owner, hits[0], lookalike)
        return Update(
            record.key, record.feed, hits[0], dict(resolved.fields), resolved.waits_for, fingerprint, is_link=True
        )
    if lookalike is not None:
        detail = (
            f"looks like {lookalike.misid}, whose record is gone: 'syncd rekey {lookalike.misid} {record.key.misid}' "
            f"if it is the same person, 'syncd retry {record.key.misid}' if it is somebody new"
        )
        return _held(record, Reason.REKEYED, "MISID", detail)
    return Create(record.key, record.feed, resolved.fields, resolved.waits_for, fingerprint)


def _taken_over(record: Record, owner: Key, user_id: int, lookalike: Key | None) -> Held | Rekey:
    """OneFile has the new MISID on an account that we know by another: a rekey whose answer was lost, or a mix-up."""
    if owner == lookalike:
        return Rekey(owner, record.key, user_id)
    detail = f"OneFile has it on the account with the UserID {user_id}, which is that of {owner.misid}"
    return _held(record, Reason.AMBIGUOUS, "MISID", detail)


def _difference(
    record: Record,
    resolved: _Resolved,
    user_id: int,
    stored: Mapping[str, Value],
    clear: Clear,
    secret: bytes,
    warnings: list[Warned],
) -> Update | Refresh:
    key = record.key
    fingerprint = record.fingerprint(secret)
    different: dict[str, Sent] = {name: value for name, value in resolved.fields.items() if stored.get(name) != value}
    cleared = _cleared(record, stored, resolved.fields.keys() | resolved.waits_for.keys())
    if clear is not Clear.KEEP:
        different |= dict.fromkeys(cleared, "" if clear is Clear.EMPTY else None)
    elif cleared:
        warnings.extend(
            Warned(key, record.feed, Reason.CLEARED, name, f"{name} is empty in the MIS; OneFile keeps its value")
            for name in cleared
        )
        # The next run is to look again, so that the warning stands for as long as it is true.
        fingerprint = ""
    if different or resolved.waits_for:
        return Update(key, record.feed, user_id, different, resolved.waits_for, fingerprint)
    return Refresh(key, record.feed, fingerprint)


def _cleared(record: Record, stored: Mapping[str, Value], given: Set[str]) -> list[str]:
    # An unusable value is not an empty one: it has its own warning.
    unusable = {warned.field for warned in record.warnings}
    return sorted((stored.keys() & record.supplied) - given - unusable)


def _held(record: Record, reason: Reason, name: str, detail: str) -> Held:
    key = record.key
    return Held(key.organisation_id, key.role, key.misid, record.feed, reason, name, detail)


def _unresolved(reason: Reason, code: Code) -> str:
    what = f"{code.referent} with the {code.by} {code.text!r}"
    return f"OneFile has more than one {what}" if reason is Reason.AMBIGUOUS else f"OneFile has no {what}"


def _leavers(sifted: Sifted, rules: Rules, spared: Set[Key]) -> Iterable[Leaver]:
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
        )
        yield Leaver(key, account.user_id, account.left_at, to_archive)
