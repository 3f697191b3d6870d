"""An MIS: the tables that an ILR return is exported from, and the feed that is read from them."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Date,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    insert,
    update,
)

from .ilr import PROGRAMME_AIM, Learner

FALLBACK_PLACEMENT: Final = "Default Placement"

_BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Assessor:
    """A tutor, whom OneFile knows already."""

    code: str
    first_name: str
    last_name: str
    email: str


@dataclass(frozen=True, slots=True)
class Classroom:
    """A class: the learners of one kind of provision, and who assesses them."""

    code: str
    name: str
    fund_model: int
    assessor_code: str


@dataclass(frozen=True, slots=True)
class College:
    """What an ILR return does not say: who teaches what, and where the employers are."""

    assessors: tuple[Assessor, ...] = (
        Assessor("A-0001", "Siân", "Pryce-Jones", "sian@college.example"),
        Assessor("A-0002", "Tunde", "O'Brien", "tunde@college.example"),
        Assessor("A-0003", "Jürgen", "Weiß", "jurgen@college.example"),
    )
    classrooms: tuple[Classroom, ...] = (
        Classroom("COMM10", "Community Learning", 10, "A-0001"),
        Classroom("STUD25", "16-19 Study Programme", 25, "A-0001"),
        Classroom("ADULT35", "Adult Skills", 35, "A-0002"),
        Classroom("APP36", "Apprenticeships (from May 2017)", 36, "A-0003"),
        Classroom("ESF70", "European Social Fund", 70, "A-0002"),
        Classroom("STD81", "Other Adult", 81, "A-0003"),
        Classroom("OTH82", "Other 16-19", 82, "A-0001"),
        Classroom("FEE99", "Fee-payers' Evening Class", 99, "A-0002"),
    )
    placements: dict[int, str] = field(
        default_factory=lambda: {154549452: "O'Brien's Café", 107430562: "Müller & Söhne (Ashby) Ltd"}
    )
    """Employers' names by their ILR EmpId."""

    def placement_of(self, emp_id: int | None) -> str:
        """The name of an employer's placement; a learner without a known employer gets the college's own."""
        return FALLBACK_PLACEMENT if emp_id is None else self.placements.get(emp_id, FALLBACK_PLACEMENT)


METADATA: Final = MetaData()

_OF_LEARNER: Final = "learner.learn_ref_number"

# Dates of birth are text here, as in many an MIS that began as a spreadsheet: so a row can hold one that is no date.
LEARNER: Final = Table(
    "learner",
    METADATA,
    Column("learn_ref_number", String(12), primary_key=True),
    Column("uln", BigInteger),
    Column("family_name", String(100)),
    Column("given_names", String(100)),
    Column("date_of_birth", String(30)),
    Column("ethnicity", String(30)),
    Column("sex", String(30)),
    Column("lldd_health_prob", Integer),
    Column("ni_number", String(13)),
    Column("add_line_1", String(50)),
    Column("add_line_2", String(50)),
    Column("add_line_3", String(50)),
    Column("add_line_4", String(50)),
    Column("postcode", String(8)),
    Column("tel_no", String(18)),
    Column("email", String(100)),
)

LEARNING_DELIVERY: Final = Table(
    "learning_delivery",
    METADATA,
    Column("learn_ref_number", ForeignKey(_OF_LEARNER), primary_key=True),
    Column("aim_seq_number", Integer, primary_key=True),
    Column("aim_type", Integer, nullable=False),
    Column("learn_aim_ref", String(8), nullable=False),
    Column("learn_start_date", Date, nullable=False),
    Column("learn_plan_end_date", Date, nullable=False),
    Column("fund_model", Integer, nullable=False),
)

EMPLOYMENT: Final = Table(
    "employment",
    METADATA,
    Column("learn_ref_number", ForeignKey(_OF_LEARNER), primary_key=True),
    Column("date_emp_stat_app", Date, primary_key=True),
    Column("emp_stat", Integer, nullable=False),
    Column("emp_id", Integer),
)

ASSESSOR: Final = Table(
    "assessor",
    METADATA,
    Column("code", String(12), primary_key=True),
    Column("first_name", String(100), nullable=False),
    Column("last_name", String(100), nullable=False),
    Column("email", String(100), nullable=False),
)

