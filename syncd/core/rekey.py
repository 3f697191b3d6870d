"""Is somebody new really new, or somebody whose MISID has changed in the MIS?"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from syncd.core.fields import Role
from syncd.core.records import Key, Record
from syncd.core.values import Value

_NO_ULN_YET: Final = "9999999999"

_Mark: TypeAlias = tuple[object, ...]
"""What two records of one person have in common."""


def find_rekeyed(newcomers: Iterable[Record], gone: Mapping[Key, Mapping[str, Value]]) -> dict[Key, Key]:
    """The newcomers that look like an account whose record is gone, each with that account's key.

    ``gone`` are those accounts with the values OneFile last accepted. Alike are an equal ULN, or equal names and date
    of birth, within one role; of places an equal name. None is a key: it is for a person to say.
    """
    marked: dict[_Mark, Key] = {}
    for key, values in sorted(gone.items()):
        for mark in _marks(key.role, values):
            marked.setdefault(mark, key)
    found: dict[Key, Key] = {}
    for record in newcomers:
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
