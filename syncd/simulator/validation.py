"""Validation of a user's values in strict mode: U23 and U24 of section 18."""

import re
from collections.abc import Mapping
from typing import Any, Final

from syncd.simulator.errors import bad_request
from syncd.simulator.field_rules import USER_FIELDS

#: Means "no ULN yet", and fails the checksum (§15).
_NO_ULN_YET: Final = "9999999999"
_ETHNICITIES: Final = frozenset({*map(str, range(31, 48)), "98", "99"})

_PATTERNS: Final[dict[str, str]] = {
    "Email": r"[^@\s]+@[^@\s]+\.[^@\s.]+",
    "NINO": r"[A-Z]{2}\d{6}[A-Z]",
    "L13": r"[MF9]",
    "L14": r"[129]",
    "L15": r"\d{1,2}",
    "L16": r"\d{1,2}",
}


def check(values: Mapping[str, Any]) -> None:
    """Refuses values that have the right type but are invalid.

    Raises:
        ApiError: 400 for a length (U24), or for an e-mail address, ULN, NINO or L code (§15).
    """
    for name, value in values.items():
        longest = USER_FIELDS[name].longest
        if longest is not None and len(value) > longest:
            raise bad_request(f"{name} must not be longer than {longest} characters.")
        pattern = _PATTERNS.get(name)
        if pattern is not None and not re.fullmatch(pattern, value):
            raise bad_request(f"{name} is not valid: {value!r}.")
    if "ULN" in values and not is_uln(values["ULN"]):
        raise bad_request(f"ULN is not valid: {values['ULN']!r}.")
    if "L12" in values and values["L12"] not in _ETHNICITIES:
        raise bad_request(f"L12 is not valid: {values['L12']!r}.")


def is_uln(text: str) -> bool:
    """Whether a text is a ULN: ten digits, the first not 0, whose sum with weights 10 to 1 is 10 modulo 11 (§15)."""
    if text == _NO_ULN_YET:
        return True
    if not re.fullmatch(r"[1-9]\d{9}", text, re.ASCII):
        return False
    return sum(int(digit) * weight for digit, weight in zip(text, range(10, 0, -1), strict=True)) % 11 == 10
