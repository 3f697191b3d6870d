"""Where a pass lays out its records and changes: in memory, or wherever there is room for a million of them."""

from collections.abc import Collection, Iterable, Iterator, MutableSet, Set
from itertools import chain
from typing import Generic, TypeVar

from syncd.core.fields import SENDING_ORDER, Role
from syncd.core.records import Key, Record

_Laid = TypeVar("_Laid")


class Buffer(Generic[_Laid]):
    """Things in the order in which they came, all of them in memory."""

    def __init__(self) -> None:
        self._laid: list[_Laid] = []

    def append(self, one: _Laid) -> None:
        """Lay another one on top."""
        self._laid.append(one)

    def __iter__(self) -> Iterator[_Laid]:
        return iter(self._laid)

    def close(self) -> Collection[_Laid]:
        """All of them, once no other comes."""
        return tuple(self._laid)


class BufferFactory:
    """Makes piles of whatever a pass comes to."""

    def new_buffer(self, kind: type[_Laid]) -> Buffer[_Laid]:  # noqa: ARG002 - others keep it as bytes
        """An empty pile for things of one kind."""
        return Buffer()


class KeySet(MutableSet[Key]):
    """Many keys, in half the memory that a set of them takes: most have the same organisation and role."""

    def __init__(self) -> None:
        self._misids: dict[tuple[int, Role], set[str]] = {}

    def __contains__(self, key: object) -> bool:
        return isinstance(key, Key) and key.misid in self._misids.get(key[:2], ())

    def __iter__(self) -> Iterator[Key]:
        return (Key(*whose, misid) for whose, misids in self._misids.items() for misid in misids)

    def __len__(self) -> int:
        return sum(map(len, self._misids.values()))

    def add(self, value: Key) -> None:
        """Take one in."""
        self._misids.setdefault(value[:2], set()).add(value.misid)

    def discard(self, value: Key) -> None:
        """Take one out."""
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
        """Take one in."""
        self._keys.add(record.key)
        self._piles[record.key.role].append(record)

    def drop(self, key: Key) -> None:
        """Leave one out, if it is there."""
        self._keys.discard(key)

    def records(self) -> Iterator[Record]:
        """All that are left: whoever is referred to before those who refer to them."""
        laid = chain.from_iterable(self._piles.values())
        return (record for record in laid if record.key in self._keys)
