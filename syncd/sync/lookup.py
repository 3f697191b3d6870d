"""Look-ups in OneFile: made when needed, at most once a run, in as few calls as possible."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from threading import Lock
from typing import Final, NamedTuple, TypeAlias, TypeVar

from syncd.core.accounts import Known
from syncd.core.evidence import fold
from syncd.core.fields import Referent, Role
from syncd.core.misid import canonical, numeric_value, skeleton
from syncd.core.records import Code, Key, Reason
from syncd.errors import Refused
from syncd.onefile import Names, OneFile, Place, TooManyPages, UserRow, is_archived, role_in

#: A search with a hit ends with its second page, which is empty.
_CALLS_A_HIT: Final = 2
#: Whether an account is archived takes a read, and a search if that does not say.
_CALLS_A_STATE: Final = 2

#: The MISID of a search that must not return anything: no account has it.
_NO_MISID: Final = "syncd: a MISID that no account has"

_Asked = TypeVar("_Asked")
_Told = TypeVar("_Told")

Downloaded = dict[str, list[int]]
"""The UserIDs by MISID."""

Wanted: TypeAlias = Mapping[Key, Mapping[str, object]]
"""The keys to look for, with their known fields: a place may be found by its name."""

_NOBODY: Final[Mapping[Role, int]] = {}


class SeenUser(NamedTuple):
    """A user in a result of a search, which surely has no more than this (U2)."""

    id: int
    misid: str
    names: Names
    role: Role | None
    """``None`` if only searches without a role have returned the user: they do not return roles."""


class _Shown(NamedTuple):
    """What the answer for one account shows; ``None`` for what it does not."""

    is_there: bool
    role: Role | None = None
    misid: str = ""
    is_archived: bool | None = None


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
        self._seen: dict[int, SeenUser] = {}
        """The users that searches have returned, by UserID."""
        self._places: dict[Role, list[Place]] = {}
        self._statuses: list[Place] | None = None
        self._flagged: set[int] = set()
        """The UserIDs that a download has shown as archived: one by role should not have them at all (U4)."""
        self._shown: dict[int, _Shown] = {}
        """What OneFile shows of the accounts that were read by id."""
        self._to_compare: Mapping[Role, int] = {}
        self._codes: Mapping[Role, int] = {}
        """How many users by role are to be found by name, and by a code: see `expect`."""
        self._heeds_misid = True
        self._heeds_names = True
        self._control = Lock()
        self._is_control_empty: bool | None = None
        """Whether a search for a MISID that no account has returned nothing; ``None`` if it was not made."""
        self._mismatched: set[str] = set()
        """The MISIDs whose search has returned users with other MISIDs, although OneFile heeds that filter."""
        self._numbers: dict[int, str] = {}
        """The MISIDs that OneFile has returned as numbers, by UserID."""

    def find_new(self, wanted: Wanted, to_compare: Mapping[Role, int] = _NOBODY) -> dict[Key, tuple[int, ...]]:
        """Return the ids that OneFile has for keys that the store does not know, archived users included.

        ``to_compare`` is the number of users by role that `search_names` will be called for if they are not found: both
        together take as few calls as possible.
        """
        hits = self._of_anybody({key.misid for key in wanted if not key.role.is_place}, to_compare)
        found: dict[Key, tuple[int, ...]] = {}
        # For a college that is new to OneFile, no user is left here.
        for role, misids in _by_role(key for key in wanted if key.role.is_place or key.misid in hits).items():
            if role.is_place:
                found |= self._places_of(role, wanted)
            else:
                of_role = _only(hits, misids)
                left = max(0, to_compare.get(role, 0) - len(of_role))
                found |= self._by_key(role, self._of_role(role, of_role, left))
        return found

    def mismatched(self, keys: Iterable[Key]) -> dict[Key, str]:
        """Return those of the keys that may be in OneFile although no search so far has found them, and why.

        Their search has returned other MISIDs, another search has shown the MISID, or OneFile has returned a MISID as a
        number that may be this one.
        """
        keys = list(keys)
        wanted = {key.misid for key in keys}
        shown: dict[str, list[SeenUser]] = {}
        for user in self._seen.values() if keys else ():
            if user.misid in wanted:
                shown.setdefault(user.misid, []).append(user)
        numbers: dict[Role, dict[float, int]] = {}

        def numbers_of(role: Role) -> dict[float, int]:
            shared_by = role.sharing_ids[0]
            if shared_by not in numbers:
                numbers[shared_by] = self._values_of_numbers(role)
            return numbers[shared_by]

        found: dict[Key, str] = {}
        for key in keys:
            value = numeric_value(key.misid)
            if not key.role.is_place and key.misid in self._mismatched:
                found[key] = "OneFile's search for this MISID returned accounts with other MISIDs"
            elif (user_id := self._shown_with(key, shown.get(key.misid, ()))) is not None:
                account = f"the account with the UserID {user_id}"
                found[key] = f"OneFile's search for this MISID did not return {account}, and another search showed it"
            elif value is not None and (onefile_id := numbers_of(key.role).get(value)) is not None:
                what = f"the {key.role} with the ID" if key.role.is_place else "the account with the UserID"
                found[key] = f"OneFile returned the MISID of {what} {onefile_id} as a number, and it may be this one"
        return found

    def _shown_with(self, key: Key, users: Iterable[SeenUser]) -> int | None:
        """The first of the users, who have the MISID of the key, that may be its account; ``None`` if none may."""
        if key.role.is_place:
            return None
        known = {account.user_id for other, account in self._known.items() if not other.role.is_place}
        for user in users:
            shown = self._shown.get(user.id)
            role = user.role or (shown and shown.role) or key.role
            if user.id not in known and role is key.role:
                return user.id
        return None

    def _values_of_numbers(self, role: Role) -> dict[float, int]:
        """The ids of the users, or of the places of the role's kind, whose MISIDs came as numbers, by number.

        A known account has the MISID that the store has.
        """
        places = ((place.id, place.misid) for place in self._places.get(role, ()) if place.is_number)
        known = {account.user_id for key, account in self._known.items() if key.role in role.sharing_ids}
        shown = places if role.is_place else self._numbers.items()
        values = ((numeric_value(text), onefile_id) for onefile_id, text in shown if onefile_id not in known)
        return {value: onefile_id for value, onefile_id in values if value is not None}

    def has_shown_lookalike(self, key: Key) -> bool:
        """Whether a search has shown a user with a MISID that looks like this one, and that no known account has."""
        known = {account.user_id for other, account in self._known.items() if not other.role.is_place}
        look = skeleton(key.misid)
        return any(
            skeleton(user.misid) == look and user.misid != key.misid and user.id not in known
            for user in self._seen.values()
        )

    def use_accounts(self, known: Mapping[Key, Known]) -> None:
        """Go by these accounts from now on; what OneFile has answered is kept."""
        self._known = known

    def search_names(self, role: Role, names: Collection[Names]) -> None:
        """Have `seen` include the users of a role with these names.

        A search by role leaves out archived users (U4).
        """
        if not names:
            return
        if self._downloaded(role, len(names) if self._heeds_names else None) is None:
            self._side_by_side(lambda each: self._search_name(role, each), names)
            if not self._heeds_names:
                self._download(role)

    @property
    def has_all_users(self) -> bool:
        """Whether `seen` has every user of the organisation, in any role."""
        return None in self._downloads

    def seen(self) -> Collection[SeenUser]:
        """Return every user that a search has returned so far."""
        return self._seen.values()

    def names_of(self, user_id: int) -> Names | None:
        """Return the names of a user that a search has returned; ``None`` if none has."""
        user = self._seen.get(user_id)
        return None if user is None else user.names

    def has_shown(self, role: Role, onefile_id: int) -> bool:
        """Whether an answer so far has shown a user with this id, or a place of the role's kind."""
        if role.is_place:
            return any(place.id == onefile_id for place in self._places.get(role, ()))
        return onefile_id in self._seen or onefile_id in self._shown

    def places_in(self, role: Role) -> Sequence[Place]:
        """Return every place of a kind."""
        if role not in self._places:
            places = self._onefile.places(role, self._organisation_id, expected=self._count(role) or None)
            self._places[role] = list(places)
        return self._places[role]

    def expect(
        self, keys: Collection[Key], to_compare: Mapping[Role, int] = _NOBODY, codes: Collection[Code] = ()
    ) -> None:
        """Announce that `resolve` will be called for these codes, and `find_new` for at least these keys.

        If that means downloading every user, it is done now, and absent users need not be searched for again. A
        download of a role may answer for codes and for names.
        """
        self._to_compare = to_compare
        roles = (code.referent.roles[:1] for code in codes if code.by == "MISID")
        self._codes = Counter(role for (role,) in filter(None, roles))
        misids = {key.misid for key in keys if not key.role.is_place}
        if misids:
            self._everyone(len(misids), to_compare)

    def find_archived(self, accounts: Mapping[int, Key]) -> set[int]:
        """Return which of these UserIDs are archived, as far as OneFile's answers show it (U5); places never are.

        An account's own answer decides. If it does not say, an account counts as archived if a search with its role
        does not show it. If there are many, a download by role stands for the answers of those that it shows.
        """
        archived: set[int] = set()
        for role, wanted in _of_users(accounts):
            unread = wanted - self._shown.keys()
            if unread:
                new = sum(accounts[user_id] not in self._known for user_id in unread)
                self._downloaded(role, self._one_by_one(_CALLS_A_STATE * len(unread)), new)
            asked = sorted(wanted - (unread - self._without_listed(role, unread)))
            shown = dict(zip(asked, self._side_by_side(self._show, asked), strict=True))
            archived |= {user_id for user_id, each in shown.items() if each.is_archived}
            unsure = {
                user_id: accounts[user_id]._replace(misid=each.misid)
                for user_id, each in shown.items()
                if each.is_there and each.is_archived is None
            }
            archived |= self.find_unlisted(unsure)
        return archived

    def find_unlisted(self, accounts: Mapping[int, Key]) -> set[int]:
        """Return which of these UserIDs a search with their role does not show: it leaves out archived users (U4).

        The keys have the MISIDs that OneFile has, or none; then only a download shows it. An account that no search
        shows does not count: it may be too new for searches.
        """
        unlisted: set[int] = set()
        for role, wanted in _of_users(accounts):
            is_downloaded = self._downloaded(role, self._one_by_one(len(wanted))) is not None
            # The pages of a download may overlap and miss rows (U3), so those that it did not show are searched for.
            asked = sorted(self._without_listed(role, wanted))
            keys = [(user_id, accounts[user_id].misid) for user_id in asked if accounts[user_id].misid]
            are_unlisted = self._side_by_side(lambda each: self._is_unlisted(*each), [(role, *each) for each in keys])
            unlisted |= {user_id for (user_id, _), is_unlisted in zip(keys, are_unlisted, strict=True) if is_unlisted}
            unlisted |= {user_id for user_id in asked if is_downloaded and not accounts[user_id].misid}
        return unlisted

    def is_active(self, role: Role, user_id: int) -> bool:
        """Whether OneFile's answers show now that an account is not archived."""
        shown = self._show_again(user_id)
        if shown.is_archived is not None or not shown.is_there:
            return shown.is_archived is False
        return bool(shown.misid) and self._is_listed(role, user_id, shown.misid)

    def shows_archived(self, user_id: int) -> bool | None:
        """Whether an account's own answer says now that it is archived; ``None`` if it does not say."""
        return self._show_again(user_id).is_archived

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

    def shows(self, key: Key, onefile_id: int) -> bool:
        """Whether a search for its MISID shows an account now; of a place, whether the list of places does."""
        if key.role.is_place:
            self._places.pop(key.role, None)
            return any(place.id == onefile_id for place in self.places_in(key.role))
        if self._heeds_misid:
            return any(user.id == onefile_id for user in self._onefile.users(self._organisation_id, None, key.misid))
        self._downloads.pop(None, None)
        return any(onefile_id in user_ids for user_ids in self._download(None).values())

    def forget(self) -> None:
        """Drop the cached answers."""
        self._downloads.clear()
        self._seen.clear()
        self._places.clear()
        self._flagged.clear()
        self._shown.clear()

    def resolve(self, codes: Collection[Code]) -> dict[Code, int | Reason]:
        """Return the ids that codes stand for, by one search in OneFile for each kind."""
        resolved: dict[Code, int | Reason] = {}
        self._codes = {}
        for referent in Referent:
            wanted = sorted(code for code in codes if code.referent is referent)
            if wanted and all(role.is_place for role in referent.roles):
                resolved |= _located(wanted, self._listed(referent))
            elif wanted:
                resolved |= self._people(referent, wanted)
        return resolved

    def _people(self, referent: Referent, codes: Sequence[Code]) -> dict[Code, int | Reason]:
        resolved: dict[Code, int | Reason] = dict.fromkeys(codes, Reason.REFERENCE_NOT_FOUND)
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
            names = self._calls_by_name(role, self._to_compare.get(role, 0))
            downloaded = self._downloaded(role, self._one_by_one(_CALLS_A_HIT * len(codes) + names), len(codes))
            return self._search(role, [code.text for code in codes]) if downloaded is None else downloaded, {}
        return self._download(role), self._named.get(role, {})

    def _is_unlinked(self, code: Code) -> bool:
        everybody = self._downloads.get(None)
        return everybody is not None and code.by == "MISID" and code.text not in everybody

    def _listed(self, referent: Referent) -> Sequence[Place]:
        if referent.roles:
            return self.places_in(*referent.roles)
        if self._statuses is None:
            self._statuses = self._onefile.learner_statuses(self._organisation_id)
        return self._statuses

    def _places_of(self, role: Role, wanted: Wanted) -> dict[Key, tuple[int, ...]]:
        """Find places by MISID, else by name among those without a MISID: two places may share a name."""
        ids: dict[tuple[str, object], list[int]] = {}
        for place in self.places_in(role):
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

    def _everyone(self, misids: int, to_compare: Mapping[Role, int]) -> Downloaded | None:
        """Return a download of all users, if searches for so many MISIDs and names would take more calls."""
        searches = self._one_by_one(misids)
        if searches is not None:
            searches += sum(
                self._calls_by_name(role, count, self._codes.get(role, 0)) for role, count in to_compare.items()
            )
        return self._downloaded(None, searches)

    def _calls_by_name(self, role: Role, count: int, codes: int = 0) -> int:
        """The calls of looking for so many users of a role by name, one by one or by a download of the role.

        ``codes`` is the number of users that are looked for anyway, by MISID in this role: a download has them as well.
        """
        if not count or role in self._downloads or None in self._downloads:
            return 0
        download = self._onefile.calls_for(self._count(role) + codes)
        for_codes = min(_CALLS_A_HIT * codes, download)
        return (min(for_codes + count, download) if self._heeds_names else download) - for_codes

    def _one_by_one(self, calls: int) -> int | None:
        """The calls of a search for each MISID; ``None`` if OneFile ignores that filter."""
        return calls if self._heeds_misid else None

    def _download(self, role: Role | None, more: int = 0, at_most: int | None = None) -> Downloaded:
        if role not in self._downloads:
            downloaded: Downloaded = {}
            named: Downloaded = {}
            expected = self._count(role) + more
            for user in self._onefile.users(self._organisation_id, role, expected=expected or None, at_most=at_most):
                self._see(user, role)
                # Those without a MISID are listed under the empty text.
                downloaded.setdefault(user.misid, []).append(user.id)
                if role in Referent.ASSESSOR.roles:
                    named.setdefault(user.name, []).append(user.id)
                if is_archived(user.told):
                    self._flagged.add(user.id)
            self._downloads[role] = downloaded
            if role is not None:
                self._named[role] = named
        return self._downloads[role]

    def _count(self, role: Role | None) -> int:
        """The number of known accounts of a role; of all users for ``None``."""
        return sum(role is key.role or (role is None and not key.role.is_place) for key in self._known)

    def _see(self, user: UserRow, role: Role | None) -> None:
        before = self._seen.get(user.id)
        known_role = before.role if role is None and before is not None else role
        if user.is_number:
            self._numbers[user.id] = user.misid
        self._seen[user.id] = SeenUser(user.id, user.misid, user.names, known_role)

    def _of_anybody(self, misids: Set[str], to_compare: Mapping[Role, int]) -> Downloaded:
        """Return the users with these MISIDs in any role: a search by role leaves out archived users (U4)."""
        if not misids:
            return {}
        downloaded = self._everyone(len(misids), to_compare)
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
                if not _is_near(user.misid, misid):
                    if not self._heeds_any_misid(role):
                        # OneFile ignores the filter (U6): such a search returns every user, every time.
                        self._heeds_misid = False
                        break
                    self._mismatched.add(misid)
                self._see(user, role)
                if user.misid == misid:
                    ids.append(user.id)
        return ids

    def _heeds_any_misid(self, role: Role | None) -> bool:
        """Whether a search for a MISID that no account has returns nothing; asked once, after a wrong answer."""
        with self._control:
            if self._is_control_empty is None:
                rows = self._onefile.users(self._organisation_id, role, _NO_MISID)
                self._is_control_empty = next(rows, None) is None
            return self._is_control_empty

    def _search_name(self, role: Role, names: Names) -> None:
        if self._heeds_names:
            try:
                for user in self._onefile.users(self._organisation_id, role, names=names):
                    if not all(fold(wanted) in fold(name) for wanted, name in zip(names, user.names, strict=True)):
                        # OneFile ignores one of the filters, so that the search returns many users.
                        self._heeds_names = False
                        break
                    self._see(user, role)
            except Refused:
                # These filters are in no document (§8.6).
                self._heeds_names = False

    def _of_role(self, role: Role, hits: Downloaded, left: int) -> Downloaded:
        """Return those hits of a search without a role that are of this one; ``left`` is as in `of_role`."""
        of_role = self.of_role(role, chain.from_iterable(hits.values()), left)
        kept = {misid: [user_id for user_id in ids if user_id in of_role] for misid, ids in hits.items()}
        return {misid: ids for misid, ids in kept.items() if ids}

    def of_role(self, role: Role, user_ids: Iterable[int], left: int = 0) -> Set[int]:
        """Return those of the users seen that are of a role, or may be: a search without a role does not return roles.

        ``left`` is the number of users of the role that are still to be looked for by name, as `find_new` says.
        """
        others = (key.role is not role and not key.role.is_place for key in self._known)
        elsewhere = {
            account.user_id for account, is_other in zip(self._known.values(), others, strict=True) if is_other
        }
        possible = [user_id for user_id in user_ids if user_id not in elsewhere]
        if unsure := self._without_role(possible):
            self._downloaded(role, len(unsure) + self._calls_by_name(role, left), 1)
            unsure = self._without_role(unsure)
        may_be = self._side_by_side(lambda user_id: self._may_be(role, user_id), unsure)
        return {user_id for user_id in possible if self._seen[user_id].role is role} | {
            user_id for user_id, is_of_role in zip(unsure, may_be, strict=True) if is_of_role
        }

    def _without_role(self, user_ids: Iterable[int]) -> list[int]:
        return [user_id for user_id in user_ids if self._seen[user_id].role is None]

    def _may_be(self, role: Role, user_id: int) -> bool:
        # OneFile may return a separate role number, or none, for an archived account (§8.1, §8.5).
        return (self._show(user_id).role or role) is role

    def _show(self, user_id: int) -> _Shown:
        """Read an account by its id, once."""
        if user_id not in self._shown:
            try:
                told = self._onefile.user(user_id)
                misid = str(told.get("misid") or "").strip()
                self._shown[user_id] = _Shown(True, role_in(told), misid, is_archived(told))
            except Refused:
                # It existed a moment ago, in an unknown role; no second account must be created.
                self._shown[user_id] = _Shown(is_there=False)
        return self._shown[user_id]

    def _show_again(self, user_id: int) -> _Shown:
        self._shown.pop(user_id, None)
        return self._show(user_id)

    def _without_listed(self, role: Role, user_ids: Set[int]) -> Set[int]:
        """Return the UserIDs that no download by role has shown as active; all of them if there was none."""
        hits = self._downloads.get(role, {})
        return user_ids - ({user_id for ids in hits.values() for user_id in ids} - self._flagged)

    def _is_unlisted(self, role: Role, user_id: int, misid: str) -> bool:
        """Whether a search with its role does not show an account, and one without a role does."""
        return not self._is_listed(role, user_id, misid) and self._is_listed(None, user_id, misid)

    def _is_listed(self, role: Role | None, user_id: int, misid: str) -> bool:
        """Whether a search for its MISID shows an account; if it is one by role, as active."""
        key = canonical(misid)
        is_known = user_id in self._downloads.get(role, {}).get(key, [])
        if self._heeds_misid and not is_known:
            for user in self._onefile.users(self._organisation_id, role, misid):
                if user.id == user_id:
                    return role is None or not is_archived(user.told)
                if not _is_near(user.misid, key):
                    # OneFile ignores the filter (U6).
                    self._heeds_misid = False
                    break
            else:
                return False
        is_shown = user_id in self._download(role).get(key, [])
        return is_shown and (role is None or user_id not in self._flagged)

    def _side_by_side(self, ask: Callable[[_Asked], _Told], about: Iterable[_Asked]) -> list[_Told]:
        with ThreadPoolExecutor(self._max_in_flight) as pool:
            return list(pool.map(ask, about))

    def _by_key(self, role: Role, hits: Downloaded) -> dict[Key, tuple[int, ...]]:
        return {Key(self._organisation_id, role, misid): tuple(ids) for misid, ids in hits.items()}


