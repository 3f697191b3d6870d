"""Buffers for the records and steps of a run: there may be a million, so all but the last are packed in memory."""

import zlib
from collections.abc import Collection, Iterable, Iterator, MutableSet, Set
from itertools import chain
from typing import Final, Generic, TypeVar

import msgspec

from syncd.core.fields import SENDING_ORDER, Role
from syncd.core.records import Key, Record

#: How many items are packed at a time; up to as many stay as they are.
PACK_ROWS: Final = 500
#: The fastest: records differ little, so they take a seventh of their room already.
_COMPRESSION: Final = 1

_Laid = TypeVar("_Laid")


class Buffer(Collection[_Laid], Generic[_Laid]):
    """Items of one kind, which msgspec can encode, in the order in which they were added."""

    def __init__(self, kind: type[_Laid]) -> None:
        self._decoder = msgspec.msgpack.Decoder(list[kind])  # type: ignore[valid-type]
        self._packs: list[bytes] = []
        self._last: list[_Laid] = []

    def append(self, one: _Laid) -> None:
        """Add an item."""
        self._last.append(one)
        if len(self._last) == PACK_ROWS:
            self._packs.append(zlib.compress(msgspec.msgpack.encode(self._last), _COMPRESSION))
            self._last = []

    def __iter__(self) -> Iterator[_Laid]:
        for pack in self._packs:
            yield from self._decoder.decode(zlib.decompress(pack))
        yield from self._last

    def __len__(self) -> int:
        return len(self._packs) * PACK_ROWS + len(self._last)

    def __contains__(self, one: object) -> bool:
        return any(each == one for each in self)

    def close(self) -> Collection[_Laid]:
        """Return all items, once no more are added."""
        return self if self._packs else tuple(self._last)


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

    def __init__(self) -> None:
        self._keys = KeySet()
        self._piles = {role: Buffer(Record) for role in SENDING_ORDER}

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
