"""When OneFile refuses one kind of action for record after record, that action is suspended.

The cause is then not in the records: a seat is missing, a right, a class. So the rest stays queued, each run tries one
record, and when OneFile accepts one, sending continues.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from syncd.core.fields import FIELDS, Role
from syncd.core.plan import Assign, Create, Grant, Leaver, Rekey, Returner, Step, Update
from syncd.core.redaction import redact
from syncd.core.run import Action
from syncd.core.values import Sent

#: So many different records in a row, refused for one reason, are systematic.
SUSPENDED_AFTER: Final = 5

_FIELD_NAMES: Final = frozenset(FIELDS)
_WORD: Final = re.compile(r"\S+")
_SENTENCE_END: Final = (".", "!", "?", ":", ";")
_AROUND: Final = ".,;:!?()[]{}<>\u2026"


class ActionKind(NamedTuple):
    """A kind of action that is suspended on its own: creates of learners, updates of assessors."""

    role: Role
    action: Action

    @classmethod
    def of(cls, step: Step) -> Self:
        """The kind of a step that takes a call."""
        key = step.learner if isinstance(step, Assign) else step.key
        is_link = isinstance(step, Update) and step.is_link
        return cls(key.role, Action.LINK if is_link else _ACTIONS[type(step)])

    def __str__(self) -> str:
        """In words, such as "creates of learners"."""
        return f"{_PLURALS[self.action]} of {self.role.lower() if self.role is not Role.IQA else self.role}s"


_ACTIONS: Final[Mapping[type[Step], Action]] = {
    Create: Action.CREATE,
    Update: Action.UPDATE,
    Grant: Action.ASSIGN,
    Assign: Action.ASSIGN,
    Rekey: Action.REKEY,
    Returner: Action.UNARCHIVE,
    Leaver: Action.ARCHIVE,
}

_PLURALS: Final = {
    Action.CREATE: "creates",
    Action.UPDATE: "updates",
    Action.LINK: "links",
    Action.ARCHIVE: "archivings",
    Action.UNARCHIVE: "unarchivings",
    Action.REKEY: "changes of the MISID",
    Action.ASSIGN: "assignments",
}


def reason_of(status: int, message: str, *values: Mapping[str, Sent]) -> str:
    """The reason of a refusal: its status, and OneFile's words without names and numbers.

    Left out are ``values``, which are the record's by field, everything in quotation marks, e-mail addresses, words
    with a digit, and words with a capital inside a sentence unless they are names of OneFile's fields.
    """
    words: list[str] = []
    begins = True
    for word in _WORD.findall(redact(message, *values)):
        bare = word.strip(_AROUND)
        is_name = bare[:1].isupper() and not begins and bare not in _FIELD_NAMES
        if bare and not is_name and "@" not in bare and not any(letter.isdigit() for letter in bare):
            words.append(bare)
        begins = word.endswith(_SENTENCE_END)
    return f"status {status}" + (f": {' '.join(words)}" if words else "")


@dataclass(frozen=True, slots=True)
class Streak:
    """The refusals in a row of one kind of action, for one reason, with no success in between."""

    reason: str
    misids: tuple[str, ...] = ()
    """The different records, in the order of OneFile's answers."""
    is_suspended: bool = False

    def continues(self, before: Self | None) -> bool:
        """Whether this streak had begun by the time of ``before``."""
        return before is not None and (before.reason, before.misids[:1]) == (self.reason, self.misids[:1])

    def refused(self, reason: str, misid: str) -> Self:
        """The streak after one more refusal. Another reason begins another streak, unless the action is suspended."""
        if reason != self.reason:
            return self if self.is_suspended else type(self)(reason, (misid,))
        misids = self.misids if misid in self.misids else (*self.misids, misid)
        return type(self)(reason, misids, self.is_suspended or len(misids) >= SUSPENDED_AFTER)
