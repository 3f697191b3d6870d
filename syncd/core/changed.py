"""Find the changed records: each record of the feeds is looked at once, and most are as OneFile last accepted them.

A record with a known fingerprint costs one look-up and none of its stored values.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from syncd.core.accounts import Known
from syncd.core.buffers import KeySet, RecordSet
from syncd.core.records import Code, Held, Key, NotSelected, OtherOrganisation, Reason, Record, Warned, stamped
from syncd.core.references import References
from syncd.core.scope import EVERYONE, Scope


@dataclass(slots=True)
class ChangedRecords:
    """The feeds without their unchanged records."""

    references: References
    changed: RecordSet
    held: list[Held] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    unchanged: int = 0
    referenced_ids: set[int] = field(default_factory=set)
    """The ids that some record refers to by a code."""
    missed: dict[Key, Known] = field(default_factory=dict)
    """The accounts without a record, among those in the scope."""
    absent: dict[Key, Known] = field(default_factory=dict)
    """The accounts without a record, among all: a record in the scope may be one of them with another MISID."""
    not_in_scope: KeySet = field(default_factory=KeySet)
    """The keys of the records beyond the scope."""
    rows: Counter[str] = field(default_factory=Counter)
    """How many rows each feed has for this organisation, usable or not."""
    elsewhere: Counter[str] = field(default_factory=Counter)
    """How many rows each feed has for other organisations."""
    has_rows_without_organisation: bool = False
    """Whether some rows may be of this organisation but do not name any."""

    def without_record(self, keys: Iterable[Key]) -> set[Key]:
        """Return those of some keys without an account that no feed has a row of."""
        held = {hold.key for hold in self.held}
        return {key for key in keys if key not in self.changed and key not in self.not_in_scope and key not in held}


def find_changed(
    records: Iterable[Record | Held | OtherOrganisation | NotSelected],
    known: Mapping[Key, Known],
    secret: bytes,
    refused: Mapping[Key, Held],
    scope: Scope = EVERYONE,
    looked_up: Mapping[Code, int] | None = None,
) -> ChangedRecords:
    """Separate the records that must be compared from those that are unchanged.

    A record is unchanged if it reads as before and its codes stand for the same ids. ``records`` come in the order in
    which they are sent: a record comes after those it refers to. ``refused`` are the records that OneFile has refused,
    by key: the same record is held again, a changed one is compared. ``looked_up`` are the ids that OneFile has
    returned for codes.
    """
    changed = RecordSet()
    found = ChangedRecords(References(known, changed, looked_up), changed)
    seen = KeySet()
    repeated: set[Key] = set()
    not_in_scope = found.not_in_scope
    for record in records:
        if isinstance(record, OtherOrganisation):
            found.elsewhere[record.feed] += 1
            if record.key is not None:
                # Its account is no leaver: the record is there, and is held until it names its organisation.
                not_in_scope.add(record.key)
                found.has_rows_without_organisation = True
            continue
        found.rows[record.feed] += 1
        key = record.key
        if isinstance(record, NotSelected):
            not_in_scope.add(key)
            continue
        found.references.add(record)
        if key.misid not in scope:
            not_in_scope.add(key)
            continue
        if key.misid and key in seen:
            repeated.add(key)
            continue
        if isinstance(record, Held):
            found.held.append(record)
            if key.misid:
                seen.add(key)
            continue
        seen.add(key)
        _keep_if_changed(record, known.get(key), secret, refused.get(key), found)
    _hold_repeated(repeated, found)
    found.absent = {key: account for key, account in known.items() if key not in seen and key not in not_in_scope}
    found.missed = {key: account for key, account in found.absent.items() if key.misid in scope}
    return found


def _keep_if_changed(
    record: Record, account: Known | None, secret: bytes, refused: Held | None, found: ChangedRecords
) -> None:
    found.warnings.extend(record.warnings)
    ids = found.references.ids(record)
    found.referenced_ids.update(ids.values())
    fingerprint = stamped(record.fingerprint(secret), ids)
    if account is not None and account.is_in_step_with(fingerprint):
        found.unchanged += 1
    elif refused is not None and refused.fingerprint == fingerprint:
        found.held.append(refused)
    else:
        found.changed.add(record)


def _hold_repeated(repeated: Set[Key], found: ChangedRecords) -> None:
    # Each list is read once only: a faulty join in the feed's query may repeat every row.
    held = {held.key for held in found.held if held.key in repeated}
    found.held = [held for held in found.held if held.key not in repeated]
    found.warnings = [warned for warned in found.warnings if warned.key not in repeated]
    for key in sorted(repeated):
        if key in found.changed:
            found.changed.drop(key)
        elif key not in held:
            found.unchanged -= 1
        found.held.append(
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
