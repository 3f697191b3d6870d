"""Find new records that may be a known person, or place, whose MISID has changed in the MIS."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from syncd.core.fields import Role
from syncd.core.records import Key, Record
from syncd.core.values import Value

_NO_ULN_YET: Final = "9999999999"

_Mark: TypeAlias = tuple[object, ...]
"""Values that two records of one person share."""


def find_rekeyed(new: Iterable[Record], gone: Mapping[Key, Mapping[str, Value]]) -> dict[Key, Key]:
    """The new records that resemble an account whose record is gone, each with that account's key.

    ``gone`` are those accounts with the values OneFile last accepted. Two resemble each other if the ULN is equal, or
    the names and the date of birth, within one role; places if their name is equal. None of these is a key, so a person
    decides.
    """
    marked: dict[_Mark, Key] = {}
    for key, values in sorted(gone.items()):
        for mark in _marks(key.role, values):
            marked.setdefault(mark, key)
    found: dict[Key, Key] = {}
    for record in new:
        for mark in _marks(record.key.role, record.fields):
            if mark in marked:
                found.setdefault(record.key, marked[mark])
    return found


def _marks(role: Role, values: Mapping[str, Value]) -> Iterator[_Mark]:
    if role.is_place:
        yield role, "name", values.get("Name")
        return
    uln = values.get("ULN")
    if uln and uln != _NO_ULN_YET:
        yield role, "ULN", uln
    who = [str(values.get(name, "")).casefold() for name in ("FirstName", "LastName", "DOB")]
    if all(who):
        yield role, "names", *who
