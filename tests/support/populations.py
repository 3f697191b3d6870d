"""Whole populations to look for: accounts in every state, and the rows that a MIS may have beside them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from syncd.core.accounts import Status
from syncd.core.compare import Clear, Doubt, Rules
from syncd.core.fields import Referent, Role
from syncd.core.records import Code, Held, Record

from .records import NOW, ORGANISATION, College, key, person, unfit

MISIDS = ("1", "2", "3", "4")
OPTIONAL = ("Telephone", "Website", "CompanyName")
LONG_AGO = NOW - timedelta(days=365)

Row = Record | Held


def assessor_code(misid: str) -> Code:
    return Code(Referent.ASSESSOR, "MISID", misid)


@st.composite
def people(draw: st.DrawFn, roles: tuple[Role, ...] = (Role.ASSESSOR, Role.LEARNER)) -> Record:
    """Few people and few values, so that they often meet."""
    role = draw(st.sampled_from(roles))
    optional = st.dictionaries(st.sampled_from(OPTIONAL), st.sampled_from("xy"))
    values: dict[str, Any] = {"LastName": draw(st.sampled_from("xy")), **draw(optional)}
    unusable = draw(st.sets(st.sampled_from(OPTIONAL))) - values.keys()
    codes: Mapping[str, Code] = {}
    if role is Role.LEARNER and draw(st.booleans()):
        codes = {"DefaultAssessorID": assessor_code(draw(st.sampled_from(MISIDS)))}
    return person(draw(st.sampled_from(MISIDS)), role, codes=codes, unusable=sorted(unusable), **values)


def taught_by(misid: str) -> Record:
    return person("1", Role.LEARNER, codes={"DefaultAssessorID": assessor_code(misid)})


rows = st.lists(people() | people() | people() | st.builds(unfit, st.sampled_from(("", *MISIDS))), max_size=6)


@st.composite
def colleges(draw: st.DrawFn) -> College:
    """Accounts in every state, and keys that OneFile has or may have without the store knowing."""
    rules = Rules(NOW, draw(st.booleans()), protected=frozenset({"1"}), clear=draw(st.sampled_from(Clear)))
    earlier = draw(st.lists(people(), max_size=4, unique_by=lambda record: record.key))
    college = College.of(*(record for record in earlier if not record.codes), rules=rules)
    for who in college.known:
        if who.role is Role.ASSESSOR:
            college.has_left(who.misid, draw(st.sampled_from(Status)), draw(st.sampled_from([NOW, LONG_AGO])))
            if college.known[who].status is Status.ACTIVE:
                college.has_left(who.misid, Status.ACTIVE, None)
    for misid in MISIDS:
        if key(misid) not in college.known:
            own = 900 + 10 * MISIDS.index(misid)
            college.in_onefile[key(misid)] = draw(st.sampled_from([(), (), (own,), (own + 1, own + 2)]))
            college.in_doubt.update(draw(st.sampled_from([{}, {}, {key(misid): Doubt()}])))
    return college


def having_looked_up(college: College, found: dict[str, int]) -> College:
    """The same college, OneFile having told what some codes stand for."""
    college.codes = {(ORGANISATION, assessor_code(misid)): onefile_id for misid, onefile_id in found.items()}
    return college


lookups = st.dictionaries(st.sampled_from(MISIDS), st.sampled_from([801, 802]))
populations = st.tuples(st.builds(having_looked_up, colleges(), lookups), rows)
