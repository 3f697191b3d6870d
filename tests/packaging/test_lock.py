"""The lock file has what the program needs, as pyproject.toml allows it, each with its hash."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_REPOSITORY = Path(__file__).parents[2]


def test_every_dependency_is_locked_in_a_version_that_is_allowed() -> None:
    project = tomllib.loads((_REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (_REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    locked = {canonicalize_name(name): version for name, version in re.findall(r"(?m)^([\w.-]+)==([^\s;]+)", lock)}
    for line in project["dependencies"]:
        needed = Requirement(line)
        version = locked.get(canonicalize_name(needed.name))
        assert version in needed.specifier if version else False, (
            f"requirements.lock has {version or 'no version'} of {line}: renew it as the Dockerfile says"
        )


def test_everything_in_it_has_a_hash_and_says_not_where_it_came_from() -> None:
    lock = (_REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=[\w.-]+==)", lock)[1:]
    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in lock
