"""The digests of rows."""

from datetime import date
from decimal import Decimal

import pytest

from syncd.core.digests import Digester

DIGESTER = Digester(b"secret")


@pytest.mark.parametrize("value", [None, 1, 1.5, "x", b"x", True, date(2026, 9, 1), Decimal("1.50"), {"a"}, range(3)])
def test_a_value_of_any_driver_has_a_digest(value: object) -> None:
    assert DIGESTER.digest([(value,)])
    assert DIGESTER.digest([(value,)]) != DIGESTER.digest([("another",)])


def test_another_secret_or_column_name_makes_another_digest() -> None:
    made = {digester.digest([("L1",)]) for digester in (DIGESTER, Digester(b"other"), Digester(b"secret", ["MISID"]))}
    assert len(made) == 3
