"""First contact: which of OneFile's accounts and places belongs to which record, before syncd knows any of them.

A MISID decides alone, unless the names contradict it. For every other account there are only proposals, by evidence
(`evidence`), for an operator to check: an account may have no MISID, another one, or that of another record.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Self, TypeAlias, TypeVar

from syncd.core.evidence import Evidence, Likeness, Traits, compare, is_replaced, read_day
from syncd.core.fields import Role
from syncd.core.identity import COMMON, Person
from syncd.core.misid import canonical, skeleton
from syncd.core.records import Key, Record

_PLACEMENT: Final = "PlacementID"
#: Their placement is evidence: two of them with one name may work at different placements.
_WITH_PLACEMENT: Final = frozenset({Role.EMPLOYER, Role.OBSERVER})
_RANKS: Final = {likeness: rank for rank, likeness in enumerate(Likeness)}
#: Clues that records of many people may share by mistake; then they identify nobody.
_MAY_BE_COMMON: Final = frozenset({"uln", "nino", "email"})


class Mismatch(StrEnum):
    """Why an account is not the record's by its MISID."""

    NONE = "no MISID"
    LOOKALIKE = "lookalike MISID"
    """It differs from the record's only in case, width, blanks or leading zeros."""
    OTHER = "another MISID"
    """No record has it."""
    WRONG = "MISID of another record"
    """The names of that record are not those of the account."""
    EARLIER = "earlier programme"
    """The record starts after the planned end of the account: OneFile advises a new account (F3)."""


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record that has no account yet."""

    person: Person
    name: str
    placements: frozenset[int] = frozenset()
    """The ids that OneFile may have of the placement of an employer or observer; empty if unknown."""

    @classmethod
    def of(cls, record: Record, placements: frozenset[int] = frozenset()) -> Self:
        """Read the person or the place of a record."""
        return cls(Person.of_values(record.key, record.fields), record.name, placements)

    @property
    def key(self) -> Key:
        """The key of the record."""
        return self.person.key


@dataclass(frozen=True, slots=True)
class Account:
    """An account or a place as OneFile has it."""

    user_id: int
    role: Role | None
    """``None`` if OneFile does not return it, as it may not for archived accounts (§8.1)."""
    misid: str = ""
    name: str = ""
    traits: Traits = field(default_factory=Traits)
    planned_end: str = ""
    placement: int | None = None
    is_archived: bool = False
    """Whether OneFile shows it as archived; not if that is unknown."""

    @classmethod
    def of_answer(cls, user_id: int, role: Role | None, values: Mapping[str, Any]) -> Self:
        """Read an account from OneFile's answer, with keys in lower case (§8.5, §8.6)."""
        end, placement = read_day(_text(values, "plannedenddate")), _text(values, "placementid")
        return cls(
            user_id,
            role,
            canonical(_text(values, "misid")),
            " ".join(filter(None, (_text(values, "firstname"), _text(values, "lastname")))),
            Traits.from_fields(values),
            # As a record has it.
            f"{end}T00:00:00.000Z" if end else "",
            int(placement) if placement.isascii() and placement.isdigit() else None,
        )

    def may_be(self, role: Role) -> bool:
        """Whether it is, or may be, of this role."""
        return self.role in {None, role}

    def as_person(self, key: Key) -> Person:
        """Return its person or place, to be compared with a record of this key."""
        if key.role.is_place:
            return Person.of_values(key, {"Name": self.name})
        return Person(key, self.traits, planned_end=self.planned_end)


