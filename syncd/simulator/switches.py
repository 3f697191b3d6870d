"""What nobody outside OneFile knows, as switches: section 18 of the OneFile API fact sheet.

Each default is what that section's "Simulator" column says, so a client that works with the defaults
works with the likeliest OneFile, and one that works with every setting works with any of them.
"""

from dataclasses import dataclass
from enum import StrEnum


class OverCap(StrEnum):
    """What a search does when asked for a larger page than it gives (U1)."""

    REFUSE = "refuse"
    """400."""
    CLAMP = "clamp"
    """As if the largest page had been asked for."""
    CUT = "cut"
    """The page begins where one of the size asked for would, and ends too early: what is left of it is on no page."""


class MisidFilter(StrEnum):
    """How a search takes its MISID filter (U6)."""

    EXACT = "exact"
    PREFIX = "prefix"
    IGNORED = "ignored"


class LimiterShape(StrEnum):
    """How calls are counted against the limit of a minute (U9)."""

    FIXED = "fixed"
    """Windows of 60 s, aligned to the clock's minutes."""
    SLIDING = "sliding"
    """No more than the limit in any 60 s."""
    BUCKET = "bucket"
    """A bucket of ten calls, refilled evenly."""
    OFF = "off"
    """No limit; OneFile has one, so this is for tests that are about something else."""


class ErrorBody(StrEnum):
    """How an error is worded (U12)."""

    MESSAGE = "message"
    CAPITAL_MESSAGE = "Message"
    TEXT = "text"
    HTML = "html"


class KeychainBody(StrEnum):
    """The body of a create's answer when Keychain creation is on (U14)."""

    EMPTY = "empty"
    NULL = "null"
    EMPTY_STRING = "empty-string"


class DateForm(StrEnum):
    """How answers write a date (U25)."""

    PLAIN = "plain"
    """``2022-06-01T00:00:00``"""
    ZULU = "zulu"
    """``2022-06-01T00:00:00.000Z``"""
    BST_SHIFT = "bst-shift"
    """What was written is taken as London's time and answered in UTC: ``2022-05-31T23:00:00.000Z``."""


@dataclass(frozen=True, slots=True)
class Switches:
    """How this OneFile behaves where the fact sheet leaves a choice; section 18 unless another is named."""

    page_cap: int = 100
    """U1: the largest page a search gives."""
    over_cap: OverCap = OverCap.REFUSE
    """U1: a larger page is refused with 400, or silently made smaller in one of two ways."""
    full_rows: bool = False
    """U2: paged searches give full rows instead of ``ID, FirstName, LastName, MISID``."""
    shuffle: bool = False
    """U3: rows come in another order on every search, so pages overlap and miss some."""
    archived_in_searches: bool = False
    """U4: searches by role also give archived users."""
    misid_filter: MisidFilter = MisidFilter.EXACT
    """U6: how a search takes MISID, of places too."""
    refuse_duplicate_misid: bool = False
    """U7: a create or update with a MISID that another user of the organisation has is 400."""
    limiter: LimiterShape = LimiterShape.FIXED
    """U9: how calls are counted."""
    calls_per_minute: int = 300
    """§3: the limit."""
    retry_after: bool = False
    """U9: a 429 says in ``Retry-After`` how many seconds to wait."""
    expired_session_status: int = 401
    """U11: the answer to an expired session."""
    error_body: ErrorBody = ErrorBody.MESSAGE
    """U12: how errors are worded."""
    keychain: bool = False
    """§8.3: organisations create Keychains, unless the seed says otherwise for one of them."""
    keychain_body: KeychainBody = KeychainBody.EMPTY
    """U14: the body of a create's answer when Keychain creation is on."""
    unknown_id_status: int = 404
    """U15: the answer to an id that does not exist; 400 is the other candidate."""
    done_status: int = 204
    """U17: the answer to Archive, Unarchive, Assign and AssignPlacement; 200 is the other candidate."""
    learner_in_assign_path: bool = False
    """U18: Assign has the learner in its path and the person assigned in LearnerID, where by default it is the other
    way round. With one id in both places nobody is named to be assigned: 400 either way."""
    employer_must_be_assigned: bool = False
    """§11: a default employer must have been assigned to the learner (level 1) before, as the product's pages demand;
    a create, whose learner is not there yet, cannot name one then."""
    clearing: bool = False
    """U16: null and ``""`` in an update clear the field, where by default they are ignored."""
    refuse_repeated_archiving: bool = False
    """U19: archiving the archived, or unarchiving the active, is 400 instead of a 204 that does nothing."""
    archived_learners_read_only: bool = True
    """U21: an update of an archived learner is 400."""
    strict: bool = False
    """U23, U24: ULN, NINO, L codes, e-mail addresses and lengths are checked, not only types."""
    refuse_unknown_fields: bool = True
    """A field or filter that §8.2, §8.6, §9, §10 or §11 does not list there is 400; off, it is ignored."""
    date_form: DateForm = DateForm.PLAIN
    """U25: how answers write a date."""
    flags_as_text: bool = False
    """§10: a placement read by id has Active as the text "true" or "false"; so has a classroom its flags."""
    search_lag_seconds: float = 0.0
    """How long after its creation a user or place first appears in searches; reading it by id works at once."""
    session_seconds: float = 86_400.0
    """§2: how long a session lives."""
    shuffle_seed: int = 0
    """Seeds the orders that ``shuffle`` makes."""
