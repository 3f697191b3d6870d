"""Others who do some of it: two that are installed with the extra ``bench``, and the design that comes to mind first.

They read the same table of the same MIS, into a database of the same make.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine, make_url, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from .college import College
from .contenders import Go, Hollow
from .learners import COLUMNS


class _Base(DeclarativeBase):
    pass


class _Learner(_Base):
    __tablename__ = "learner"

    number: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str]
    forename: Mapped[str]
    surname: Mapped[str]
    email: Mapped[str]
    date_of_birth: Mapped[date]
    uln: Mapped[str]
    ni_number: Mapped[str | None]
    mobile: Mapped[str]
    telephone: Mapped[str | None]
    address: Mapped[str]
    ethnicity: Mapped[str]
    sex: Mapped[str]
    lldd: Mapped[str]
    disability: Mapped[str | None]
    difficulty: Mapped[str | None]
    support_funding: Mapped[bool]
    programme: Mapped[str]
    starts_on: Mapped[date]
    planned_end_on: Mapped[date]
    class_name: Mapped[str]
    employer: Mapped[str]
    tutor_code: Mapped[str]


class _Model(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    reference: str
    forename: str
    surname: str
    email: str
    date_of_birth: date
    uln: str
    ni_number: str | None
    mobile: str
    telephone: str | None
    address: str
    ethnicity: str
    sex: str
    lldd: str
    disability: str | None
    difficulty: str | None
    support_funding: bool
    programme: str
    starts_on: date
    planned_end_on: date
    class_name: str
    employer: str
    tutor_code: str


@contextmanager
def naive(college: College) -> Iterator[Go]:
    """An object of the ORM and a model for each row, compared with the model that it made last time."""
    engine = create_engine(make_url(college.source))
    before: dict[str, _Model] = {}

    def go() -> int:
        with Session(engine) as session:
            now = {each.reference: _Model.model_validate(each) for each in session.scalars(select(_Learner))}
        changed = [misid for misid, model in now.items() if before.get(misid) != model]
        if before and changed:
            raise Hollow(f"{len(changed)} of nobody have changed")
        before.update(now)
        return len(now)

    yield go
    engine.dispose()


@contextmanager
def dlt_merge(college: College) -> Iterator[Go]:
    """dlt reads everybody and merges them by their MISID."""
    with _dlt(college, is_incremental=False) as go:
        yield go


@contextmanager
def dlt_incremental(college: College) -> Iterator[Go]:
    """dlt asks only for what has been written since, by a column that every change of the MIS must keep."""
    with _dlt(college, is_incremental=True) as go:
        yield go


@contextmanager
def _dlt(college: College, *, is_incremental: bool) -> Iterator[Go]:
    name = "incremental" if is_incremental else "merge"
    folder = college.folder / f"dlt-{name}"
    os.environ |= {
        # Nothing is told to anybody, and nothing written outside the folder.
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "CRITICAL",
        "DLT_DATA_DIR": str(folder),
        "DLT_PROJECT_DIR": str(folder),
    }
    folder.mkdir(parents=True)
    import dlt  # noqa: PLC0415 - only where it is installed, and only the process that measures it
    from dlt.destinations import postgres, sqlalchemy  # noqa: PLC0415
    from dlt.sources.sql_database import sql_table  # noqa: PLC0415

    warnings.simplefilter("ignore")
    source = make_url(college.source)
    is_sqlite = source.get_backend_name() == "sqlite"
    destination: Any = (
        sqlalchemy(f"sqlite:///{folder / 'target.db'}") if is_sqlite else postgres(_credentials(college.source))
    )
    pipeline = dlt.pipeline(name, destination=destination, dataset_name=f"dlt_{name}", pipelines_dir=str(folder))
    since = dlt.sources.incremental("updated_at", initial_value=datetime(2000, 1, 1)) if is_incremental else None  # noqa: DTZ001

    def go() -> int:
        table = sql_table(
            source.render_as_string(hide_password=False),
            table="learner",
            included_columns=[*(column.name for column in COLUMNS), "updated_at"],
            incremental=since,
            primary_key="reference",
            write_disposition="merge",
            chunk_size=10_000,
        )
        pipeline.run(table, loader_file_format=None)
        with pipeline.sql_client() as client:
            (found,) = client.execute_sql("SELECT count(*) FROM learner")
        seen: int = found[0]
        return seen

    yield go


def _credentials(url: str) -> dict[str, Any]:
    """As dlt wants them; a socket in a folder it takes for a host if its name is quoted."""
    parsed = make_url(url)
    return {
        "drivername": "postgresql",
        "host": parsed.host or quote(str(parsed.query["host"]), safe=""),
        "port": parsed.port or 5432,
        "database": parsed.database,
        "username": parsed.username,
        "password": parsed.password or "none",
    }


@contextmanager
def reladiff(college: College) -> Iterator[Go]:
    """reladiff compares the table with a copy of which one row in a thousand is another one; on PostgreSQL alone.

    It needs the copy to be in a database, and has the databases do the work.
    """
    import reladiff as compare  # noqa: PLC0415 - as above

    url = make_url(college.source)
    database = {
        "driver": "postgresql",
        "host": url.host or url.query["host"],
        "port": url.port,
        "dbname": url.database,
        "user": url.username,
    }
    names = [column.name for column in COLUMNS]

    def go() -> int:
        ours, copy = (compare.connect_to_table(database, table, "number") for table in ("learner", "learner_before"))
        differing = {row[0] for _, row in compare.diff_tables(ours, copy, extra_columns=tuple(names))}
        for table in (ours, copy):
            table.database.close()
        return len(differing)

    yield go


def copy_for_reladiff(url: str) -> None:
    """Keep the table as it is now, under the name that `reladiff` compares it with."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS learner_before")
        connection.exec_driver_sql("CREATE TABLE learner_before AS SELECT * FROM learner")
        connection.exec_driver_sql("ALTER TABLE learner_before ADD PRIMARY KEY (number)")
    engine.dispose()
