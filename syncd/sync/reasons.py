"""The reasons why a record is held or a value left out: what each means, and what to do.

The one source of these sentences: for 'syncd held', 'syncd help', 'syncd explain', the pages and a plan's page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from syncd.core.records import Reason


@dataclass(frozen=True, slots=True)
class Advice:
    """What a reason means, and what to do."""

    meaning: str
    remedy: str


_MANY: Final = "Many at once: 'syncd retry --from CSV', or the page 'Held'."

HELD: Final[Mapping[Reason, Advice]] = {
    Reason.MISSING: Advice(
        "A mandatory value is empty in the MIS; OneFile accepts no record without it.",
        "Enter the value in the MIS; the next run sends the record.",
    ),
    Reason.UNUSABLE: Advice(
        "A mandatory value is invalid, for example a malformed e-mail address.",
        "Correct it in the MIS; the next run sends the record.",
    ),
    Reason.UNUSABLE_KEY: Advice(
        "The MISID has an invisible or control character, or is too long, so people cannot tell it from another one.",
        "Correct it in the MIS, or in the feed's query.",
    ),
    Reason.DUPLICATE_KEY: Advice(
        "Several rows have this MISID, and syncd does not guess which one is right.",
        "Leave one row per MISID, in the MIS or in the feed's query.",
    ),
    Reason.LOOKALIKE_KEY: Advice(
        "The MISID differs from a known one only in case, width, blanks or leading zeros. It may be the same person.",
        "If it is the same person: 'syncd rekey OLD NEW', or correct the MISID in the MIS. "
        f"If it is a new person: 'syncd retry MISID'. {_MANY}",
    ),
    Reason.REFERENCE_NOT_FOUND: Advice(
        "The row refers to an assessor, a class or another record by a code that OneFile does not have.",
        "Correct the code in the MIS, or create the matching record in OneFile.",
    ),
    Reason.AMBIGUOUS: Advice(
        "OneFile has several accounts or places with this MISID or name, and syncd does not guess.",
        "In OneFile, leave this MISID or name on one of them.",
    ),
    Reason.SEARCH_MISMATCH: Advice(
        "OneFile's search for the MISID of a new record returned accounts with other MISIDs, or MISIDs as numbers, "
        "which have lost their leading zeros. So it is not known whether OneFile has the account.",
        "Each run searches again; 'syncd retry MISID' and 'syncd sync' do so now. If it stays: 'syncd link' compares "
        "OneFile's accounts with the record, and OneFile's support can say what is wrong with the search.",
    ),
    Reason.REFUSED: Advice(
        "OneFile refused the record. The same values are not sent again.",
        "Correct the row in the MIS. If the cause was in OneFile and is fixed: 'syncd retry MISID'.",
    ),
    Reason.REJECTED: Advice(
        "An operator has rejected the change in a stopped run, or has undone the run that made it. It is not planned "
        "again until the record changes.",
        "Correct the row in the MIS. To have the change planned again as it is: 'syncd retry MISID', or "
        "'syncd retry --reason rejected' for all.",
    ),
    Reason.IN_DOUBT: Advice(
        "A create was sent and its answer was lost, so OneFile may or may not have the account. A new MISID that may "
        "be of the same person waits as well.",
        "Usually nothing to do: each run searches OneFile for it and links what it finds. What is not found is created "
        "once the search is known to be up to date, because it shows an account that syncd has created later; if "
        "there is no later one, after a day. Not to wait, look in OneFile, and if the person or place is not there: "
        "'syncd retry MISID'.",
    ),
    Reason.REKEYED: Advice(
        "The person resembles one whose record has disappeared; syncd creates no second account unasked.",
        f"If it is the same person: 'syncd rekey OLD NEW'. If it is a new person: 'syncd retry MISID'. {_MANY}",
    ),
    Reason.ANOTHER_PERSON: Advice(
        "The names and other values under this MISID have changed to those of another person, as when an MIS uses a "
        "MISID again. syncd does not give one person's portfolio to another.",
        f"If it is the same person: 'syncd retry MISID'. If the MISID has a new owner: 'syncd release MISID'. {_MANY}",
    ),
    Reason.HAS_AN_ACCOUNT: Advice(
        "OneFile has an account with the names of this new person, or a place with this name, that no record belongs "
        "to; or its MISID looks like the new one. syncd creates no second account unasked.",
        f"'syncd link' compares the two. If the account is another person's: 'syncd retry MISID'. {_MANY}",
    ),
}

LEFT_OUT: Final[Mapping[Reason, Advice]] = {
    Reason.UNUSABLE: Advice(
        "An optional value is invalid; the record is sent without it.",
        "Correct it in the MIS; the next run sends it.",
    ),
    Reason.REFERENCE_NOT_FOUND: Advice(
        "The row refers to an employer or a learner status by a code that OneFile does not have, or to an employer "
        "that is held; the record is sent without it.",
        "Correct the code in the MIS, or create what it stands for in OneFile; the next run sends this one field.",
    ),
    Reason.AMBIGUOUS: Advice(
        "OneFile has several accounts or learner statuses with this MISID or name, and syncd does not guess; the "
        "record is sent without it.",
        "In OneFile, leave this MISID or name on one of them; the next run sends this one field.",
    ),
    Reason.DOUBTFUL: Advice(
        "The value looks wrong, for example a name without a letter, or with two characters in place of one that has "
        "an accent; it is sent as it is.",
        "Correct it in the MIS; the next run sends it. Many with accents: the MIS has a wrong character set for that "
        "column.",
    ),
    Reason.SAME_PERSON: Advice(
        "Another current record seems to be about the same person; each has an account of its own.",
        "Nothing, if the person needs two accounts. If not, remove one of the records from the feed.",
    ),
    Reason.CLEARED: Advice(
        "The value is now empty in the MIS but not in OneFile; it is not documented whether OneFile can clear a field.",
        "Clear it in OneFile by hand, or see onefile.clear in the configuration.",
    ),
    Reason.REFUSED: Advice(
        "OneFile refused this part of the record; the rest is sent.",
        "Correct the row in the MIS. If the cause was in OneFile and is fixed: 'syncd retry MISID'.",
    ),
}


def describe(code: str) -> str:
    """A reason's or a state's code such as ``duplicate_key`` in words."""
    return code.replace("_", " ")
