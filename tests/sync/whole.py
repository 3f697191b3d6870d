"""A whole organisation: feeds of every kind, whose rows a test sets as it likes."""

from dataclasses import replace
from typing import Any

from sqlalchemy import create_engine, text

from syncd.core.fields import Role
from syncd.sync.context import Feed
from syncd.sync.run import RunResult
from tests.support.college import College

Row = dict[str, Any]
PLACES = (Role.PLACEMENT, Role.CLASSROOM)


class Whole:
    """Feeds by role, each a list of rows by MISID, and those who are assigned to learners."""

    def __init__(self, college: College) -> None:
        self.college = college
        self.people: dict[Role, list[Row]] = {}
        self.links: dict[Role, list[tuple[str, str]]] = {}
        """Learner and user, by the user's role."""

    def add(self, role: Role, misid: str, **columns: Any) -> Row:
        """One more row of a role, with what is mandatory made up."""
        row: Row = {"MISID": misid}
        if role in PLACES:
            row["Name"] = f"{role} {misid}"
        else:
            row |= {"FirstName": "Ann", "LastName": f"Example-{misid}", "Email": f"{misid}@college.example"}
        row |= columns
        self.people.setdefault(role, []).append(row)
        return row

    def add_everything(self) -> None:
        """A placement, a class, an assessor, an IQA, an employer, and a learner who has them all."""
        self.add(Role.PLACEMENT, "P1", Address="1 High Street\nLeeds")
        self.add(Role.CLASSROOM, "C1")
        self.add(Role.ASSESSOR, "A9")
        self.add(Role.IQA, "Q1")
        self.add(Role.EMPLOYER, "E1", PlacementMISID="P1")
        self.learner("L1")

    def learner(self, misid: str, **columns: Any) -> Row:
        usual = {
            "DefaultAssessorMISID": "A9",
            "ClassroomMISID": "C1",
            "PlacementMISID": "P1",
            "DefaultEmployerMISID": "E1",
        }
        return self.add(Role.LEARNER, misid, **(usual | columns))

    def run(self, **options: Any) -> RunResult:
        """One pass over the feeds as they are now."""
        self.write()
        return self.college.run(**options)

    def write(self) -> None:
        """Make the feeds yield the rows as they are now."""
        links = {
            role: [{"LearnerMISID": learner, "UserMISID": user} for learner, user in pairs]
            for role, pairs in self.links.items()
        }
        self.college.context = replace(
            self.college.context,
            feeds=tuple(self._feed(str(role), role, rows) for role, rows in self.people.items()),
            assignment_feeds=tuple(self._feed(f"{role} links", role, rows) for role, rows in links.items()),
        )

    def id_of(self, role: Role, misid: str) -> int:
        """OneFile's id of what the state store knows by this MISID."""
        found = self.college.known_id(misid, role)
        assert found is not None, f"{role} {misid} has no account"
        return found

    def forget(self) -> None:
        """What OneFile has been told so far is of no interest."""
        self.college.writes()

    @property
    def told(self) -> list[tuple[str, Any]]:
        """The writes since this was last asked, without the fields that say what is made where."""
        return [
            (path, {name: value for name, value in (body or {}).items() if name not in {"OrganisationID", "Role"}})
            for path, body in self.college.writes()
        ]

    def _feed(self, name: str, role: Role, rows: list[Row]) -> Feed:
        engine = create_engine(self.college.mis_url)
        columns = list(dict.fromkeys(column for row in rows for column in row)) or ["LearnerMISID", "UserMISID"]
        with engine.begin() as connection:
            connection.execute(text(f'DROP TABLE IF EXISTS "{name}"'))
            connection.execute(text(f'CREATE TABLE "{name}" ({", ".join(columns)})'))
            for row in rows:
                named = ", ".join(f":{column}" for column in columns)
                connection.execute(
                    text(f'INSERT INTO "{name}" VALUES ({named})'), {column: row.get(column) for column in columns}
                )
        engine.dispose()
        return Feed(name, role, f'SELECT * FROM "{name}"')
