"""The calls that OneFile has got, by what they are for, and how many its API needs for a search.

Nothing of syncd's own reckoning is used here, so that the two can be held against each other. Sections are those of the
OneFile API fact sheet.
"""

import re
from collections import Counter
from collections.abc import Iterable
from math import ceil
from typing import Final

from syncd.simulator.journal import Call

#: What each call is for, by method and path.
_KINDS: Final = {
    r"POST /Authentication": "log in",
    r"POST /Organisation/Search": "read the Keychain setting",
    r"GET /Organisation/\d+/LearnerStatuses": "read the learner statuses",
    r"POST /(Placement|Classroom)/Search/\d+/\d+": "list places",
    r"POST /User/Search/\d+/\d+": "look for users",
    r"GET /User/\d+": "read a user",
    r"GET /(Placement|Classroom)/\d+": "read a place",
    r"POST /Placement": "create a placement",
    r"POST /Classroom": "create a classroom",
    r"POST /User": "create a user",
    r"POST /User/\d+/AssignPlacement/.*": "grant an employer their placement",
    r"POST /User/\d+/Assign": "assign somebody to a learner",
    r"POST /User/\d+/Archive": "archive a user",
    r"POST /User/\d+/Unarchive": "bring a user back",
    r"POST /User/\d+": "update a user",
    r"POST /(Placement|Classroom)/\d+": "update a place",
}


def calls_made(calls: Iterable[Call]) -> Counter[str]:
    """The calls that reached OneFile, by what they are for; one that is for nothing known stands for itself."""
    return Counter(_kind_of(f"{call.method} {call.path}") for call in calls)


def _kind_of(call: str) -> str:
    return next((kind for pattern, kind in _KINDS.items() if re.fullmatch(pattern, call)), call)


def pages(rows: int, size: int) -> int:
    """How many calls bring so many rows: pages of this size, and an empty one, which alone tells the end (U1)."""
    return ceil(rows / size) + 1


def searches(newcomers: int, rows: int, size: int, *, there: int = 0) -> int:
    """How many calls look for newcomers by MISID, where all there are fill so many rows.

    One by one, nobody takes a call, and somebody one more, for only an empty page tells that no other has this MISID
    (§16). By page it may be fewer. How many are ``there`` nothing tells before, and it is the exception.

    It is no unpaged search, which would take one: the vendor asks for pages (§3), and where OneFile pays no heed to a
    MISID (U6) each of those would bring the whole college.
    """
    by_page = pages(rows, size)
    return newcomers + there if newcomers <= by_page else by_page


_NONE: Final[Counter[str]] = Counter()


def looks(
    newcomers: Counter[str],
    misids: int,
    rows: Counter[str],
    size: int,
    *,
    there: Counter[str] = _NONE,
    codes: Counter[str] = _NONE,
) -> int:
    """How many calls look for newcomers by MISID, and by name for those whom OneFile does not have by MISID.

    ``newcomers`` and ``rows`` are by role, ``misids`` is how many MISIDs the newcomers have. One by one, each MISID
    takes a call, and so does each name, unless the pages of the role are fewer. The pages of everybody tell both, and
    they alone tell of the archived, for a role is what an archived user has lost (U4). How many are ``there`` by MISID
    nothing tells before: each takes a second call, and none for the name.

    ``codes`` is for how many people of a role it is to be found who they are; they are there, and the pages of the role
    tell that too, but not those of everybody, on which nobody has a role.
    """
    by_page = pages(rows.total(), size) + _in_roles(_NONE, codes, rows, size)
    if misids + _in_roles(newcomers, codes, rows, size) > by_page:
        return by_page
    return misids + there.total() + _in_roles(newcomers - there, codes, rows, size)


def _in_roles(newcomers: Counter[str], codes: Counter[str], rows: Counter[str], size: int) -> int:
    return sum(min(newcomers[role] + 2 * codes[role], pages(rows[role], size)) for role in rows | newcomers)


def finds(there: int, rows: int, size: int) -> int:
    """The same for people who surely are there."""
    return min(2 * there, pages(rows, size))