@dataclass(frozen=True, slots=True)
class ByMisid:
    """The result of matching by MISID."""

    exact: dict[Key, int]
    """The UserID of the only account of that role with that MISID."""
    taken: dict[Key, int]
    """The UserID of such an account, if the store has it under another key already."""
    without: frozenset[Key]
    """The keys that no account has."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """An account or place that may belong to a record."""

    key: Key
    user_id: int
    evidence: Evidence
    mismatch: Mismatch
    misid_in_onefile: str
    is_ambiguous: bool
    """Whether another proposal for the record, or of the account, is at least as likely."""
    name_in_mis: str
    name_in_onefile: str

    @property
    def likeness(self) -> Likeness:
        """How likely they are one person, or one place."""
        return self.evidence.likeness

    @property
    def is_sure(self) -> bool:
        """Whether the operator will most likely accept it."""
        is_certain = self.likeness is Likeness.CERTAIN and not {"ULN", "NINO"}.isdisjoint(self.evidence.equal)
        return is_certain and not self.is_ambiguous and self.mismatch in {Mismatch.NONE, Mismatch.LOOKALIKE}


def unlinked_misid(user_id: int) -> str:
    """Return the MISID that an account gets when a wrong link is undone; it is proposed for no record again."""
    return f"unlinked-{user_id}"


def by_misid(keys: Iterable[Key], accounts: Iterable[Account], known: Set[int]) -> ByMisid:
    """Find the account of each key by its MISID, compared exactly.

    ``known`` are the UserIDs that the store has under other keys. A key whose MISID is on several accounts, or whose
    account could be that of two keys, is in none of the three: see `duplicates`.
    """
    holders: dict[str, list[Account]] = {}
    for account in accounts:
        holders.setdefault(account.misid, []).append(account)
    hits = {key: [one.user_id for one in holders.get(key.misid, ()) if one.may_be(key.role)] for key in keys}
    single = {key: ids[0] for key, ids in hits.items() if len(ids) == 1}
    wanted = Counter(single.values())
    return ByMisid(
        {key: user_id for key, user_id in single.items() if user_id not in known and wanted[user_id] == 1},
        {key: user_id for key, user_id in single.items() if user_id in known},
        frozenset(key for key, ids in hits.items() if not ids),
    )


def duplicates(roles: Iterable[Role], accounts: Iterable[Account]) -> list[tuple[str, tuple[int, ...]]]:
    """The MISIDs that several accounts of one role have, with their UserIDs."""
    holders: dict[str, list[Account]] = {}
    for account in accounts:
        if account.misid:
            holders.setdefault(account.misid, []).append(account)
    shared = {misid: holding for misid, holding in holders.items() if len(holding) > 1}
    found = {
        (misid, ids)
        for misid, holding in shared.items()
        for role in roles
        if len(ids := tuple(sorted(one.user_id for one in holding if one.may_be(role)))) > 1
    }
    return sorted(found)


def contradiction(record: NewRecord, account: Account) -> Evidence | None:
    """Return the evidence if an account with the record's MISID is another person's."""
    traits = record.person.traits
    return compare(account.traits, traits) if is_replaced(account.traits, traits) else None


def promising(records: Iterable[NewRecord], accounts: Iterable[Account]) -> list[Account]:
    """Return the accounts of which a search has shown enough to make them worth reading.

    Their names fit a record's, or their MISID looks like a record's.
    """
    index = _index(records, lambda record: _clues(record.person, record.key.misid))

    def is_promising(account: Account) -> bool:
        clues = set(_clues_of(account))
        return any(_may_be_one(record, account) for clue in clues for record in index.get(clue, ()))

    return [account for account in accounts if is_promising(account)]


def partly_alike(records: Iterable[NewRecord], accounts: Iterable[Account]) -> list[Account]:
    """Return the accounts that share a first or a last name with a record, as after a marriage.

    An account that a search by role does not show, because it is archived or of another role, is left out.
    """
    names = {(record.key.role, name) for record in records for name in _single_names(record.person.traits)}
    return [
        account
        for account in accounts
        if account.role is not None and any((account.role, name) in names for name in _single_names(account.traits))
    ]


def propose(records: Iterable[NewRecord], accounts: Iterable[Account], wrong: Set[int] = frozenset()) -> list[Proposal]:
    """Propose accounts for records by evidence, the surest first; all are people, or all are places of one kind.

    The accounts are those that no record has by its MISID; those in ``wrong`` have the MISID of another person's
    record. A weaker proposal is left out if its record and its account each have a strong one that nothing rivals; a
    possible one with another last name, if one of them has.
    """
    index = _index(accounts, _clues_of)
    found: list[Proposal] = []
    for record in records:
        near = {
            account.user_id: account
            for clue in _clues(record.person, record.key.misid)
            if not (clue[0] in _MAY_BE_COMMON and len(index.get(clue, ())) > COMMON)
            for account in index.get(clue, ())
        }
        found += [made for account in near.values() if (made := _proposal(record, account, wrong)) is not None]
    return sorted(
        _without_outdone(_with_ambiguity(found)), key=lambda one: (_RANKS[one.likeness], one.key, one.user_id)
    )


_Clue: TypeAlias = tuple[str, ...]
_Thing = TypeVar("_Thing", NewRecord, Account)


def _proposal(record: NewRecord, account: Account, wrong: Set[int]) -> Proposal | None:
    if not account.may_be(record.key.role) or account.misid == record.key.misid:
        return None
    evidence = _evidence(record, account)
    if evidence.likeness is Likeness.CONTRADICTED:
        return None
    return Proposal(
        record.key,
        account.user_id,
        evidence,
        _mismatch(record, account, wrong),
        account.misid,
        False,
        record.name,
        account.name,
    )


def _mismatch(record: NewRecord, account: Account, wrong: Set[int]) -> Mismatch:
    if record.person.is_next_programme_of(account.as_person(record.key)):
        return Mismatch.EARLIER
    if not account.misid:
        return Mismatch.NONE
    if account.user_id in wrong:
        return Mismatch.WRONG
    return Mismatch.LOOKALIKE if _look_alike(record, account) else Mismatch.OTHER


def _evidence(record: NewRecord, account: Account) -> Evidence:
    evidence = record.person.compare(account.as_person(record.key))
    if record.key.role in _WITH_PLACEMENT and record.placements and account.placement is not None:
        evidence = _with_placement(evidence, is_equal=account.placement in record.placements)
    return _with_lookalike(record.key.role, evidence) if _look_alike(record, account) else evidence


def _with_placement(evidence: Evidence, *, is_equal: bool) -> Evidence:
    """Names alone are likely at one placement; whatever is equal is a degree less likely at different ones."""
    before = evidence.likeness
    if is_equal:
        likeness = Likeness.LIKELY if before is Likeness.POSSIBLE else before
        return Evidence(likeness, (*evidence.equal, _PLACEMENT), evidence.differ)
    less = {Likeness.CERTAIN: Likeness.LIKELY, Likeness.LIKELY: Likeness.POSSIBLE}
    return Evidence(less.get(before, before), evidence.equal, (*evidence.differ, _PLACEMENT))


def _with_lookalike(role: Role, evidence: Evidence) -> Evidence:
    """A MISID that looks like the record's makes a possible account likely, and another name of a place possible."""
    if evidence.likeness is Likeness.POSSIBLE:
        return replace(evidence, likeness=Likeness.LIKELY)
    is_renamed = role.is_place or not {"FirstName", "LastName"}.isdisjoint(evidence.equal)
    if evidence.likeness is Likeness.CONTRADICTED and is_renamed:
        return replace(evidence, likeness=Likeness.POSSIBLE)
    return evidence


