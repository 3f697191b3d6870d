"""First contact: compare the MIS with the accounts and places that OneFile already has."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final, TypeVar

from syncd.core.accounts import Known
from syncd.core.changed import find_changed
from syncd.core.evidence import Evidence, fold
from syncd.core.fields import PLACES, Role
from syncd.core.identity import Answer, StoredAnswer
from syncd.core.matching import (
    Account,
    ByMisid,
    Mismatch,
    NewRecord,
    Proposal,
    by_misid,
    contradiction,
    duplicates,
    partly_alike,
    promising,
    propose,
    unlinked_misid,
)
from syncd.core.records import Held, Key, OtherOrganisation, Reason, Record
from syncd.errors import Refused
from syncd.onefile import is_archived, role_in
from syncd.state import accounts, answers, changes, link_proposals
from syncd.sync.context import SyncContext
from syncd.sync.customer_check import confirm_customer
from syncd.sync.feeds import read_feeds, with_second_try
from syncd.sync.lookup import OneFileLookup

_PLACEMENT: Final = "PlacementID"

#: How OneFile answers for an id that it does not have (U15).
_GONE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST)

_Asked = TypeVar("_Asked")
_Answer = TypeVar("_Answer")


class AccountOutcome(StrEnum):
    """What first contact has found about an account of OneFile."""

    KNOWN = "known"
    """The store has it."""
    LINKED = "linked"
    """It has a record's MISID."""
    PROPOSED = "proposed"
    DUPLICATE = "duplicate"
    """Several accounts of one role have its MISID."""
    WRONG = "wrong"
    """It has the MISID of a record with other names, and resembles no other record."""
    NOT_LINKED = "not_linked"
    """It has the MISID of a record that is held, or that has another account."""
    UNLISTED = "unlisted"
    """It resembles no record, and no search by role shows it: it is archived, or of a role without a feed."""
    NO_MISID = "no_misid"
    """It has no MISID, and resembles no record."""
    OTHER_MISID = "other_misid"
    """It has a MISID that no record has, and resembles no record."""


class RecordOutcome(StrEnum):
    """What first contact has found about a record of a person."""

    KNOWN = "known"
    """It has an account in the store."""
    LINKED = "linked"
    PROPOSED = "proposed"
    DUPLICATE = "duplicate"
    """Several accounts of its role have its MISID."""
    WRONG = "wrong"
    """Its MISID is on another person's account, by its names."""
    TAKEN = "taken"
    """Its MISID is on an account that the store has under another one."""
    IN_DOUBT = "in_doubt"
    """Its create is not settled yet."""
    HELD = "held"
    """Its row is invalid."""
    NEW = "new"
    """No account resembles it, or an operator has answered that it is a new person."""


@dataclass(frozen=True, slots=True)
class LinkProposals:
    """What first contact has found."""

    linked: Mapping[Key, int]
    """The accounts that were linked by their MISID."""
    duplicates: Sequence[tuple[str, tuple[int, ...]]]
    """MISIDs that several accounts of one role have, with their UserIDs."""
    taken: Mapping[Key, int]
    """Accounts that have a record's MISID in OneFile, and another one in the store."""
    wrong: Mapping[Key, tuple[int, Evidence]]
    """Accounts that have a record's MISID and are another person's, and which fields say so."""
    proposals: Sequence[Proposal]
    accounts: Mapping[AccountOutcome, int]
    """How many accounts there are of each outcome; none is counted twice."""
    records: Mapping[RecordOutcome, int]
    """How many records of people there are of each outcome; none is counted twice."""
    new_places: int
    """The classrooms and placements that OneFile does not have, and for which none is proposed."""


