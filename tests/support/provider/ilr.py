"""An ILR return: its learners, read as a stream.

The Individualised Learner Record is what every publicly funded training provider in England exports from its MIS.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, iterparse

NAMESPACE: Final = "ESFA/ILR/2018-19"
PROGRAMME_AIM: Final = 1

#: The return that nobody here has written, and where it is unless the environment says otherwise.
_REAL_RETURN: Final = "ILR-10033670-1819-20180704-120055-03.xml"
_BESIDE_THE_REPOSITORY: Final = Path(__file__).parents[4] / "shared" / "data"

_IN: Final = {"": NAMESPACE}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One aim that a learner studies for."""

    aim_seq_number: int
    aim_type: int
    learn_aim_ref: str
    learn_start_date: date
    learn_plan_end_date: date
    fund_model: int


@dataclass(frozen=True, slots=True)
class Employment:
    """What a learner's employment was from a day on."""

    date_emp_stat_app: date
    emp_stat: int
    emp_id: int | None


@dataclass(frozen=True, slots=True)
class Learner:
    """One learner of a return, as dirty as the return had it."""

    learn_ref_number: str
    uln: int | None
    family_name: str | None
    given_names: str | None
    date_of_birth: str | None
    ethnicity: str | None
    sex: str | None
    lldd_health_prob: int | None
    ni_number: str | None
    address: tuple[str, ...]
    postcode: str | None
    tel_no: str | None
    email: str | None
    deliveries: tuple[Delivery, ...] = ()
    employments: tuple[Employment, ...] = ()


def read_return(path: Path) -> Iterator[Learner]:
    """Yield the learners of an ILR return, one in memory at a time."""
    events = iterparse(path, events=("start", "end"))  # noqa: S314 - the test's own files
    _, message = next(events)
    for event, element in events:
        if event == "end" and element.tag == f"{{{NAMESPACE}}}Learner":
            yield _learner(element)
            message.clear()


def real_return() -> list[Learner]:
    """The learners of the real return."""
    return list(read_return(Path(os.environ.get("SYNCD_TEST_DATA", _BESIDE_THE_REPOSITORY), _REAL_RETURN)))


def _learner(element: Element) -> Learner:
    return Learner(
        learn_ref_number=_required(element, "LearnRefNumber"),
        uln=_number(element, "ULN"),
        family_name=_text(element, "FamilyName"),
        given_names=_text(element, "GivenNames"),
        date_of_birth=_text(element, "DateOfBirth"),
        ethnicity=_text(element, "Ethnicity"),
        sex=_text(element, "Sex"),
        lldd_health_prob=_number(element, "LLDDHealthProb"),
        ni_number=_text(element, "NINumber"),
        address=tuple(line for n in range(1, 5) if (line := _text(element, f"AddLine{n}"))),
        postcode=_text(element, "Postcode"),
        tel_no=_text(element, "TelNo"),
        email=_text(element, "Email"),
        deliveries=tuple(_delivery(child) for child in element.iterfind("LearningDelivery", _IN)),
        employments=tuple(_employment(child) for child in element.iterfind("LearnerEmploymentStatus", _IN)),
    )


def _delivery(element: Element) -> Delivery:
    return Delivery(
        aim_seq_number=int(_required(element, "AimSeqNumber")),
        aim_type=int(_required(element, "AimType")),
        learn_aim_ref=_required(element, "LearnAimRef"),
        learn_start_date=date.fromisoformat(_required(element, "LearnStartDate")),
        learn_plan_end_date=date.fromisoformat(_required(element, "LearnPlanEndDate")),
        fund_model=int(_required(element, "FundModel")),
    )


def _employment(element: Element) -> Employment:
    return Employment(
        date_emp_stat_app=date.fromisoformat(_required(element, "DateEmpStatApp")),
        emp_stat=int(_required(element, "EmpStat")),
        emp_id=_number(element, "EmpId"),
    )


def _text(element: Element, name: str) -> str | None:
    return element.findtext(name, namespaces=_IN) or None


def _number(element: Element, name: str) -> int | None:
    text = _text(element, name)
    return None if text is None else int(text)


def _required(element: Element, name: str) -> str:
    text = _text(element, name)
    if text is None:
        raise ValueError(f"not an ILR return: a {element.tag} without {name}")
    return text
