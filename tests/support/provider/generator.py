"""A small ILR return of made-up people, with the dirt of a real one.

The same seed gives the same return. What is wrong with it is written down in `_dirt`, by the learner's place.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from .ilr import NAMESPACE, PROGRAMME_AIM, Delivery, Employment, Learner

#: More than the guard's default floor of 50, so that a first run is stopped.
SIZE: Final = 90
SEED: Final = 1819

NO_ULN_YET: Final = 9999999999

_GIVEN: Final = (
    "Mary Jane", "Zoë", "Siobhán", "Mohammed", "Łukasz", "Anne-Marie", "Nguyễn", "José", "Chloé", "Tom",
    "Ayşe", "Björn", "Aoife", "Renée", "Oluwaseun", "Grace", "Jakub", "Priya", "François", "Li",
)  # fmt: skip
_FAMILY: Final = (
    "Sméth", "O'Connor", "D'Souza", "Müller", "Ní Bhriain", "van der Berg", "Smith-Jones", "Okafor", "Çelik",
    "Núñez", "Kowalska", "Patel", "O’Neill", "Brontë", "Håkansson", "Lee", "St. John", "Żak",  # noqa: RUF001 - a typist's apostrophe
)  # fmt: skip
_STREETS: Final = ("Queen's Road", "Rue Street", "St. Mary's Close", "High Street", "Maes-y-dre")
_EMPLOYERS: Final = (154549452, 154549452, 107430562, 900000001)
"""The last is one that the college has no placement for."""
_FUND_MODELS: Final = (10, 25, 35, 36, 70, 81, 82, 99)
_NINO_PREFIXES: Final = ("LJ", "AB", "PC", "ST")
_FIRST_START: Final = date(2016, 8, 1)


def made_up_learners(size: int = SIZE, seed: int = SEED) -> list[Learner]:
    """The learners of a small return, or of a larger one that has no more dirt."""
    rng = Random(seed)
    learners = [_clean(number, rng) for number in range(size)]
    for place, changes in _dirt(learners, rng).items():
        learners[place] = replace(learners[place], **changes)
    return learners


def _clean(number: int, rng: Random) -> Learner:
    return Learner(
        learn_ref_number=f"{number % 4}{rng.choice(('Addl', 'ALB', 'DOB', 'LLDDHP'))}{number:03}",
        uln=_uln(rng),
        family_name=rng.choice(_FAMILY),
        given_names=rng.choice(_GIVEN),
        date_of_birth=(date(1990, 1, 1) + timedelta(days=rng.randrange(5000))).isoformat(),
        ethnicity=str(rng.choice((31, 31, 31, 34, 39, 44, 98, 99))),
        sex=rng.choice(("F", "M")),
        lldd_health_prob=rng.choice((1, 2, 2, 2, 9)),
        ni_number=f"{rng.choice(_NINO_PREFIXES)}{rng.randrange(10**6):06}{rng.choice('ABCD')}",
        address=_address(rng),
        postcode="ZZ99 9ZZ",
        tel_no=rng.choice(("07855555555", "01632 960000", "07700 900123", None)),
        email=f"learner{number:03}@students.example.ac.uk",
        deliveries=_deliveries(rng),
        employments=_employments(rng),
    )


def _dirt(learners: list[Learner], rng: Random) -> dict[int, dict[str, Any]]:
    dirt: dict[int, dict[str, Any]] = {
        # nobody can be created without an address to write to
        3: {"email": None},
        21: {"email": None},
        40: {"email": "nobody at all"},
        # optional values that no OneFile field can take
        7: {"uln": 9900000005},
        33: {"uln": 1234567890},
        12: {"date_of_birth": "31/02/1999"},
        18: {"ni_number": "QQ 12 34 56 Z"},
        # optional values that are not there
        5: {"date_of_birth": None, "tel_no": None},
        26: {"address": (), "postcode": None},
        44: {"ethnicity": None, "sex": None, "lldd_health_prob": None},
        # values that are right, and look wrong
        9: {"ni_number": "lj 12 34 56 a"},
        15: {"date_of_birth": "1999-02-28 00:00:00"},
        16: {"given_names": "  Mary   Jane "},
        # a brother and a sister, one mailbox; one person, two numbers
        30: {"email": learners[29].email},
        36: {"uln": learners[35].uln},
    }
    for place in (1, 11, 31, 41, 51):
        dirt[place] = {"uln": NO_ULN_YET}
    for place in rng.sample(range(52, 90), 10):
        dirt[place] = {"ni_number": None}
    for place in (2, 22, 42):
        dirt[place] = {"employments": ()}
    return dirt


def _uln(rng: Random) -> int:
    """Ten digits, of which the last makes the weighted sum leave 10 when divided by 11."""
    while True:
        digits = [rng.randrange(1, 9), *(rng.randrange(10) for _ in range(8))]
        weighted = sum(weight * digit for weight, digit in zip(range(10, 1, -1), digits, strict=True))
        check = (10 - weighted) % 11
        if check < 10:
            return int("".join(map(str, (*digits, check))))


def _address(rng: Random) -> tuple[str, ...]:
    lines = (f"{rng.randrange(1, 99)} {rng.choice(_STREETS)}", "Flat 2½", "Llanfair", "Ynys Môn")
    return lines[: rng.choice((1, 1, 2, 3, 4))]


def _deliveries(rng: Random) -> tuple[Delivery, ...]:
    on_programme = rng.random() < 0.25
    fund_model = 36 if on_programme else rng.choice(_FUND_MODELS)
    start = _FIRST_START + timedelta(days=rng.randrange(700))
    aims = []
    for number in range(1, rng.choice((1, 1, 1, 2, 2, 3)) + 1 + on_programme):
        is_programme = on_programme and number == 1
        # Components may begin before their programme and end after it: the programme's dates count.
        shift = timedelta(days=0 if is_programme else rng.randrange(-60, 200))
        aims.append(
            Delivery(
                aim_seq_number=number,
                aim_type=PROGRAMME_AIM if is_programme else rng.choice((3, 4, 5)),
                learn_aim_ref="ZPROG001" if is_programme else rng.choice(("60133533", "5006521X")),
                learn_start_date=start + shift,
                learn_plan_end_date=start + shift + timedelta(days=rng.randrange(200, 700)),
                fund_model=fund_model,
            )
        )
    return tuple(aims)


def _employments(rng: Random) -> tuple[Employment, ...]:
    spells = [Employment(date(2016, 6, 22), 10, rng.choice(_EMPLOYERS))]
    if rng.random() < 0.2:
        # moved, or out of work since
        spells.append(Employment(date(2017, 6, 10), 11, rng.choice((None, *_EMPLOYERS))))
    return tuple(spells)


def write_return(path: Path, learners: Iterable[Learner]) -> None:
    """Write learners as an ILR return."""
    message = Element(_tag("Message"))
    header = SubElement(message, _tag("Header"))
    _add(SubElement(header, _tag("CollectionDetails")), Collection="ILR", Year="1819")
    _add(SubElement(message, _tag("LearningProvider")), UKPRN="10033670")
    for learner in learners:
        _add_learner(message, learner)
    indent(message)
    ElementTree(message).write(path, encoding="utf-8", xml_declaration=True, default_namespace=NAMESPACE)


def _add_learner(message: Element, learner: Learner) -> None:
    element = SubElement(message, _tag("Learner"))
    _add(
        element,
        LearnRefNumber=learner.learn_ref_number,
        ULN=learner.uln,
        FamilyName=learner.family_name,
        GivenNames=learner.given_names,
        DateOfBirth=learner.date_of_birth,
        Ethnicity=learner.ethnicity,
        Sex=learner.sex,
        LLDDHealthProb=learner.lldd_health_prob,
        NINumber=learner.ni_number,
        Postcode=learner.postcode,
        **{f"AddLine{number}": line for number, line in enumerate(learner.address, start=1)},
        TelNo=learner.tel_no,
        Email=learner.email,
    )
    for spell in learner.employments:
        _add(
            SubElement(element, _tag("LearnerEmploymentStatus")),
            EmpStat=spell.emp_stat,
            DateEmpStatApp=spell.date_emp_stat_app,
            EmpId=spell.emp_id,
        )
    for aim in learner.deliveries:
        _add(
            SubElement(element, _tag("LearningDelivery")),
            LearnAimRef=aim.learn_aim_ref,
            AimType=aim.aim_type,
            AimSeqNumber=aim.aim_seq_number,
            LearnStartDate=aim.learn_start_date,
            LearnPlanEndDate=aim.learn_plan_end_date,
            FundModel=aim.fund_model,
        )


def _add(parent: Element, **values: object) -> None:
    for name, value in values.items():
        if value is not None:
            SubElement(parent, _tag(name)).text = str(value)


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
