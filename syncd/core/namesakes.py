"""Namesakes: accounts and places in OneFile that may be those of new records, by their names or their MISIDs.

OneFile's lists have no more than names and a MISID (§8.6), so nothing can contradict names that fit, and an operator
must decide. Names fit if they are equal, in any order, or if one is a form or a part of the other, such as "Tom" of
"Thomas". A MISID that looks like that of the record counts whatever the names are.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from syncd.core.evidence import Traits, fold, names_fit
from syncd.core.misid import skeleton
from syncd.core.records import Record

_NO_TRAITS: Final = Traits()
_Mark: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unlinked:
    """A user or a place in OneFile that no known account is."""

    onefile_id: int
    misid: str
    traits: Traits = _NO_TRAITS
    """The names of a user."""
    name: str = ""
    """The name of a place, folded."""

    @classmethod
    def user(cls, user_id: int, misid: str, first_name: str, last_name: str) -> Self:
        """A user, as a search returns it."""
        return cls(user_id, misid, Traits.from_fields({"FirstName": first_name, "LastName": last_name}))

    @classmethod
    def place(cls, onefile_id: int, misid: str, name: str) -> Self:
        """A place, as a search returns it."""
        return cls(onefile_id, misid, name=fold(name))


class Namesakes:
    """Finds those that resemble a record, among users or among places of one kind."""

    def __init__(self, unlinked: Iterable[Unlinked]) -> None:
        self._by_mark: dict[_Mark, list[Unlinked]] = {}
        for one in unlinked:
            for mark in {*_marks(one.traits, one.name), *_look(one.misid)}:
                self._by_mark.setdefault(mark, []).append(one)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._by_mark)

    def of(self, record: Record) -> Iterator[Unlinked]:
        """Return those that have the name of a record, or a MISID that looks like its MISID."""
        is_place, misid = record.key.role.is_place, record.key.misid
        traits = _NO_TRAITS if is_place else Traits.from_fields(record.fields)
        name = fold(record.name) if is_place else ""
        alike = {
            one.onefile_id: one
            for mark in {*_marks(traits, name), *_look(misid)}
            for one in self._by_mark.get(mark, ())
            if one.name == name != "" or names_fit(one.traits, traits) or _look(one.misid) == _look(misid)
        }
        return iter(alike.values())


def _marks(traits: Traits, name: str) -> Iterator[_Mark]:
    if name:
        yield "place", name
    if words := traits.first_words | traits.last_words:
        yield "words", *sorted(words)
        yield "names", traits.first_name, traits.last_name
    for word in traits.last_words:
        yield "last", word


def _look(misid: str) -> tuple[_Mark, ...]:
    return (("look", skeleton(misid)),) if misid else ()