def find_links(context: SyncContext, on_reading: Callable[[int], None] = lambda _calls: None) -> LinkProposals:
    """Compare the MIS with OneFile's accounts: link those whose MISIDs agree, propose others; OneFile is only read.

    The records with a proposal are held from now on, until it is answered. ``on_reading`` is called with the number of
    accounts to read, at a call each. The caller holds the organisation's lock. Raises `MisUnreachable`,
    `ConfigurationError`, `StateUnusable`, what OneFile's reads raise, `Interrupted`.
    """
    confirm_customer(context)
    mis = with_second_try(lambda: _read_mis(context))
    onefile = _OneFileAccounts(context, mis, on_reading)
    people = {key: record for key, record in mis.new.items() if not key.role.is_place}
    lookup = OneFileLookup(context.onefile, context.organisation_id, mis.known, context.policy.max_in_flight)
    records = _new_records(people, mis, lookup)
    sorted_ = by_misid(people, onefile.listed.values(), mis.ids_of_users)
    wrong = onefile.contradictions(records, sorted_.exact, mis.answers)
    linked = {key: user_id for key, user_id in sorted_.exact.items() if key not in wrong}
    archived = {account.user_id for account in onefile.listed.values() if account.is_archived}
    _save_links(context, linked, mis, archived)

    on_wrong = {user_id for user_id, _ in wrong.values()}
    asked = [records[key] for key in sorted(sorted_.without | wrong.keys()) if not mis.is_new(key)]
    proposals = onefile.propose(asked, onefile.free(mis.keys, on_wrong), on_wrong)
    of_places, new_places = _propose_places(mis, lookup)
    proposals += of_places
    _save_proposals(context, proposals)
    repeated = duplicates(onefile.roles, onefile.listed.values())
    return LinkProposals(
        linked,
        repeated,
        sorted_.taken,
        wrong,
        proposals,
        onefile.outcomes(mis, linked, proposals, repeated, on_wrong),
        _outcomes(mis, people, sorted_, linked, wrong, proposals),
        new_places,
    )


def read_account(context: SyncContext, role: Role, onefile_id: int) -> dict[str, Any] | None:
    """Return what OneFile has of an account or a place, keys in lower case; ``None`` if it has no such one.

    Raises what OneFile's reads raise.
    """
    try:
        return context.onefile.one(role, onefile_id)
    except Refused as refused:
        if refused.status in _GONE:
            return None
        raise


def side_by_side(context: SyncContext, ask: Callable[[_Asked], _Answer], about: Iterable[_Asked]) -> list[_Answer]:
    """Return the answers in the order of the questions, several of which are asked at the same time."""
    with ThreadPoolExecutor(context.policy.max_in_flight) as pool:
        return list(pool.map(ask, about))


@dataclass(frozen=True, slots=True)
class _Mis:
    """The records of the MIS, and what the store has of them."""

    known: Mapping[Key, Known]
    new: Mapping[Key, Record]
    """The records that have no account, and none whose create is in doubt."""
    keys: Set[Key]
    """The keys of all rows, held or not."""
    unsettled: Set[Key]
    held: Collection[Held]
    answers: Mapping[Key, StoredAnswer]
    placement_names: Mapping[str, str]
    """The names of the placements in the feeds, by MISID."""

    @property
    def ids_of_users(self) -> Set[int]:
        """The UserIDs that the store has."""
        return {one.user_id for key, one in self.known.items() if one.user_id is not None and not key.role.is_place}

    def is_new(self, key: Key) -> bool:
        """Whether an operator has answered that the person of a record has no account."""
        return key in self.answers and self.answers[key].answer is Answer.NEW


def _read_mis(context: SyncContext) -> _Mis:
    with context.session() as session:
        known = accounts.known(session)
        # Their creates are settled by the next run, which knows what was sent.
        unsettled = {each.key for each in changes.unsettled(session)}
        answered = answers.stored(session)
    keys: set[Key] = set()
    placement_names: dict[str, str] = {}

    def read() -> Iterator[Record | Held | OtherOrganisation]:
        for row in read_feeds(context):
            if not isinstance(row, OtherOrganisation):
                keys.add(row.key)
            if isinstance(row, Record) and row.key.role is Role.PLACEMENT:
                placement_names[row.key.misid] = fold(row.name)
            yield row

    changed = find_changed(read(), known, context.store.cipher.fingerprint_secret, {})
    strangers = (record for record in changed.changed.records() if record.key not in known)
    new = {record.key: record for record in strangers if record.key not in unsettled}
    return _Mis(known, new, keys, unsettled, changed.held, answered, placement_names)


