"""What OneFile has: asked for when something needs it, at most once a run, in as few calls as it takes."""

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

#: A search that finds somebody is over with its second page, which brings nothing.
_CALLS_A_HIT: Final = 2

_Asked = TypeVar("_Asked")
_Told = TypeVar("_Told")

Downloaded = dict[str, list[int]]
"""The UserIDs by MISID."""

Wanted: TypeAlias = Mapping[Key, Mapping[str, object]]
"""Whom to look for, with what is known of them: a place may be found by its name."""


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
        """The UserIDs by name, of those only whom a default may name."""
        self._places: dict[Role, list[Place]] = {}
        self._statuses: list[Place] | None = None
        self._told_roles: dict[int, Any] = {}
        """The numbers of roles by UserID, as far as they were asked for and told."""
        self._heeds_misid = True

    def find_new(self, wanted: Wanted) -> dict[Key, tuple[int, ...]]:
        """The ids that OneFile has already, archived users too, for what the store does not know."""
        hits = self._of_anybody({key.misid for key in wanted if not key.role.is_place})
        found: dict[Key, tuple[int, ...]] = {}
        # Of a college that is new to OneFile nobody is left here.
        for role, misids in _by_role(key for key in wanted if key.role.is_place or key.misid in hits).items():
            if role.is_place:
                found |= self._places_of(role, wanted)
            else:
                found |= self._by_key(role, self._of_role(role, _only(hits, misids)))
        return found

    def expect(self, keys: Iterable[Key]) -> None:
        """Say that `newcomers` is going to be asked for at least these.

        If that means downloading everybody, it is done now, and whoever is not there need not be looked for again.
        """
        misids = {key.misid for key in keys if not key.role.is_place}
        if misids:
            self._downloaded(None, self._one_by_one(len(misids)))

    def find_created(self, wanted: Wanted) -> dict[Key, tuple[int, ...]]:
        """The ids of what was created a moment ago, as far as they can be found; nothing is kept."""
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
        """Ask afresh from now on."""
        self._downloads.clear()
        self._places.clear()
        self._told_roles.clear()

    def resolve(self, codes: Collection[Code]) -> dict[Code, Resolved]:
        """The ids that codes stand for, asked of OneFile in one search a kind."""
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
        """By MISID and by name, of those of a role who have these codes at least."""
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
        """By their MISID, else by a name that nothing with another MISID has: two may rightly share one."""
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
        """A download, if it takes fewer calls than what would be done ``otherwise``, as far as can be told beforehand.

        ``more`` are surely there beside the accounts we know.
        """
        if role in self._downloads or otherwise is None:
            return self._download(role, more)
        if self._onefile.calls_for(self._count(role) + more) < otherwise:
            with suppress(TooManyPages):
                return self._download(role, more, otherwise)
        return None

    def _one_by_one(self, calls: int) -> int | None:
        """What it takes to look for each by MISID; ``None`` where that is no way to find anybody."""
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
        """How many of a role there are, as far as the accounts we know can tell."""
        return sum(role is key.role or (role is None and not key.role.is_place) for key in self._known)

    def _of_anybody(self, misids: Set[str]) -> Downloaded:
        """Whoever has these, whatever they are: by role a search leaves out the archived (U4)."""
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
                    # OneFile pays no heed to the filter (U6): such a search brings everybody, every time.
                    self._heeds_misid = False
                    break
                if user.misid == misid:
                    ids.append(user.id)
        return ids

    def _of_role(self, role: Role, hits: Downloaded) -> Downloaded:
        """Of the hits of a search without a role, which does not tell who is what, those that are of this one."""
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
                # It was there a moment ago; whatever it is, nothing is to be created beside it.
                self._told_roles[user_id] = None
        # An archived account may have a role number of its own, or none that is told (§8.1, §8.5).
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
