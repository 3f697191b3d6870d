"""Look-ups in OneFile: made when needed, at most once a run, in as few calls as possible."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, TypeAlias, TypeVar

from syncd.core.accounts import Known
from syncd.core.fields import ROLE_BY_NUMBER, Referent, Role
from syncd.core.records import Code, Key, Reason
from syncd.core.references import Resolved
from syncd.errors import Refused
from syncd.onefile import OneFile, Place, TooManyPages

#: A search with a hit ends with its second page, which is empty.
_CALLS_A_HIT: Final = 2

_Asked = TypeVar("_Asked")
_Told = TypeVar("_Told")

Downloaded = dict[str, list[int]]
"""The UserIDs by MISID."""

Wanted: TypeAlias = Mapping[Key, Mapping[str, object]]
"""The keys to look for, with their known fields: a place may be found by its name."""


class OneFileLookup:
    """Looks people, classrooms and placements up in one organisation of OneFile.

    ``known`` are the accounts of the state store. Every method can raise what `OneFile` raises for reads.
    """

    def __init__(self, onefile: OneFile, organisation_id: int, known: Mapping[Key, Known], max_in_flight: int) -> None:
        self._onefile = onefile
        self._organisation_id = organisation_id
        self._known = known
        self._max_in_flight = max_in_flight
        self._downloads: dict[Role | None, Downloaded] = {}
        self._named: dict[Role, Downloaded] = {}
        """The UserIDs by name, only of roles that a default may name."""
        self._places: dict[Role, list[Place]] = {}
        self._statuses: list[Place] | None = None
        self._told_roles: dict[int, Any] = {}
        """The role numbers by UserID, as far as they were read; ``None`` if OneFile returned none."""
        self._heeds_misid = True

    def find_new(self, wanted: Wanted) -> dict[Key, tuple[int, ...]]:
        """Return the ids that OneFile has for keys that the store does not know, archived users included."""
        hits = self._of_anybody({key.misid for key in wanted if not key.role.is_place})
        found: dict[Key, tuple[int, ...]] = {}
        # For a college that is new to OneFile, no user is left here.
        for role, misids in _by_role(key for key in wanted if key.role.is_place or key.misid in hits).items():
            if role.is_place:
                found |= self._places_of(role, wanted)
            else:
                found |= self._by_key(role, self._of_role(role, _only(hits, misids)))
        return found

    def expect(self, keys: Iterable[Key]) -> None:
        """Announce that `find_new` will be called for at least these keys.

        If that means downloading every user, it is done now, and absent users need not be searched for again.
        """
        misids = {key.misid for key in keys if not key.role.is_place}
        if misids:
            self._downloaded(None, self._one_by_one(len(misids)))

    def find_created(self, wanted: Wanted) -> dict[Key, tuple[int, ...]]:
        """Return the ids of what was created a moment ago, as far as they can be found; ignores cached answers."""
        found: dict[Key, tuple[int, ...]] = {}
        for role, misids in _by_role(wanted).items():
            if role.is_place:
                self._places.pop(role, None)
                found |= self._places_of(role, wanted)
                continue
            self._downloads.pop(role, None)
            downloaded = self._downloaded(role, self._one_by_one(_CALLS_A_HIT * len(misids)), len(misids))
            hits = self._search(role, misids) if downloaded is None else _only(downloaded, misids)
            found |= self._by_key(role, hits)
        return found

    def forget(self) -> None:
        """Drop the cached answers."""
        self._downloads.clear()
        self._places.clear()
        self._told_roles.clear()

    def resolve(self, codes: Collection[Code]) -> dict[Code, Resolved]:
        """Return the ids that codes stand for, by one search in OneFile for each kind."""
        resolved: dict[Code, Resolved] = {}
        for referent in Referent:
            wanted = sorted(code for code in codes if code.referent is referent)
            if wanted and all(role.is_place for role in referent.roles):
                resolved |= _located(wanted, self._listed(referent))
            elif wanted:
                resolved |= self._people(referent, wanted)
        return resolved

    def _people(self, referent: Referent, codes: Sequence[Code]) -> dict[Code, Resolved]:
        resolved: dict[Code, Resolved] = dict.fromkeys(codes, Reason.REFERENCE_NOT_FOUND)
        possible = [code for code in codes if not self._is_unlinked(code)]
        for role in referent.roles:
            missing = [code for code in possible if resolved[code] is Reason.REFERENCE_NOT_FOUND]
            if missing:
                hits, named = self._ids_of(role, missing)
                resolved |= {
                    code: _one_of((named if code.by == "Name" else hits).get(code.text, [])) for code in missing
                }
        return resolved

    def _ids_of(self, role: Role, codes: Sequence[Code]) -> tuple[Downloaded, Downloaded]:
        """Return the UserIDs of a role by MISID and by name, at least for these codes."""
        if all(code.by == "MISID" for code in codes):
            downloaded = self._downloaded(role, self._one_by_one(_CALLS_A_HIT * len(codes)), len(codes))
            return self._search(role, [code.text for code in codes]) if downloaded is None else downloaded, {}
        return self._download(role), self._named.get(role, {})

    def _is_unlinked(self, code: Code) -> bool:
        everybody = self._downloads.get(None)
        return everybody is not None and code.by == "MISID" and code.text not in everybody

    def _listed(self, referent: Referent) -> Sequence[Place]:
        if referent.roles:
            return self._places_in(*referent.roles)
        if self._statuses is None:
            self._statuses = self._onefile.learner_statuses(self._organisation_id)
        return self._statuses

    def _places_in(self, role: Role) -> Sequence[Place]:
        if role not in self._places:
            places = self._onefile.places(role, self._organisation_id, expected=self._count(role) or None)
            self._places[role] = list(places)
        return self._places[role]

    def _places_of(self, role: Role, wanted: Wanted) -> dict[Key, tuple[int, ...]]:
        """Find places by MISID, else by name among those without a MISID: two places may share a name."""
        ids: dict[tuple[str, object], list[int]] = {}
        for place in self._places_in(role):
            ids.setdefault(("MISID", place.misid) if place.misid else ("Name", place.name), []).append(place.id)
        hits = {
            key: ids.get(("MISID", key.misid)) or ids.get(("Name", fields.get("Name")), [])
            for key, fields in wanted.items()
            if key.role is role
        }
        return {key: tuple(found) for key, found in hits.items() if found}

    def _downloaded(self, role: Role | None, otherwise: int | None, more: int = 0) -> Downloaded | None:
        """Return a download if it exists or is expected to take fewer calls than ``otherwise``; ``None`` if not.

        ``more`` is the number of users that OneFile surely has besides the known accounts.
        """
        if role in self._downloads or otherwise is None:
            return self._download(role, more)
        if self._onefile.calls_for(self._count(role) + more) < otherwise:
            with suppress(TooManyPages):
                return self._download(role, more, otherwise)
        return None

    def _one_by_one(self, calls: int) -> int | None:
        """The calls of a search for each MISID; ``None`` if OneFile ignores that filter."""
        return calls if self._heeds_misid else None

    def _download(self, role: Role | None, more: int = 0, at_most: int | None = None) -> Downloaded:
        if role not in self._downloads:
            downloaded: Downloaded = {}
            named: Downloaded = {}
            expected = self._count(role) + more
            for user in self._onefile.users(self._organisation_id, role, expected=expected or None, at_most=at_most):
                if user.misid:
                    downloaded.setdefault(user.misid, []).append(user.id)
                if role in Referent.ASSESSOR.roles:
                    named.setdefault(user.name, []).append(user.id)
            self._downloads[role] = downloaded
            if role is not None:
                self._named[role] = named
        return self._downloads[role]

    def _count(self, role: Role | None) -> int:
        """The number of known accounts of a role; of all users for ``None``."""
        return sum(role is key.role or (role is None and not key.role.is_place) for key in self._known)

    def _of_anybody(self, misids: Set[str]) -> Downloaded:
        """Return the users with these MISIDs in any role: a search by role leaves out archived users (U4)."""
        if not misids:
            return {}
        downloaded = self._downloaded(None, self._one_by_one(len(misids)))
        return self._search(None, sorted(misids)) if downloaded is None else downloaded

    def _search(self, role: Role | None, misids: Sequence[str]) -> Downloaded:
        hits = self._side_by_side(lambda misid: self._search_one(role, misid), misids)
        if not self._heeds_misid:
            return _only(self._download(role), misids)
        return {misid: ids for misid, ids in zip(misids, hits, strict=True) if ids}

    def _search_one(self, role: Role | None, misid: str) -> list[int]:
        ids: list[int] = []
        if self._heeds_misid:
            for user in self._onefile.users(self._organisation_id, role, misid):
                if not user.misid.startswith(misid):
                    # OneFile ignores the filter (U6): such a search returns every user, every time.
                    self._heeds_misid = False
                    break
                if user.misid == misid:
                    ids.append(user.id)
        return ids

    def _of_role(self, role: Role, hits: Downloaded) -> Downloaded:
        """Return those hits of a search without a role, which does not return roles, that are of this one."""
        others = (key.role is not role and not key.role.is_place for key in self._known)
        elsewhere = {
            account.user_id for account, is_other in zip(self._known.values(), others, strict=True) if is_other
        }
        asked = [(misid, user_id) for misid, ids in hits.items() for user_id in ids if user_id not in elsewhere]
        of_role: Downloaded = {}
        if asked and (downloaded := self._downloaded(role, len(asked), 1)) is not None:
            listed = {user_id for ids in downloaded.values() for user_id in ids}
            for misid, user_id in asked:
                if user_id in listed:
                    of_role.setdefault(misid, []).append(user_id)
            asked = [hit for hit in asked if hit[1] not in listed]
        answers = self._side_by_side(lambda hit: self._may_be(role, hit[1]), asked)
        for (misid, user_id), is_of_role in zip(asked, answers, strict=True):
            if is_of_role:
                of_role.setdefault(misid, []).append(user_id)
        return of_role

    def _may_be(self, role: Role, user_id: int) -> bool:
        if user_id not in self._told_roles:
            try:
                self._told_roles[user_id] = self._onefile.user(user_id).get("role")
            except Refused:
                # It existed a moment ago, in an unknown role; no second account must be created.
                self._told_roles[user_id] = None
        # OneFile may return a separate role number, or none, for an archived account (§8.1, §8.5).
        return ROLE_BY_NUMBER.get(self._told_roles[user_id], role) is role

    def _side_by_side(self, ask: Callable[[_Asked], _Told], about: Iterable[_Asked]) -> list[_Told]:
        with ThreadPoolExecutor(self._max_in_flight) as pool:
            return list(pool.map(ask, about))

    def _by_key(self, role: Role, hits: Downloaded) -> dict[Key, tuple[int, ...]]:
        return {Key(self._organisation_id, role, misid): tuple(ids) for misid, ids in hits.items()}


def _only(downloaded: Downloaded, misids: Iterable[str]) -> Downloaded:
    return {misid: downloaded[misid] for misid in misids if misid in downloaded}


def _by_role(keys: Iterable[Key]) -> dict[Role, list[str]]:
    by_role: dict[Role, list[str]] = {}
    for key in sorted(keys):
        by_role.setdefault(key.role, []).append(key.misid)
    return by_role


def _located(codes: Iterable[Code], places: Iterable[Place]) -> dict[Code, Resolved]:
    ids: dict[tuple[str, str], list[int]] = {}
    for place in places:
        ids.setdefault(("MISID", place.misid), []).append(place.id)
        ids.setdefault(("Name", place.name), []).append(place.id)
    return {code: _one_of(ids.get((code.by, code.text), [])) for code in codes}


def _one_of(ids: Sequence[int]) -> Resolved:
    if not ids:
        return Reason.REFERENCE_NOT_FOUND
    return ids[0] if len(ids) == 1 else Reason.AMBIGUOUS
