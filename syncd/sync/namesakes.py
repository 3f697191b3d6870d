"""The safety net: before its creates, a run compares the new records with OneFile's accounts that no record belongs to.

A search for their MISIDs has not found these people, but OneFile may have them under another MISID, or under none.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from syncd.core.accounts import Known
from syncd.core.evidence import Traits, names_fit
from syncd.core.fields import PLACES, Role
from syncd.core.namesakes import Namesakes, Unlinked
from syncd.core.records import Key, Record
from syncd.onefile import Names
from syncd.sync.lookup import OneFileLookup


@dataclass(frozen=True)
class Owners:
    """To whom the accounts in OneFile belong, as far as syncd knows."""

    known: Mapping[Key, Known]
    """The accounts of the state store."""
    in_feeds: Sequence[Container[Key]]
    """The keys of the feeds' records, in several collections; those of unchanged records may be left out."""
    records: Callable[[], Iterable[Record]]
    """The changed records, each time from the beginning."""

    @cached_property
    def known_users(self) -> Set[int | None]:
        """The UserIDs of all known accounts."""
        return {account.user_id for key, account in self.known.items() if not key.role.is_place}

    @cached_property
    def _known_places(self) -> Mapping[Role, Set[int | None]]:
        places: dict[Role, set[int | None]] = {role: set() for role in PLACES}
        for key, account in self.known.items():
            if key.role.is_place:
                places[key.role].add(account.user_id)
        return places

    def known_ids(self, role: Role) -> Set[int | None]:
        """Return the UserIDs of all known accounts, or the ids of the known places of a kind."""
        return self._known_places[role] if role.is_place else self.known_users

    def owned(self, candidates: Mapping[Key, Sequence[Unlinked]]) -> Set[tuple[Role, int]]:
        """Return which of these accounts and places belong to the record or known account of their own MISID, by role.

        An account with the MISID of a changed record and other names is not surely that record's: the MISID may have
        been typed into the wrong account.
        """
        by_key: dict[Key, list[Unlinked]] = {}
        for record_key, found in candidates.items():
            for one in found:
                if one.misid:
                    by_key.setdefault(record_key._replace(misid=one.misid), []).append(one)
        changed = {record.key: record for record in (self.records() if by_key else ()) if record.key in by_key}
        return {
            (key.role, one.onefile_id)
            for key, ones in by_key.items()
            if self._has_record(key)
            for one in ones
            if key not in changed or key.role.is_place or _has_names(changed[key], one)
        }

    def _has_record(self, key: Key) -> bool:
        return key in self.known or any(key in keys for keys in self.in_feeds)


def find_likely_accounts(
    lookup: OneFileLookup,
    records: Callable[[], Iterable[Record]],
    owners: Owners,
    before: Mapping[Key, tuple[int, ...]],
) -> dict[Key, tuple[int, ...]]:
    """Return the ids of accounts and places in OneFile that may be those of new records, and that belong to no other.

    ``records`` returns the records that OneFile does not have by their MISIDs, each time from the beginning. ``before``
    are the ids that an earlier run has found. They stay, and are not searched for, until OneFile returns all its users:
    another search may show less, such as no archived accounts.
    Raises what OneFile's reads raise.
    """
    if not lookup.has_all_users:
        for role, names in _names_by_role(record for record in records() if record.key not in before).items():
            lookup.search_names(role, names)
    resembling = _Resembling(lookup, owners)
    found = {record.key: ones for record in records() if (ones := resembling.to(record))}
    owned = owners.owned(found)
    candidates: dict[Role, dict[Key, list[int]]] = {}
    for key, ones in found.items():
        if ids := [one.onefile_id for one in ones if (key.role, one.onefile_id) not in owned]:
            candidates.setdefault(key.role, {})[key] = ids
    likely: dict[Key, tuple[int, ...]] = {}
    for role, by_key in candidates.items():
        ids_of_role = set(chain.from_iterable(by_key.values()))
        if not role.is_place:
            ids_of_role &= lookup.of_role(role, ids_of_role)
        kept = {key: tuple(sorted(ids_of_role.intersection(ids))) for key, ids in by_key.items()}
        likely |= {key: ids for key, ids in kept.items() if ids}
    if not lookup.has_all_users:
        users = ((key, ids) for key, ids in before.items() if not key.role.is_place)
        likely |= {key: tuple(sorted({*likely.get(key, ()), *ids})) for key, ids in users}
    return likely


class _Resembling:
    """Finds what resembles a record among the users and places that OneFile has shown."""

    def __init__(self, lookup: OneFileLookup, owners: Owners) -> None:
        self._lookup = lookup
        self._owners = owners
        self._users = self._users_shown()
        self._places: dict[Role, Namesakes] = {}

    def to(self, record: Record) -> list[Unlinked]:
        """Return users in any role that resemble a record, or places of its kind."""
        role = record.key.role
        if role.is_place and role not in self._places:
            self._places[role] = self._places_shown(role)
        namesakes = self._places[role] if role.is_place else self._users
        return list(namesakes.of(record)) if namesakes else []

    def _users_shown(self) -> Namesakes:
        known = self._owners.known_users
        users = (user for user in self._lookup.seen() if user.id not in known)
        return Namesakes(Unlinked.user(user.id, user.misid, *user.names) for user in users)

    def _places_shown(self, role: Role) -> Namesakes:
        known = self._owners.known_ids(role)
        places = (place for place in self._lookup.places_in(role) if place.id not in known)
        return Namesakes(Unlinked.place(place.id, place.misid, place.name) for place in places)


def _has_names(record: Record, account: Unlinked) -> bool:
    return names_fit(account.traits, Traits.from_fields(record.fields))


def _names_by_role(records: Iterable[Record]) -> dict[Role, set[Names]]:
    names: dict[Role, set[Names]] = {}
    for record in records:
        if not record.key.role.is_place:
            fields = record.fields
            names.setdefault(record.key.role, set()).add(Names(str(fields["FirstName"]), str(fields["LastName"])))
    return names
