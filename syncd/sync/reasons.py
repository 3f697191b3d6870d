"""Why a record is held or a value left out, in words: what it means, and what a person can do about it."""

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
        "A record without a mandatory value is not sent.",
        "It is once the MIS has the value.",
    ),
    Reason.UNUSABLE: Advice(
        "A record with a mandatory value that is of no use is not sent.",
        "It is once the MIS is put right.",
    ),
    Reason.DUPLICATE_KEY: Advice(
        "Which of the rows is right is not for syncd to guess.",
        "Leave one row for each MISID.",
    ),
    Reason.REFERENCE_NOT_FOUND: Advice(
        "A record is sent only when OneFile has, or is about to get, what its codes stand for.",
        "Put the code right in the MIS, or make in OneFile what it stands for.",
    ),
    Reason.AMBIGUOUS: Advice(
        "More than one in OneFile could be meant, and syncd does not guess.",
        "Put that right in OneFile.",
    ),
    Reason.REFUSED: Advice(
        "What OneFile has refused is not sent again as it is.",
        "It is once the row is another, or after 'syncd retry'.",
    ),
    Reason.IN_DOUBT: Advice(
        "The answer to its create was lost.",
        "A run first looks for the account in OneFile, and then records or creates it, so that there are never two.",
    ),
    Reason.REKEYED: Advice(
        "Whoever may have an account under an older MISID gets no second one: a person must say.",
        "For the same person, 'syncd rekey OLD NEW' moves the account to the new MISID. "
        "For somebody new, 'syncd retry MISID' says so.",
    ),
}

LEFT_OUT: Final[Mapping[Reason, Advice]] = {
    Reason.UNUSABLE: Advice(
        "An optional value that cannot be right is left out, and its record is sent without it.",
        "It is sent once the MIS is put right.",
    ),
    Reason.CLEARED: Advice(
        "The MIS no longer has what OneFile still has, and nobody outside OneFile knows whether it can clear a field.",
        "Clear it in OneFile by hand; or see onefile.clear in the configuration.",
    ),
    Reason.REFUSED: Advice(
        "OneFile has refused this part of the record, and the rest of it is sent.",
        "It is sent again once the row is another, or after 'syncd retry'.",
    ),
}
