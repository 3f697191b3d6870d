"""Every record passes once; what differs from what OneFile last accepted is kept for a closer look.

A record whose fingerprint is known costs one look-up and no stored values.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from syncd.core.accounts import Known
from syncd.core.buffers import BufferFactory, KeySet, RecordSet
from syncd.core.records import Code, Held, Key, NotSelected, OtherOrganisation, Reason, Record, Warned, stamped
from syncd.core.references import References


@dataclass(slots=True)
class ChangedRecords:
    """What is left of the feeds once the unchanged has dropped out."""

    references: References
    changed: RecordSet
    held: list[Held] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    unchanged: int = 0
    named: set[int] = field(default_factory=set)
    """The ids of whatever some record refers to by a code."""
    missed: dict[Key, Known] = field(default_factory=dict)
    """Accounts that no record spoke for, among those that are asked about."""
    absent: dict[Key, Known] = field(default_factory=dict)
    """The same among all: somebody asked about may be one of them under another MISID."""
    rows: Counter[str] = field(default_factory=Counter)
    """How many rows each feed yielded for this organisation, usable or not."""
    elsewhere: Counter[str] = field(default_factory=Counter)
    """How many it yielded for others."""


def find_changed(
    records: Iterable[Record | Held | OtherOrganisation | NotSelected],
    known: Mapping[Key, Known],
    secret: bytes,
    refused: Mapping[Key, Held],
    only: frozenset[str] = frozenset(),
    looked_up: Mapping[Code, int] | None = None,
    buffers: BufferFactory | None = None,
) -> ChangedRecords:
    """Tell the records that need a closer look from those that do not.

    A record is unchanged when it reads as it did and its codes stand for what they did. ``records`` come in the
    order in which they are sent: whoever is referred to before those who refer to them. ``refused`` holds what OneFile
    said no to, by key: the same record is held again, a changed one gets another try. ``only`` limits the outcome to
    these MISIDs; empty means everyone. ``looked_up`` are the ids that OneFile has given for codes. The changed are laid
    out on ``desk``; in memory, if there is none.
    """
    changed = RecordSet(buffers or BufferFactory())
    sifted = ChangedRecords(References(known, changed, looked_up), changed)
    seen = KeySet()
    twice: set[Key] = set()
    others = KeySet()
    for record in records:
        if isinstance(record, OtherOrganisation):
            sifted.elsewhere[record.feed] += 1
            continue
        sifted.rows[record.feed] += 1
        key = record.key
        if isinstance(record, NotSelected):
            others.add(key)
            continue
        sifted.references.add(record)
        if only and key.misid not in only:
            others.add(key)
            continue
        if key.misid and key in seen:
            twice.add(key)
            continue
        if isinstance(record, Held):
            sifted.held.append(record)
            if key.misid:
                seen.add(key)
            continue
        seen.add(key)
        _keep_if_changed(record, known.get(key), secret, refused.get(key), sifted)
    _hold_both(twice, sifted)
    sifted.absent = {key: account for key, account in known.items() if key not in seen and key not in others}
    sifted.missed = {key: account for key, account in sifted.absent.items() if not only or key.misid in only}
    return sifted


def _keep_if_changed(
    record: Record, account: Known | None, secret: bytes, refused: Held | None, sifted: ChangedRecords
) -> None:
    sifted.warnings.extend(record.warnings)
    ids = sifted.references.ids(record)
    sifted.named.update(ids.values())
    fingerprint = stamped(record.fingerprint(secret), ids)
    if account is not None and account.is_settled and account.fingerprint == fingerprint:
        sifted.unchanged += 1
    elif refused is not None and refused.fingerprint == fingerprint:
        sifted.held.append(refused)
    else:
        sifted.changed.add(record)


def _hold_both(twice: Set[Key], sifted: ChangedRecords) -> None:
    # One pass over each list, because a join gone wrong doubles every row there is.
    held = {held.key for held in sifted.held if held.key in twice}
    sifted.held = [held for held in sifted.held if held.key not in twice]
    sifted.warnings = [warned for warned in sifted.warnings if warned.key not in twice]
    for key in sorted(twice):
        if key in sifted.changed:
            sifted.changed.drop(key)
        elif key not in held:
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