def _may_be_one(record: NewRecord, account: Account) -> bool:
    """Whether what is known so far allows that an account is the record's."""
    if not account.may_be(record.key.role):
        return False
    return _look_alike(record, account) or _evidence(record, account).likeness is not Likeness.CONTRADICTED


def _look_alike(record: NewRecord, account: Account) -> bool:
    return bool(account.misid) and skeleton(account.misid) == skeleton(record.key.misid)


def _with_ambiguity(proposals: Collection[Proposal]) -> list[Proposal]:
    # An earlier programme's account is no rival of the account of this one.
    rivals = [proposal for proposal in proposals if proposal.mismatch is not Mismatch.EARLIER]
    ranks_of: dict[Key | int, list[int]] = {}
    for proposal in rivals:
        for whose in (proposal.key, proposal.user_id):
            ranks_of.setdefault(whose, []).append(_RANKS[proposal.likeness])

    def is_ambiguous(proposal: Proposal) -> bool:
        rank = _RANKS[proposal.likeness]
        return any(sum(other <= rank for other in ranks_of[whose]) > 1 for whose in (proposal.key, proposal.user_id))

    return [
        replace(proposal, is_ambiguous=proposal.mismatch is not Mismatch.EARLIER and is_ambiguous(proposal))
        for proposal in proposals
    ]


def _without_outdone(proposals: Collection[Proposal]) -> list[Proposal]:
    settled = [
        proposal
        for proposal in proposals
        if proposal.likeness.is_strong and not proposal.is_ambiguous and proposal.mismatch is not Mismatch.EARLIER
    ]
    ranks: dict[Key | int, int] = {proposal.key: _RANKS[proposal.likeness] for proposal in settled}
    ranks |= {proposal.user_id: _RANKS[proposal.likeness] for proposal in settled}

    def is_outdone(proposal: Proposal) -> bool:
        rank = _RANKS[proposal.likeness]
        outdone = [ranks.get(whose, rank) < rank for whose in (proposal.key, proposal.user_id)]
        is_weak = proposal.likeness is Likeness.POSSIBLE and "LastName" in proposal.evidence.differ
        return any(outdone) if is_weak else all(outdone)

    return [proposal for proposal in proposals if not is_outdone(proposal)]


def _index(things: Iterable[_Thing], clues_of: Callable[[_Thing], Iterable[_Clue]]) -> dict[_Clue, list[_Thing]]:
    index: dict[_Clue, list[_Thing]] = {}
    for thing in things:
        for clue in set(clues_of(thing)):
            index.setdefault(clue, []).append(thing)
    return index


def _clues_of(account: Account) -> Iterator[_Clue]:
    role = account.role if account.role is not None and account.role.is_place else Role.LEARNER
    return _clues(account.as_person(Key(0, role, account.misid)), account.misid)


def _clues(person: Person, misid: str) -> Iterator[_Clue]:
    """Return what a record and an account have in common if they may be one; those that share none are not compared."""
    traits = person.traits
    if person.name:
        yield "place", person.name
    yield from traits.marks()
    # Without a DOB a part of the name is not among the marks.
    for word in filter(None, (*traits.last_words, traits.last_name)):
        yield "last name", word
    for word in traits.first_words if traits.dob else ():
        yield "first name", word, traits.dob
    if misid:
        yield "look", skeleton(misid)


def _single_names(traits: Traits) -> Iterator[tuple[str, str]]:
    for word in traits.first_words:
        yield "first name", word
    for word in traits.last_words:
        yield "last name", word


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return "" if value is None else str(value).strip()
