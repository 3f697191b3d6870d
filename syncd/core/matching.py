"""First contact: which of OneFile's accounts belongs to which record, before syncd knows any of them.

A MISID decides alone. For accounts without one there are only proposals, for the operator to check: ULN, e-mail address
and names are not keys, because one person may have several accounts, and several may share a name.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Self, TypeAlias

from syncd.core.fields import Role
from syncd.core.records import Key, Record


class Likeness(StrEnum):
    """The evidence for a proposal, the surest first."""

    ULN = "ULN"
    EMAIL_AND_DOB = "e-mail and DOB"
    NAMES_AND_DOB = "names and DOB"


_NO_ULN_YET: Final = "9999999999"
_RANKS: Final = {likeness: rank for rank, likeness in enumerate(Likeness)}
#: Letters that Unicode does not decompose, and how they are typed on a keyboard without them.
_BARE: Final = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
#: Summer time: midnight in London may be answered as 23:00 of the day before (U25).
_SUMMER_TIME: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Traits:
    """The values of a person that can be compared, each normalised; empty if unknown."""

    first_name: str = ""
    last_name: str = ""
    email: str = ""
    dob: str = ""
    uln: str = ""

    @classmethod
    def from_fields(cls, fields: Mapping[str, object]) -> Self:
        """Read fields with OneFile's names, in any letter case."""
        told = {name.lower(): "" if value is None else str(value).strip() for name, value in fields.items()}
        uln = told.get("uln", "")
        return cls(
            fold(told.get("firstname", "")),
            fold(told.get("lastname", "")),
            unicodedata.normalize("NFC", told.get("email", "")).casefold(),
            _day(told.get("dob", "")),
            "" if uln == _NO_ULN_YET else uln,
        )


@dataclass(frozen=True, slots=True)
class Person:
    """A record that has no account yet."""

    key: Key
    name: str
    traits: Traits

    @classmethod
    def of(cls, record: Record) -> Self:
        """Read the person of a record."""
        return cls(record.key, name_in(record.fields), Traits.from_fields(record.fields))


@dataclass(frozen=True, slots=True)
class Account:
    """An account as OneFile has it."""

    user_id: int
    role: Role | None
    """``None`` if OneFile does not return it, as it may not for archived accounts (§8.1)."""
    misid: str = ""
    name: str = ""
    traits: Traits = field(default_factory=Traits)

    def may_be(self, role: Role) -> bool:
        """Whether it is, or may be, of this role."""
        return self.role in {None, role}


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
    """An account that may belong to a record."""

    key: Key
    user_id: int
    likeness: Likeness
    agree: tuple[str, ...]
    """The fields with the same value on both sides."""
    differ: tuple[str, ...]
    """The fields with different values on the two sides."""
    is_ambiguous: bool
    """Whether there is another account for the person, or another person for the account."""
    name_in_mis: str
    name_in_onefile: str

    @property
    def is_sure(self) -> bool:
        """Whether the operator will most likely accept it."""
        return self.likeness is Likeness.ULN and not self.is_ambiguous


def name_in(fields: Mapping[str, object]) -> str:
    """Return the first and last name; takes fields in any letter case."""
    told = {name.lower(): value for name, value in fields.items()}
    names = (str(told.get(name) or "").strip() for name in ("firstname", "lastname"))
    return " ".join(filter(None, names))


def fold(name: str) -> str:
    """Return a name without what varies in spelling: case, accents, apostrophes, hyphens, spaces."""
    # Decomposed again after case folding, which adds accents in a few scripts.
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return "".join(character for character in folded if character.isalnum()).translate(_BARE)


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


def resembling(people: Iterable[Person], accounts: Iterable[Account]) -> list[Account]:
    """Return the accounts without a MISID whose names make them worth reading.

    They have a person's last name, or a person's first name and the initial of the last name.
    """
    looks = {(person.key.role, look) for person in people for look in _resembles(person.traits)}
    roles = {role for role, _ in looks}
    return [
        account
        for account in accounts
        if not account.misid
        and any((role, look) in looks for role in roles if account.may_be(role) for look in _resembles(account.traits))
    ]


def propose(people: Collection[Person], accounts: Iterable[Account]) -> list[Proposal]:
    """Propose accounts for people, the surest first; never an account that has a MISID."""
    index: dict[_Sign, list[Account]] = {}
    for account in accounts:
        if not account.misid:
            for sign in _evidence_names(account.traits):
                index.setdefault(sign, []).append(account)
    pairs: dict[tuple[Key, int], tuple[Likeness, Person, Account]] = {}
    for person in people:
        for sign in _evidence_names(person.traits):
            for account in index.get(sign, ()):
                if account.may_be(person.key.role):
                    # The surest sign comes first and is kept.
                    pairs.setdefault((person.key, account.user_id), (sign[0], person, account))
    of_person = Counter(key for key, _ in pairs)
    of_account = Counter(user_id for _, user_id in pairs)
    proposals = [
        Proposal(
            key,
            user_id,
            likeness,
            *_compared(person.traits, account.traits),
            of_person[key] > 1 or of_account[user_id] > 1,
            person.name,
            account.name,
        )
        for (key, user_id), (likeness, person, account) in pairs.items()
    ]
    return sorted(proposals, key=lambda one: (_RANKS[one.likeness], one.key, one.user_id))


_Sign: TypeAlias = tuple[Likeness, tuple[str, ...]]


def _evidence_names(traits: Traits) -> Iterator[_Sign]:
    signs = (
        (Likeness.ULN, (traits.uln,)),
        (Likeness.EMAIL_AND_DOB, (traits.email, traits.dob)),
        (Likeness.NAMES_AND_DOB, (traits.first_name, traits.last_name, traits.dob)),
    )
    return (sign for sign in signs if all(sign[1]))


def _resembles(traits: Traits) -> Iterator[tuple[str, ...]]:
    if traits.last_name:
        yield (traits.last_name,)
        if traits.first_name:
            yield traits.first_name, traits.last_name[0]


def _compared(ours: Traits, theirs: Traits) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The fields that agree, and those that do not."""
    pairs = {
        "FirstName": (ours.first_name, theirs.first_name),
        "LastName": (ours.last_name, theirs.last_name),
        "Email": (ours.email, theirs.email),
        "DOB": (ours.dob, theirs.dob),
        "ULN": (ours.uln, theirs.uln),
    }
    told = {name: pair for name, pair in pairs.items() if all(pair)}
    return (
        tuple(name for name, (one, other) in told.items() if one == other),
        tuple(name for name, (one, other) in told.items() if one != other),
    )


def _day(text: str) -> str:
    """Return the calendar day of a date as OneFile writes it (§15); empty if it is not a date."""
    try:
        return (datetime.fromisoformat(text) + _SUMMER_TIME).date().isoformat()
    except (ValueError, OverflowError):
        return ""