def _of_users(accounts: Mapping[int, Key]) -> list[tuple[Role, Set[int]]]:
    """The UserIDs by role, without places."""
    by_role: dict[Role, set[int]] = {}
    for user_id, key in accounts.items():
        if not key.role.is_place:
            by_role.setdefault(key.role, set()).add(user_id)
    return sorted(by_role.items())


def _is_near(found: str, wanted: str) -> bool:
    """Whether OneFile may have returned a MISID for this one: its filter may find prefixes, or in any letter case."""
    return found.casefold().startswith(wanted.casefold()) or skeleton(found) == skeleton(wanted)


def _only(downloaded: Downloaded, misids: Iterable[str]) -> Downloaded:
    return {misid: downloaded[misid] for misid in misids if misid in downloaded}


def _by_role(keys: Iterable[Key]) -> dict[Role, list[str]]:
    by_role: dict[Role, list[str]] = {}
    for key in sorted(keys):
        by_role.setdefault(key.role, []).append(key.misid)
    return by_role


def _located(codes: Iterable[Code], places: Iterable[Place]) -> dict[Code, int | Reason]:
    ids: dict[tuple[str, str], list[int]] = {}
    for place in places:
        ids.setdefault(("MISID", place.misid), []).append(place.id)
        ids.setdefault(("Name", place.name), []).append(place.id)
    return {code: _one_of(ids.get((code.by, code.text), [])) for code in codes}


def _one_of(ids: Sequence[int]) -> int | Reason:
    if not ids:
        return Reason.REFERENCE_NOT_FOUND
    return ids[0] if len(ids) == 1 else Reason.AMBIGUOUS
