"""What OneFile must end up with for a learner, worked out from the return alone.

Nothing here is shared with syncd: the rules are written a second time, from the return's side.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from .ilr import PROGRAMME_AIM, Learner
from .mis import College, Mis

_NO_ULN_YET: Final = 9999999999
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[a-z]+")
_NI_NUMBER: Final = re.compile(r"[^\WDFIQUV\d][^\WDFIOQUV\d]\d{6}[ABCD]")


@dataclass(frozen=True, slots=True)
class Expected:
    """One learner's outcome."""

    fields: dict[str, str]
    """What the account holds, ids aside."""
    classroom: str | None
    """The class's code."""
    assessor: str | None
    """The assessor's code."""
    placement: str
    """The placement's name."""
    held: tuple[str, str] | None
    """Why nothing can be sent, if so: the reason and the field."""
    warnings: frozenset[str]
    """The fields that are left out because their value is of no use."""


def expect(learner: Learner, college: College) -> Expected:
    """What must become of a learner."""
    fields = {
        "MISID": learner.learn_ref_number,
        "FirstName": _trimmed(learner.given_names),
        "LastName": _trimmed(learner.family_name),
        "Email": learner.email,
        "L12": learner.ethnicity,
        "L13": learner.sex,
        "L14": None if learner.lldd_health_prob is None else str(learner.lldd_health_prob),
        "HomeAddress": "\n".join((*learner.address, *filter(None, [learner.postcode]))) or None,
        **_phone(learner),
        **_study(learner),
    }
    optional = {
        "DOB": (learner.date_of_birth, _birthday(learner.date_of_birth)),
        "ULN": (learner.uln, _uln(learner.uln)),
        "NINO": (learner.ni_number, _ni_number(learner.ni_number)),
    }
    classroom = next((one for one in college.classrooms if one.fund_model == _fund_model(learner)), None)
    return Expected(
        fields={
            name: value
            for name, value in {**fields, **{name: usable for name, (_, usable) in optional.items()}}.items()
            if value is not None
        },
        classroom=classroom.code if classroom else None,
        assessor=classroom.assessor_code if classroom else None,
        placement=college.placement_of(_emp_id(learner)),
        held=_reason_to_hold(learner),
        warnings=frozenset(name for name, (given, usable) in optional.items() if given is not None and usable is None),
    )


def sendable(mis: Mis) -> list[str]:
    """The MISIDs of the learners who can be sent."""
    return [one.learn_ref_number for one in mis.enrolled if expect(one, mis.college).held is None]


def _reason_to_hold(learner: Learner) -> tuple[str, str] | None:
    if learner.email is None:
        return "missing", "Email"
    return None if _ADDRESS.fullmatch(learner.email) else ("unusable", "Email")


def _trimmed(text: str | None) -> str | None:
    return text and text.strip()


def _phone(learner: Learner) -> dict[str, str | None]:
    is_mobile = (learner.tel_no or "").startswith("07")
    return {"MobileNumber" if is_mobile else "Telephone": learner.tel_no}


def _study(learner: Learner) -> dict[str, str]:
    programmes = [aim for aim in learner.deliveries if aim.aim_type == PROGRAMME_AIM]
    aims = programmes or learner.deliveries
    return {
        "StartOn": _midnight(min(aim.learn_start_date for aim in aims)),
        "PlannedEndDate": _midnight(max(aim.learn_plan_end_date for aim in aims)),
    }


def _fund_model(learner: Learner) -> int:
    return next(aim.fund_model for aim in learner.deliveries if aim.aim_seq_number == 1)


def _emp_id(learner: Learner) -> int | None:
    latest = max(learner.employments, key=lambda spell: spell.date_emp_stat_app, default=None)
    return latest.emp_id if latest else None


def _birthday(text: str | None) -> str | None:
    try:
        born = text and date.fromisoformat(text[:10])
    except ValueError:
        return None
    # The return has some learners who would be in their first ten years, and some of more than 110.
    return _midnight(born) if born and 10 <= (date.today() - born).days / 365.25 < 111 else None  # noqa: DTZ011


def _uln(number: int | None) -> str | None:
    if number is None or number == _NO_ULN_YET:
        return None if number is None else str(number)
    digits = [int(digit) for digit in str(number)]
    weighted = sum(digit * weight for digit, weight in zip(digits, range(10, 0, -1), strict=True))
    return str(number) if weighted % 11 == 10 else None


def _ni_number(text: str | None) -> str | None:
    compact = (text or "").replace(" ", "").upper()
    return compact if _NI_NUMBER.fullmatch(compact) else None


def _midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00:00.000Z"
