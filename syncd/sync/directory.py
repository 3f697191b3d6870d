"""What OneFile has: asked for when something needs it, at most once a run, in as few calls as it takes."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from syncd.core.compare import Known, Resolved
from syncd.core.fields import Referent, Role
from syncd.core.records import Code, Key, Reason
from syncd.errors import Refused
from syncd.onefile import OneFile, Place
from syncd.onefile.client import PAGE_SIZE

_ROLE_BY_NUMBER: Final = {role.number: role for role in Role}

_Asked = TypeVar("_Asked")
_Told = TypeVar("_Told")

Downloaded = dict[str, list[int]]
"""The UserIDs by MISID."""


class Directory:
    """Looks people, classrooms and placements up in one organisation of OneFile.

    ``known`` are the accounts of the state store. Every method can raise what `OneFile` raises for reads.
    """

    def __init__(self, onefile: OneFile, organisation_id: int, known: Mapping[Key, Known], max_in_flight: int) -> None:
        self._onefile = onefile
        self._organisation_id = organisation_id
        self._known = known
        self._max_in_flight = max_in_flight
        self._downloads: dict[Role | None, Downloaded] = {}
        self._places: dict[Referent, list[Place]] = {}
        self._heeds_misid = True

    def newcomers(self, keys: Collection[Key]) -> dict[Key, tuple[int, ...]]:
        """The UserIDs that OneFile has already, archived ones too, for people whom the store does not know."""
        found: dict[Key, tuple[int, ...]] = {}
        for role, misids in _by_role(keys).items():
            if self._is_quicker_one_by_one(misids, self._pages(role) + self._pages(None)):
                hits = self._of_role(role, self._search(None, misids))
            else:
                hits = _only(self._download(role), misids)
                # A search by role leaves out the archived (U4); one without a role does not tell who is what.
                absent = [misid for misid in misids if misid not in hits]
                hits |= self._of_role(role, _only(self._download(None), absent)) if absent else {}
            found |= self._by_key(role, hits)
        return found

    def just_created(self, keys: Collection[Key]) -> dict[Key, tuple[int, ...]]:
        """The UserIDs of accounts that were created a moment ago, as far as they can be found; nothing is kept."""
        found: dict[Key, tuple[int, ...]] = {}
        for role, misids in _by_role(keys).items():
            self._downloads.pop(role, None)
            if self._is_quicker_one_by_one(misids, self._pages(role, len(misids))):
                hits = self._search(role, misids)
            else:
                hits = _only(self._download(role), misids)
            found |= self._by_key(role, hits)
        return found

    def forget(self) -> None:
        """Ask afresh from now on."""
        self._downloads.clear()
        self._places.clear()

    def resolve(self, codes: Collection[Code]) -> dict[Code, Resolved]:
        """The ids that codes stand for, asked of OneFile in one search a kind."""
        resolved: dict[Code, Resolved] = {}
        for referent in Referent:
            wanted = sorted(code for code in codes if code.referent is referent)
            if wanted:
                resolved |= self._people(referent, wanted) if referent.roles else self._located(referent, wanted)
        return resolved

    def _people(self, referent: Referent, codes: Sequence[Code]) -> dict[Code, Resolved]:
        resolved: dict[Code, Resolved] = dict.fromkeys(codes, Reason.REFERENCE_NOT_FOUND)
        for role in referent.roles:
            missing = [code for code in codes if resolved[code] is Reason.REFERENCE_NOT_FOUND]
            if missing:
                hits = self._download(role)
                resolved |= {code: _one_of(hits.get(code.text, [])) for code in missing}
        return resolved

    def _located(self, referent: Referent, codes: Sequence[Code]) -> dict[Code, Resolved]:
        if referent not in self._places:
            search = self._onefile.classrooms if referent is Referent.CLASSROOM else self._onefile.placements
            self._places[referent] = list(search(self._organisation_id))
        ids: dict[tuple[str, str], list[int]] = {}
        for place in self._places[referent]:
            ids.setdefault(("MISID", place.misid), []).append(place.id)
            ids.setdefault(("Name", place.name), []).append(place.id)
        return {code: _one_of(ids.get((code.by, code.text), [])) for code in codes}

    def _download(self, role: Role | None) -> Downloaded:
        if role not in self._downloads:
            downloaded: Downloaded = {}
            for user in self._onefile.users(self._organisation_id, role):
                if user.misid:
                    downloaded.setdefault(user.misid, []).append(user.id)
            self._downloads[role] = downloaded
        return self._downloads[role]

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
        """Of the hits of a search without a role, those that are of this one."""
        elsewhere = {account.user_id for key, account in self._known.items() if key.role is not role}
        asked = [(misid, user_id) for misid, ids in hits.items() for user_id in ids if user_id not in elsewhere]
        answers = self._side_by_side(lambda hit: self._may_be(role, hit[1]), asked)
        of_role: Downloaded = {}
        for (misid, user_id), is_of_role in zip(asked, answers, strict=True):
            if is_of_role:
                of_role.setdefault(misid, []).append(user_id)
        return of_role

    def _may_be(self, role: Role, user_id: int) -> bool:
        try:
            told: Any = self._onefile.user(user_id).get("role")
        except Refused:
            # It was there a moment ago; whatever it is, nothing is to be created beside it.
            return True
        # An archived account may have a role number of its own, or none that is told (§8.1, §8.5).
        return _ROLE_BY_NUMBER.get(told, role) is role

    def _side_by_side(self, ask: Callable[[_Asked], _Told], about: Iterable[_Asked]) -> list[_Told]:
        with ThreadPoolExecutor(self._max_in_flight) as pool:
            return list(pool.map(ask, about))

    def _pages(self, role: Role | None, more: int = 0) -> int:
        """How many calls a download takes, as far as the accounts we know can tell; the last one brings nothing."""
        accounts = sum(role in {None, key.role} for key in self._known) + more
        return accounts // PAGE_SIZE + 2

    def _is_quicker_one_by_one(self, misids: Sequence[str], pages: int) -> bool:
        return self._heeds_misid and len(misids) <= pages

    def _by_key(self, role: Role, hits: Downloaded) -> dict[Key, tuple[int, ...]]:
        return {Key(self._organisation_id, role, misid): tuple(ids) for misid, ids in hits.items()}


def _only(downloaded: Downloaded, misids: Iterable[str]) -> Downloaded:
    return {misid: downloaded[misid] for misid in misids if misid in downloaded}


def _by_role(keys: Iterable[Key]) -> dict[Role, list[str]]:
    by_role: dict[Role, list[str]] = {}
    for key in sorted(keys):
        by_role.setdefault(key.role, []).append(key.misid)
    return by_role


def _one_of(ids: Sequence[int]) -> Resolved:
    if not ids:
        return Reason.REFERENCE_NOT_FOUND
    return ids[0] if len(ids) == 1 else Reason.AMBIGUOUS