def _new_records(people: Mapping[Key, Record], mis: _Mis, lookup: OneFileLookup) -> dict[Key, NewRecord]:
    """Return the people of these records; those of employers and observers with their placement."""
    if not any(_PLACEMENT in {*record.fields, *record.codes} for record in _with_placement(people.values())):
        return {key: NewRecord.of(record) for key, record in people.items()}
    by_misid_: dict[str, set[int]] = {}
    by_name: dict[str, set[int]] = {}
    for place in lookup.places_in(Role.PLACEMENT):
        by_misid_.setdefault(place.misid, set()).add(place.id)
        by_name.setdefault(fold(place.name), set()).add(place.id)

    def ids_of(record: Record) -> frozenset[int]:
        if isinstance(onefile_id := record.fields.get(_PLACEMENT), int):
            return frozenset({onefile_id})
        code = record.codes.get(_PLACEMENT)
        if code is None:
            return frozenset()
        if code.by == "Name":
            return frozenset(by_name.get(fold(code.text), ()))
        account = mis.known.get(Key(record.key.organisation_id, Role.PLACEMENT, code.text))
        if account is not None and account.user_id is not None:
            return frozenset({account.user_id})
        name = mis.placement_names.get(code.text, "")
        return frozenset(by_misid_.get(code.text) or by_name.get(name) or ())

    placed = {record.key: ids_of(record) for record in _with_placement(people.values())}
    return {key: NewRecord.of(record, placed.get(key, frozenset())) for key, record in people.items()}


def _with_placement(records: Iterable[Record]) -> Iterator[Record]:
    return (record for record in records if record.key.role in {Role.EMPLOYER, Role.OBSERVER})


