"""Switches for OneFile's undocumented behaviour: section 18 of the OneFile API fact sheet.

The defaults come from that section's "Simulator" column, so a client that works with the defaults works with the
likeliest OneFile, and a client that works with every setting works with any OneFile.
"""

from dataclasses import dataclass
from enum import StrEnum


class OverCap(StrEnum):
    """What a search does if the requested page is too large (U1)."""

    REFUSE = "refuse"
    """400."""
    CLAMP = "clamp"
    """As if the largest page had been requested."""
    CUT = "cut"
    """The page begins where one of the requested size would, but ends early: the rest of it is on no page."""


class ArchivedForm(StrEnum):
    """How an archived account shows when it is read by id, and in full rows of a search (§8.1, U5)."""

    NOTHING = "nothing"
    """Not at all."""
    ARCHIVED = "Archived"
    """``Archived`` is true, and false for an active account."""
    IS_ARCHIVED = "IsArchived"
    """``IsArchived``, likewise."""
    DATE_ARCHIVED = "DateArchived"
    """``DateArchived`` has the date; an active account does not have the key."""
    ROLE_NUMBER = "role-number"
    """``Role`` is a number that no create may use: 2 for learners."""
    NO_ROLE = "no-role"
    """The key ``Role`` is missing."""


class MisidFilter(StrEnum):
    """How a search applies its MISID filter (U6)."""

    EXACT = "exact"
    ANY_CASE = "any-case"
    PREFIX = "prefix"
    IGNORED = "ignored"


class MisidForm(StrEnum):
    """How a search returns a MISID."""

    TEXT = "text"
    NUMBER = "number"
    """One of digits only is a number, without its leading zeros."""


class NameFilter(StrEnum):
    """How a search applies its filters FirstName and LastName (§8.6)."""

    EXACT = "exact"
    LOOSE = "loose"
    """Letter case and accents do not matter."""
    PREFIX = "prefix"
    IGNORED = "ignored"
    REFUSED = "refused"
    """400: the filters do not exist."""


class LimiterShape(StrEnum):
    """How calls are counted against the limit per minute (U9)."""

    FIXED = "fixed"
    """Windows of 60 s, aligned to the clock's minutes."""
    SLIDING = "sliding"
    """No more than the limit in any 60 s."""
    BUCKET = "bucket"
    """A bucket of ten calls, refilled evenly."""
    OFF = "off"
    """No limit; OneFile has one, so this is for tests of other behaviour."""


class ErrorBody(StrEnum):
    """The form of an error body (U12)."""

    MESSAGE = "message"
    CAPITAL_MESSAGE = "Message"
    TEXT = "text"
    HTML = "html"


class KeychainBody(StrEnum):
    """The body of a create's response when Keychain creation is on (U14)."""

    EMPTY = "empty"
    NULL = "null"
    EMPTY_STRING = "empty-string"


class DateForm(StrEnum):
    """The format of dates in responses (U25)."""

    PLAIN = "plain"
    """``2022-06-01T00:00:00``"""
    ZULU = "zulu"
    """``2022-06-01T00:00:00.000Z``"""
    BST_SHIFT = "bst-shift"
    """A date is read as London time and returned in UTC: ``2022-05-31T23:00:00.000Z``."""


@dataclass(frozen=True, slots=True)
class Switches:
    """The behaviour that the fact sheet leaves open; U numbers are those of section 18."""

    page_cap: int = 100
    """U1: the largest page of a search."""
    over_cap: OverCap = OverCap.REFUSE
    """U1: a larger page is refused with 400, or silently made smaller in one of two ways."""
    full_rows: bool = False
    """U2: paged searches return full rows instead of ``ID, FirstName, LastName, MISID``."""
    shuffle: bool = False
    """U3: every search returns rows in another order, so pages overlap and miss some rows."""
    archived_in_searches: bool = False
    """U4: searches by role also return archived users."""
    archived_form: ArchivedForm = ArchivedForm.NOTHING
    """U5: how an archived account shows when it is read."""
    misid_filter: MisidFilter = MisidFilter.EXACT
    """U6: how a search applies the MISID filter, for places too."""
    misid_form: MisidForm = MisidForm.TEXT
    """§8.6: how a search returns a MISID, for places too."""
    name_filter: NameFilter = NameFilter.EXACT
    """§8.6: how a search of users applies the filters of names."""
    refuse_duplicate_misid: bool = False
    """U7: a create or update with a MISID that another user of the organisation has is 400."""
    limiter: LimiterShape = LimiterShape.FIXED
    """U9: how calls are counted."""
    calls_per_minute: int = 300
    """§3: the limit."""
    retry_after: bool = False
    """U9: a 429 has a ``Retry-After`` header with the seconds to wait."""
    expired_session_status: int = 401
    """U11: the status for an expired session."""
    error_body: ErrorBody = ErrorBody.MESSAGE
    """U12: the form of error bodies."""
    keychain: bool = False
    """§8.3: organisations create Keychains, unless the seed overrides it for one of them."""
    keychain_body: KeychainBody = KeychainBody.EMPTY
    """U14: the body of a create's response when Keychain creation is on."""
    unknown_id_status: int = 404
    """U15: the status for an id that does not exist; 400 is the alternative."""
    done_status: int = 204
    """U17: the status of Archive, Unarchive, Assign and AssignPlacement; 200 is the alternative."""
    learner_in_assign_path: bool = False
    """U18: Assign has the learner in its path and the assigned user in LearnerID; by default it is the other way
    round. The same id in both places is 400 either way."""
    employer_must_be_assigned: bool = False
    """§11: a default employer must already be assigned to the learner (level 1), as the product's pages require; a
    create cannot name one then, because its learner does not exist yet."""
    clearing: bool = False
    """U16: null and ``""`` in an update clear the field; by default they are ignored."""
    seats: int = 0
    """§16: how many active learners an organisation may have; a create above that is 400. 0 sets no limit."""
    refuse_repeated_archiving: bool = False
    """U19: archiving an archived user, or unarchiving an active one, is 400 instead of a 204 without effect."""
    archived_learners_read_only: bool = True
    """U21: an update of an archived learner is refused; if off, it is carried out."""
    archived_update_status: int = 400
    """U21: the status of that refusal; 403 and 409 are alternatives."""
    strict: bool = False
    """U23, U24: ULN, NINO, L codes, e-mail addresses and lengths are checked, not only types."""
    refuse_unknown_fields: bool = True
    """A field or filter that §8.2, §8.6, §9, §10 or §11 does not list is 400; if off, it is ignored."""
    date_form: DateForm = DateForm.PLAIN
    """U25: the format of dates in responses."""
    flags_as_text: bool = False
    """§10: a placement read by id has Active as the text "true" or "false", and a classroom has its flags as text."""
    search_lag_seconds: float = 0.0
    """Seconds until a new user or place appears in searches; reading it by id works at once."""
    session_seconds: float = 86_400.0
    """§2: the lifetime of a session."""
    shuffle_seed: int = 0
    """The seed of ``shuffle``."""
