"""Buffers for the records and steps of a run, in memory; a subclass may keep a million of them elsewhere."""

from collections.abc import Collection, Iterable, Iterator, MutableSet, Set
from itertools import chain
from typing import Generic, TypeVar

from syncd.core.fields import SENDING_ORDER, Role
from syncd.core.records import Key, Record

_Laid = TypeVar("_Laid")


class Buffer(Generic[_Laid]):
    """Items in the order in which they were added, all in memory."""

    def __init__(self) -> None:
        self._laid: list[_Laid] = []

    def append(self, one: _Laid) -> None:
        """Add an item."""
        self._laid.append(one)

    def __iter__(self) -> Iterator[_Laid]:
        return iter(self._laid)

    def close(self) -> Collection[_Laid]:
        """Return all items, once no more are added."""
        return tuple(self._laid)


class BufferFactory:
    """Makes the buffers of a run."""

    def new_buffer(self, kind: type[_Laid]) -> Buffer[_Laid]:  # noqa: ARG002 - subclasses need it
        """Return an empty buffer for items of one kind."""
        return Buffer()


class KeySet(MutableSet[Key]):
    """A set of keys in half the memory of a plain set: most have the same organisation and role."""

    def __init__(self) -> None:
        self._misids: dict[tuple[int, Role], set[str]] = {}

    def __contains__(self, key: object) -> bool:
        return isinstance(key, Key) and key.misid in self._misids.get(key[:2], ())

    def __iter__(self) -> Iterator[Key]:
        return (Key(*whose, misid) for whose, misids in self._misids.items() for misid in misids)

    def __len__(self) -> int:
        return sum(map(len, self._misids.values()))

    def add(self, value: Key) -> None:
        """Add a key."""
        self._misids.setdefault(value[:2], set()).add(value.misid)

    def discard(self, value: Key) -> None:
        """Remove a key, if it is there."""
        self._misids.get(value[:2], set()).discard(value.misid)


class RecordSet(Set[Key]):
    """The records that need a closer look: a set of their keys, and the records in the order in which they are sent."""

    def __init__(self, desk: BufferFactory) -> None:
        self._keys = KeySet()
        self._piles = {role: desk.new_buffer(Record) for role in SENDING_ORDER}

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    @classmethod
    def _from_iterable(cls, it: Iterable[Key]) -> Set[Key]:  # type: ignore[override]
        return frozenset(it)

    def add(self, record: Record) -> None:
        """Add a record."""
        self._keys.add(record.key)
        self._piles[record.key.role].append(record)

    def drop(self, key: Key) -> None:
        """Remove a record, if it is there."""
        self._keys.discard(key)

    def records(self) -> Iterator[Record]:
        """Return the records that are left, each after those that it refers to."""
        laid = chain.from_iterable(self._piles.values())
        return (record for record in laid if record.key in self._keys)
