"""A record's fingerprint: equal for equal records, and nothing can be read from it."""

import string

from hypothesis import assume, given
from hypothesis import strategies as st

from syncd.core.fields import Referent, Role
from syncd.core.records import Code, Key, Reason, Record, Warned
from syncd.core.values import Value

SECRET = b"of the tests"
KEY = Key(5740, Role.LEARNER, "L1")

names = st.sampled_from(["FirstName", "LastName", "Telephone", "LearnerStatusID", "SupportFunding"])
values: st.SearchStrategy[Value] = st.text() | st.integers(0, 3) | st.booleans()
fields = st.dictionaries(names, values)
codes = st.dictionaries(
    st.sampled_from(["ClassroomID", "PlacementID", "DefaultAssessorID"]),
    st.builds(Code, st.sampled_from(Referent), st.sampled_from(["MISID", "Name"]), st.text(max_size=3)),
)
no_codes: dict[str, Code] = {}


def fingerprint(
    fields: dict[str, Value],
    codes: dict[str, Code] = no_codes,
    supplied: frozenset[str] = frozenset(),
    unusable: tuple[str, ...] = (),
    secret: bytes = SECRET,
) -> str:
    warnings = tuple(Warned(KEY, "learners", Reason.UNUSABLE, name, "") for name in unusable)
    return Record(KEY, "learners", fields, codes, supplied | fields.keys() | codes.keys(), warnings).fingerprint(secret)


def as_sent(fields: dict[str, Value]) -> set[tuple[str, str]]:
    """Fields as they can be told apart on the wire, where 1, "1" and true are three things."""
    return {(name, repr(value)) for name, value in fields.items()}


@given(fields, codes)
def test_equal_records_have_equal_fingerprints_in_any_column_order(
    fields: dict[str, Value], codes: dict[str, Code]
) -> None:
    backwards = dict(reversed(fields.items())), dict(reversed(codes.items()))

    assert fingerprint(*backwards) == fingerprint(fields, codes)


@given(fields, fields, codes)
def test_records_that_differ_in_any_field_have_different_fingerprints(
    one: dict[str, Value], other: dict[str, Value], codes: dict[str, Code]
) -> None:
    assume(as_sent(one) != as_sent(other))

    assert fingerprint(one, codes) != fingerprint(other, codes)


@given(fields, codes, codes)
def test_records_that_differ_in_any_code_have_different_fingerprints(
    fields: dict[str, Value], one: dict[str, Code], other: dict[str, Code]
) -> None:
    assume(one != other)

    assert fingerprint(fields, one) != fingerprint(fields, other)


def test_an_id_and_a_code_of_the_same_look_have_different_fingerprints() -> None:
    code = Code(Referent.CLASSROOM, "MISID", "15379")

    assert fingerprint({"ClassroomID": 15379}) != fingerprint({}, {"ClassroomID": code})


def test_empty_unusable_and_without_a_column_are_three_things() -> None:
    """Only the first asks for a value to be cleared."""
    supplied = frozenset({"ULN"})

    empty = fingerprint({}, supplied=supplied)
    unusable = fingerprint({}, supplied=supplied, unusable=("ULN",))
    without_a_column = fingerprint({})

    assert empty not in {unusable, without_a_column}


@given(fields, st.binary(min_size=1, max_size=64), st.binary(min_size=1, max_size=64))
def test_a_fingerprint_depends_on_the_secret(fields: dict[str, Value], one: bytes, other: bytes) -> None:
    assume(one.rstrip(b"\x00") != other.rstrip(b"\x00"))

    assert fingerprint(fields, secret=one) != fingerprint(fields, secret=other)


@given(fields)
def test_fingerprint_is_always_32_hexadecimal_digits(fields: dict[str, Value]) -> None:
    made = fingerprint(fields)

    assert len(made) == 32
    assert set(made) <= {*string.hexdigits.lower()}


def test_half_a_surrogate_pair_from_the_mis_can_be_fingerprinted() -> None:
    assert fingerprint({"FirstName": "\ud83d"}) != fingerprint({"FirstName": "\ud83e"})
