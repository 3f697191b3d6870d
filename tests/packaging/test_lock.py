"""The lock files have what the program needs, as pyproject.toml allows it, each with its hash."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_REPOSITORY = Path(__file__).parents[2]
_PROJECT = tomllib.loads((_REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_PLAIN, _DRIVERS = "requirements.lock", "requirements-drivers.lock"


def _locked(lock: str) -> dict[str, str]:
    text = (_REPOSITORY / lock).read_text(encoding="utf-8")
    return {canonicalize_name(name): version for name, version in re.findall(r"(?m)^([\w.-]+)==([^\s;]+)", text)}


@pytest.mark.parametrize(("lock", "extras"), [(_PLAIN, ()), (_DRIVERS, ("mssql", "oracle"))])
def test_every_dependency_is_locked_in_a_version_that_is_allowed(lock: str, extras: tuple[str, ...]) -> None:
    locked = _locked(lock)
    wanted = [*_PROJECT["dependencies"]]
    for extra in extras:
        wanted += _PROJECT["optional-dependencies"][extra]
    for line in wanted:
        needed = Requirement(line)
        version = locked.get(canonicalize_name(needed.name))
        assert version in needed.specifier if version else False, (
            f"{lock} has {version or 'no version'} of {line}: renew it as the Dockerfile says"
        )


def test_drivers_change_no_version_of_another_library() -> None:
    plain, both = _locked(_PLAIN), _locked(_DRIVERS)
    assert plain.items() <= both.items()
    assert {"mssql-python", "oracledb"} <= both.keys() - plain.keys()


@pytest.mark.parametrize("lock", [_PLAIN, _DRIVERS])
def test_everything_in_it_has_a_hash_and_says_not_where_it_came_from(lock: str) -> None:
    text = (_REPOSITORY / lock).read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=[\w.-]+==)", text)[1:]
    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text