class _OneFileAccounts:
    """OneFile's accounts: all as searches list them, and those worth it as read one by one, each at most once."""

    def __init__(self, context: SyncContext, mis: _Mis, on_reading: Callable[[int], None]) -> None:
        self._context = context
        self._on_reading = on_reading
        self._known = mis.ids_of_users
        self._read: dict[int, Account | None] = {}
        """``None`` for an account that OneFile no longer has."""
        self.roles: Final = sorted({feed.role for feed in context.feeds if not feed.role.is_place})
        self.listed: Final = self._list(mis)
        self._of_no_search: Final = {user_id for user_id, account in self.listed.items() if account.role is None}
        self._read_those_of_unsure_role({key.misid for key in mis.new if not key.role.is_place})

    def free(self, keys: Set[Key], wrong: Set[int]) -> list[Account]:
        """Return the accounts that no record has, by the store or by its MISID; those in ``wrong`` are not its own."""
        return [
            account
            for account in self.listed.values()
            if account.user_id not in self._known
            and account.misid != unlinked_misid(account.user_id)
            and (account.user_id in wrong or not self._has_key_of_record(account, keys))
        ]

    def contradictions(
        self, records: Mapping[Key, NewRecord], exact: Mapping[Key, int], answered: Mapping[Key, StoredAnswer]
    ) -> dict[Key, tuple[int, Evidence]]:
        """Return which records' MISIDs are on another person's account, with its UserID and the evidence."""
        doubtful = {
            key: user_id
            for key, user_id in exact.items()
            if not (key in answered and answered[key].answer is Answer.SAME)
            and contradiction(records[key], self.listed[user_id]) is not None
        }
        self._get([self.listed[user_id] for user_id in doubtful.values()])
        found: dict[Key, tuple[int, Evidence]] = {}
        for key, user_id in doubtful.items():
            evidence = contradiction(records[key], self.listed[user_id])
            if evidence is not None:
                found[key] = user_id, evidence
        return found

    def propose(self, records: Sequence[NewRecord], free: Sequence[Account], wrong: Set[int]) -> list[Proposal]:
        """Propose accounts for records; accounts are read only if their names or their MISID make them worth it."""
        read = self._get(promising(records, free))
        proposals = propose(records, read, wrong)
        settled = {proposal.key for proposal in proposals if proposal.likeness.is_strong}
        open_ = [record for record in records if record.key not in settled]
        more = self._get(partly_alike(open_, [one for one in free if one.user_id not in self._read]))
        return propose(records, [*read, *more], wrong) if more else proposals

    def outcomes(
        self,
        mis: _Mis,
        linked: Mapping[Key, int],
        proposals: Iterable[Proposal],
        repeated: Iterable[tuple[str, tuple[int, ...]]],
        wrong: Set[int],
    ) -> Counter[AccountOutcome]:
        """Return how many accounts there are of each outcome."""
        by_misid_, several = set(linked.values()), {user_id for _, ids in repeated for user_id in ids}
        proposed = {proposal.user_id for proposal in proposals if not proposal.key.role.is_place}

        def outcome(account: Account) -> AccountOutcome:
            tests = (
                (account.user_id in self._known, AccountOutcome.KNOWN),
                (account.user_id in by_misid_, AccountOutcome.LINKED),
                (account.user_id in proposed, AccountOutcome.PROPOSED),
                (account.user_id in several, AccountOutcome.DUPLICATE),
                (account.user_id in wrong, AccountOutcome.WRONG),
                (self._has_key_of_record(account, mis.keys), AccountOutcome.NOT_LINKED),
                (account.user_id in self._of_no_search, AccountOutcome.UNLISTED),
                (not account.misid, AccountOutcome.NO_MISID),
            )
            return next((found for is_it, found in tests if is_it), AccountOutcome.OTHER_MISID)

        return Counter(map(outcome, self.listed.values()))

    def _has_key_of_record(self, account: Account, keys: Set[Key]) -> bool:
        here = self._context.organisation_id
        return bool(account.misid) and any(
            account.may_be(role) and Key(here, role, account.misid) in keys for role in self.roles
        )

    def _list(self, mis: _Mis) -> dict[int, Account]:
        """Return every account, with its role if a search by role shows it."""
        found: dict[int, Account] = {}
        # A college has about as many accounts as people.
        expected = Counter(key.role for key in mis.known.keys() | mis.new.keys() if not key.role.is_place)
        # A search by role leaves out archived users (U4); one without a role does not return roles.
        for role in (*self.roles, None):
            for account in self._search(role, expected.total() if role is None else expected[role]):
                found.setdefault(account.user_id, account)
        return found

    def _search(self, role: Role | None, expected: int) -> Iterator[Account]:
        context = self._context
        for user in context.onefile.users(context.organisation_id, role, expected=expected or None):
            account = Account.of_answer(user.id, role, user.told)
            yield replace(account, is_archived=bool(is_archived(user.told)))

    def _read_those_of_unsure_role(self, misids: Collection[str]) -> None:
        shared = Counter(account.misid for account in self.listed.values())
        self._get(
            [
                account
                for account in self.listed.values()
                if account.role is None and account.misid and (account.misid in misids or shared[account.misid] > 1)
            ]
        )

    def _get(self, wanted: Iterable[Account]) -> list[Account]:
        """Return the accounts with all that OneFile returns for them, at a call each, and without any that is gone."""
        wanted = list(wanted)
        unread = [account for account in wanted if account.user_id not in self._read]
        self._on_reading(len(unread))
        answered = side_by_side(self._context, self._read_one, unread)
        self._read |= dict(zip([account.user_id for account in unread], answered, strict=True))
        self.listed.update((account.user_id, account) for account in answered if account is not None)
        return [account for one in wanted if (account := self._read[one.user_id]) is not None]

    def _read_one(self, account: Account) -> Account | None:
        told = read_account(self._context, account.role or Role.LEARNER, account.user_id)
        if told is None:
            return None
        # OneFile may return a separate role number, or none, for an archived account (§8.1, §8.5).
        read, shown = Account.of_answer(account.user_id, role_in(told) or account.role, told), is_archived(told)
        # If its answer does not say, it is archived if no search by role has shown it (U4).
        return replace(read, is_archived=account.role is None if shown is None else shown)


