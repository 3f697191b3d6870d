"""Why a record is held or a value left out, in words: what it means, and what a person can do about it.

The one source of these words: for 'syncd held', 'syncd help', 'syncd explain', the pages and a plan's page.
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


HELD: Final[Mapping[Reason, Advice]] = {
    Reason.MISSING: Advice(
        "A mandatory value is empty in the MIS, and OneFile takes no record without it.",
        "Give it a value in the MIS; the next run sends the record.",
    ),
    Reason.UNUSABLE: Advice(
        "A mandatory value cannot be right, such as an e-mail address that is none.",
        "Correct it in the MIS; the next run sends the record.",
    ),
    Reason.DUPLICATE_KEY: Advice(
        "Several rows have this MISID, and which of them is right is not for syncd to guess.",
        "Leave one row for each MISID, in the MIS or by the feed's query.",
    ),
    Reason.REFERENCE_NOT_FOUND: Advice(
        "The row names an assessor, a class or the like by a code, and OneFile has nothing with that code.",
        "Correct the code in the MIS, or make in OneFile what it stands for.",
    ),
    Reason.AMBIGUOUS: Advice(
        "OneFile has more than one account or place that could be meant, and syncd does not guess.",
        "In OneFile, leave this MISID or name on one of them.",
    ),
    Reason.REFUSED: Advice(
        "OneFile has said no, and the same is not sent again.",
        "Correct the row in the MIS; if the cause lay in OneFile and is gone, 'syncd retry MISID'.",
    ),
    Reason.IN_DOUBT: Advice(
        "A create was sent and its answer was lost, so OneFile may or may not have the account.",
        "Nothing: a run looks for it in OneFile first, and links it or creates it, so that there are never two.",
    ),
    Reason.REKEYED: Advice(
        "The person looks like one whose record is gone, and nobody gets a second account unasked.",
        "The same person: 'syncd rekey OLD NEW'. Somebody new: 'syncd retry MISID'.",
    ),
}

LEFT_OUT: Final[Mapping[Reason, Advice]] = {
    Reason.UNUSABLE: Advice(
        "An optional value that cannot be right is left out, and its record is sent without it.",
        "Correct it in the MIS; the next run sends it.",
    ),
    Reason.CLEARED: Advice(
        "The MIS no longer has what OneFile still has, and nobody outside OneFile knows whether it can clear a field.",
        "Clear it in OneFile by hand; or see onefile.clear in the configuration.",
    ),
    Reason.REFUSED: Advice(
        "OneFile has refused this part of the record, and the rest of it is sent.",
        "Correct the row in the MIS; if the cause lay in OneFile and is gone, 'syncd retry MISID'.",
    ),
}


def describe(code: str) -> str:
    """A code such as ``duplicate_key``, of a reason or a state, as people write it."""
    return code.replace("_", " ")