CLASSROOM: Final = Table(
    "classroom",
    METADATA,
    Column("code", String(12), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("fund_model", Integer, nullable=False, unique=True),
    Column("assessor_code", ForeignKey("assessor.code"), nullable=False),
)

PLACEMENT: Final = Table(
    "placement",
    METADATA,
    Column("emp_id", Integer, primary_key=True, autoincrement=False),
    Column("name", String(100), nullable=False),
)

#: One row a learner, in SQL that SQLite, PostgreSQL and MariaDB all take as it stands. They share no other way to
#: join text than REPLACE: SQLite below 3.44 has no CONCAT, and MariaDB reads || as OR.
FEED: Final = f"""
SELECT
    learner.learn_ref_number AS MISID,
    learner.given_names AS FirstName,
    learner.family_name AS LastName,
    learner.email AS Email,
    learner.date_of_birth AS DOB,
    learner.uln AS ULN,
    learner.ni_number AS NINO,
    learner.ethnicity AS L12,
    learner.sex AS L13,
    learner.lldd_health_prob AS L14,
    REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(
        '{{1}}
{{2}}
{{3}}
{{4}}
{{5}}',
        '{{1}}', COALESCE(learner.add_line_1, '')),
        '{{2}}', COALESCE(learner.add_line_2, '')),
        '{{3}}', COALESCE(learner.add_line_3, '')),
        '{{4}}', COALESCE(learner.add_line_4, '')),
        '{{5}}', COALESCE(learner.postcode, '')) AS HomeAddress,
    CASE WHEN learner.tel_no LIKE '07%' THEN learner.tel_no END AS MobileNumber,
    CASE WHEN learner.tel_no NOT LIKE '07%' THEN learner.tel_no END AS Telephone,
    aims.start_on AS StartOn,
    aims.planned_end_date AS PlannedEndDate,
    classroom.code AS ClassroomMISID,
    COALESCE(placement.name, '{FALLBACK_PLACEMENT}') AS PlacementName,
    classroom.assessor_code AS DefaultAssessorMISID
FROM learner
JOIN (
    SELECT
        learn_ref_number,
        -- a programme aim spans all the others
        COALESCE(MIN(CASE WHEN aim_type = {PROGRAMME_AIM} THEN learn_start_date END),
                 MIN(learn_start_date)) AS start_on,
        COALESCE(MAX(CASE WHEN aim_type = {PROGRAMME_AIM} THEN learn_plan_end_date END),
                 MAX(learn_plan_end_date)) AS planned_end_date
    FROM learning_delivery
    GROUP BY learn_ref_number
) AS aims ON aims.learn_ref_number = learner.learn_ref_number
LEFT JOIN learning_delivery AS first_aim
    ON first_aim.learn_ref_number = learner.learn_ref_number AND first_aim.aim_seq_number = 1
LEFT JOIN classroom ON classroom.fund_model = first_aim.fund_model
LEFT JOIN employment
    ON employment.learn_ref_number = learner.learn_ref_number
    AND employment.date_emp_stat_app = (
        SELECT MAX(latest.date_emp_stat_app)
        FROM employment AS latest
        WHERE latest.learn_ref_number = learner.learn_ref_number
    )
LEFT JOIN placement ON placement.emp_id = employment.emp_id
"""


class Mis:
    """A college's MIS in a database of any make."""

    def __init__(self, engine: Engine, college: College) -> None:
        self.engine = engine
        self.college = college
        self.enrolled: list[Learner] = []
        METADATA.create_all(engine)
        with engine.begin() as connection:
            connection.execute(insert(ASSESSOR), [asdict(assessor) for assessor in college.assessors])
            connection.execute(insert(CLASSROOM), [asdict(classroom) for classroom in college.classrooms])
            connection.execute(
                insert(PLACEMENT),
                [{"emp_id": emp_id, "name": name} for emp_id, name in college.placements.items()],
            )

    @property
    def url(self) -> str:
        """The SQLAlchemy URL that reaches it."""
        return self.engine.url.render_as_string(hide_password=False)

    def enrol(self, learners: Iterable[Learner]) -> None:
        """Add learners with all that hangs on them, a batch at a time."""
        stream = iter(learners)
        with self.engine.begin() as connection:
            while batch := list(islice(stream, _BATCH)):
                _insert(connection, batch)
                self.enrolled.extend(batch)

    def correct(self, learn_ref_number: str, **columns: object) -> None:
        """Change columns of one learner."""
        with self.engine.begin() as connection:
            connection.execute(update(LEARNER).where(LEARNER.c.learn_ref_number == learn_ref_number).values(columns))

    def withdraw(self, learn_ref_number: str) -> None:
        """Delete a learner with all that hangs on it."""
        with self.engine.begin() as connection:
            for table in (EMPLOYMENT, LEARNING_DELIVERY, LEARNER):
                connection.execute(delete(table).where(table.c.learn_ref_number == learn_ref_number))
        self.enrolled = [one for one in self.enrolled if one.learn_ref_number != learn_ref_number]


def _insert(connection: Connection, learners: list[Learner]) -> None:
    rows: dict[Table, list[dict[str, Any]]] = {
        LEARNER: [_learner_row(learner) for learner in learners],
        LEARNING_DELIVERY: [
            {"learn_ref_number": learner.learn_ref_number, **asdict(aim)}
            for learner in learners
            for aim in learner.deliveries
        ],
        EMPLOYMENT: [
            {"learn_ref_number": learner.learn_ref_number, **asdict(spell)}
            for learner in learners
            for spell in learner.employments
        ],
    }
    for table, values in rows.items():
        if values:
            connection.execute(insert(table), values)


def _learner_row(learner: Learner) -> dict[str, Any]:
    row = asdict(learner)
    del row["deliveries"], row["employments"]
    lines = dict(enumerate(row.pop("address"), start=1))
    return row | {f"add_line_{number}": lines.get(number) for number in range(1, 5)}
