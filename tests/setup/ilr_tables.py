"""The tables of an ILR, called as the DfE calls them, with the learners of a return in them."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Date, Engine, Integer, MetaData, String, Table, insert

from tests.support.provider.ilr import Learner

UKPRN: Final = 10033670
METADATA: Final = MetaData()


def _key(*more: Column[Any]) -> tuple[Column[Any], ...]:
    return (
        Column("UKPRN", Integer, primary_key=True, autoincrement=False),
        Column("LearnRefNumber", String(12), primary_key=True),
        *more,
    )


# Dates of birth are text, so that one can be no date.
LEARNER: Final = Table(
    "Learner",
    METADATA,
    *_key(),
    Column("PrevLearnRefNumber", String(12)),
    Column("PrevUKPRN", Integer),
    Column("ULN", BigInteger),
    Column("FamilyName", String(100)),
    Column("GivenNames", String(100)),
    Column("DateOfBirth", String(30)),
    Column("Ethnicity", Integer),
    Column("Sex", String(1)),
    Column("LLDDHealthProb", Integer),
    Column("NINumber", String(13)),
    Column("PriorAttain", Integer),
    Column("PostcodePrior", String(8)),
    Column("Postcode", String(8)),
    *(Column(f"AddLine{number}", String(50)) for number in range(1, 5)),
    Column("TelNo", String(18)),
    Column("Email", String(100)),
)
LEARNING_DELIVERY: Final = Table(
    "LearningDelivery",
    METADATA,
    *_key(Column("AimSeqNumber", Integer, primary_key=True, autoincrement=False)),
    Column("LearnAimRef", String(8), nullable=False),
    Column("AimType", Integer, nullable=False),
    Column("LearnStartDate", Date, nullable=False),
    Column("OrigLearnStartDate", Date),
    Column("LearnPlanEndDate", Date, nullable=False),
    Column("FundModel", Integer, nullable=False),
    Column("ProgType", Integer),
    Column("StdCode", Integer),
    Column("PartnerUKPRN", Integer),
    Column("DelLocPostCode", String(8)),
    Column("CompStatus", Integer, nullable=False),
    Column("LearnActEndDate", Date),
    Column("Outcome", Integer),
)
EMPLOYMENT: Final = Table(
    "LearnerEmploymentStatus",
    METADATA,
    *_key(Column("DateEmpStatApp", Date, primary_key=True)),
    Column("EmpStat", Integer),
    Column("EmpId", Integer),
)
#: Two that no feed needs.
LEARNER_FAM: Final = Table(
    "LearnerFAM", METADATA, *_key(Column("LearnFAMType", String(3), primary_key=True)), Column("LearnFAMCode", Integer)
)
SOURCE: Final = Table(
    "Source", METADATA, Column("UKPRN", Integer, primary_key=True), Column("SoftwareSupplier", String(40))
)


def fill(engine: Engine, learners: Iterable[Learner]) -> None:
    """Make the tables and put the learners in."""
    METADATA.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(SOURCE), [{"UKPRN": UKPRN, "SoftwareSupplier": "Own Software"}])
        for learner in learners:
            key = {"UKPRN": UKPRN, "LearnRefNumber": learner.learn_ref_number}
            connection.execute(insert(LEARNER), [key | _own(learner)])
            if learner.deliveries:
                rows = [key | _named(LEARNING_DELIVERY, asdict(one)) | {"CompStatus": 1} for one in learner.deliveries]
                connection.execute(insert(LEARNING_DELIVERY), rows)
            if learner.employments:
                rows = [key | _named(EMPLOYMENT, asdict(one)) for one in learner.employments]
                connection.execute(insert(EMPLOYMENT), rows)


def _own(learner: Learner) -> dict[str, Any]:
    row = asdict(learner)
    lines = {f"AddLine{number}": line for number, line in enumerate(row.pop("address"), start=1)}
    return _named(LEARNER, row) | lines


def _named(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """The values of these columns, which a return calls ``learn_ref_number`` and the DfE ``LearnRefNumber``."""
    by_name = {column.lower(): column for column in table.columns.keys()}  # noqa: SIM118 - they are not the keys of a dict
    return {by_name[name.replace("_", "")]: value for name, value in row.items() if name.replace("_", "") in by_name}