def _propose_places(mis: _Mis, lookup: OneFileLookup) -> tuple[list[Proposal], int]:
    """Propose places of the same name or with a MISID that looks alike; returns too how many places are new.

    A run finds a place by its MISID, or by its name if the place has none: these are left to it.
    """
    proposals: list[Proposal] = []
    new = 0
    for role in PLACES:
        records = {key: record for key, record in mis.new.items() if key.role is role}
        if not records:
            continue
        hits = lookup.find_new({key: record.fields for key, record in records.items()})
        known = {account.user_id for key, account in mis.known.items() if key.role is role}
        used = known | {place_id for ids in hits.values() for place_id in ids}
        misids = {key.misid for key in mis.keys if key.role is role}
        free = [
            Account(place.id, role, place.misid, place.name)
            for place in lookup.places_in(role)
            if place.id not in used and place.misid not in misids
        ]
        without = [NewRecord.of(records[key]) for key in sorted(records.keys() - hits.keys()) if not mis.is_new(key)]
        found = propose(without, free)
        proposals += found
        new += len(records.keys() - hits.keys() - {proposal.key for proposal in found})
    return proposals, new


def _save_links(context: SyncContext, linked: Mapping[Key, int], mis: _Mis, archived: Set[int]) -> None:
    with context.session() as session:
        for key, user_id in linked.items():
            accounts.save(
                session,
                key,
                user_id=user_id,
                feed=mis.new[key].feed,
                accepted={"MISID": key.misid},
                # OneFile's other values are unknown, so the next run must send the record.
                fingerprint="",
                needs_recheck=True,
            )
            if user_id in archived:
                accounts.set_archived(session, key)


def _save_proposals(context: SyncContext, proposals: Sequence[Proposal]) -> None:
    # Dates decide about an earlier programme, and nobody is asked about it.
    asked = [(each.key, each.user_id) for each in proposals if each.mismatch is not Mismatch.EARLIER]
    earlier = {each.key: each.user_id for each in proposals if each.mismatch is Mismatch.EARLIER}
    for key, _ in asked:
        earlier.pop(key, None)
    with context.session() as session:
        link_proposals.replace(session, asked)
        for key, user_id in earlier.items():
            # Otherwise the run would ask, because a search shows the names and no dates.
            answers.save(session, key, StoredAnswer(Answer.NEW, user_id=user_id, reason=Reason.HAS_AN_ACCOUNT))


def _outcomes(
    mis: _Mis,
    people: Mapping[Key, Record],
    sorted_: ByMisid,
    linked: Mapping[Key, int],
    wrong: Mapping[Key, object],
    proposals: Iterable[Proposal],
) -> Counter[RecordOutcome]:
    """Return how many records of people there are of each outcome."""
    proposed = {proposal.key for proposal in proposals}
    held = [row.key for row in mis.held if not row.key.role.is_place]
    settled = {key for key in mis.keys - set(held) if key.misid and not key.role.is_place}
    found = Counter({RecordOutcome.HELD: len(held)})
    for key in settled:
        tests = (
            (key in mis.known, RecordOutcome.KNOWN),
            (key in mis.unsettled, RecordOutcome.IN_DOUBT),
            (key in linked, RecordOutcome.LINKED),
            (key in proposed, RecordOutcome.PROPOSED),
            (key in wrong, RecordOutcome.WRONG),
            (key in sorted_.taken, RecordOutcome.TAKEN),
            (key in people and key not in sorted_.without, RecordOutcome.DUPLICATE),
        )
        found[next((outcome for is_it, outcome in tests if is_it), RecordOutcome.NEW)] += 1
    return +found
