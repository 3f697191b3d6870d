"""The wheel and the source archive, built from a checkout that has more in it than the program."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any, Final

import pytest

from .checkout import REPOSITORY, SECRET, planted_checkout, tracked

_PROJECT: Final[dict[str, Any]] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
#: What the program is made of, beside what the sdist has for those who test and package it.
_PROGRAM: Final = ("syncd", "migrations", "config")


def test_image_is_built_from_the_files_that_are_packed() -> None:
    include: list[str] = _PROJECT["tool"]["hatch"]["build"]["include"]
    modules = {f"/{Path(name).parent}/*.py" for name in tracked("syncd") if name.endswith(".py")}
    pages = {f"/{Path(name).parent}/*.md" for name in tracked("syncd") if name.endswith(".md")}
    named = {each for each in include if "**" not in each} - {"/CHANGELOG.md"}
    beside = {"/LICENSE", "/README.md", "/pyproject.toml", "/requirements.lock", "/requirements-drivers.lock"}
    first, *rules = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line[0] != "#"]
    assert first == "*"
    assert sorted(rules) == sorted(f"!{each}" for each in named | modules | pages | beside)


def test_files_of_config_and_migrations_are_named_one_by_one() -> None:
    named = [each for each in _PROJECT["tool"]["hatch"]["build"]["include"] if each.startswith("/config/")]
    assert [each for each in named if "*" in each] == []
    assert sorted(each.removeprefix("/") for each in named) == sorted(tracked("config"))


@dataclass(frozen=True, slots=True)
class Packages:
    """The contents of what was built, by path."""

    wheel: Mapping[str, bytes]
    sdist: Mapping[str, bytes]
    wheel_of_sdist: Mapping[str, bytes]

    @property
    def metadata(self) -> Message:
        """What a package index reads of the wheel."""
        (content,) = (content for name, content in self.wheel.items() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(content)


@pytest.mark.slow
@pytest.mark.timeout(900)
class TestPackages:
    def test_nothing_planted_is_packed(self, packages: Packages) -> None:
        for contents in (packages.wheel, packages.sdist):
            assert [name for name, content in contents.items() if SECRET.encode() in content] == []
            assert [name for name in contents if Path(name).suffix == ".db" or ".env" in name] == []

    def test_everything_of_the_program_is_packed(self, packages: Packages) -> None:
        program = set(tracked(*_PROGRAM))
        inside = {re.sub("^(migrations|config)/", r"syncd/\1/", name) for name in program}
        assert {name for name in packages.wheel if ".dist-info/" not in name} == inside
        beside = {name for name in tracked("tests") if name.endswith(".py")}
        folderless = {name.partition("/")[2] for name in packages.sdist}
        assert folderless >= program | beside | {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"}
        about = {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "PKG-INFO", ".gitignore"}
        assert folderless <= program | beside | about

    def test_sdist_builds_the_same_wheel(self, packages: Packages) -> None:
        assert packages.wheel_of_sdist == packages.wheel

    def test_description_has_no_link_that_only_a_checkout_has(self, packages: Packages) -> None:
        description = packages.metadata.get_payload()
        assert isinstance(description, str)
        assert "# syncd" in description
        code = re.compile(r"^ *```.*?^ *```|`[^`]*`", re.DOTALL | re.MULTILINE)
        text = code.sub("", description)
        targets = re.findall(r"\]\(([^)]*)\)|(?:href|src)=\"([^\"]*)\"|^\[[^\]]+\]: *(\S+)", text, re.MULTILINE)
        assert [found for each in targets if not (found := "".join(each)).startswith(("https://", "mailto:"))] == []

    def test_metadata_offers_what_users_need_and_no_more(self, packages: Packages) -> None:
        metadata = packages.metadata
        # 'test' remains for the pip of Python 3.11, which does not know dependency groups.
        assert metadata.get_all("Provides-Extra") == ["mssql", "oracle", "test"]
        assert "mypy" not in str(metadata.get_all("Requires-Dist"))
        links = dict(each.split(", ") for each in metadata.get_all("Project-URL") or [])
        assert links
        assert all(link.startswith("https://") for link in links.values())
        assert metadata["Description-Content-Type"] == "text/markdown"
        versions = re.findall(r"Python :: (3\.\d+)", str(metadata.get_all("Classifier")))
        assert versions[0] == metadata["Requires-Python"].removeprefix(">=")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """The wheel and the sdist of a checkout with planted files."""
    folder = tmp_path_factory.mktemp("packages")
    checkout = planted_checkout(folder / "checkout")
    backend, built = folder / "backend", folder / "built"
    pip = [sys.executable, "-m", "pip", "--quiet"]
    _run([*pip, "install", f"--target={backend}", *_PROJECT["build-system"]["requires"]], checkout)
    build = [sys.executable, "-m", "hatchling", "build", "-d"]
    _run([*build, str(built)], checkout, PYTHONPATH=str(backend))
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    with tarfile.open(sdist) as tar:
        in_sdist = {each.name: content.read() for each in tar if (content := tar.extractfile(each))}
        tar.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    _run([*build, str(folder / "again"), "-t", "wheel"], unpacked, PYTHONPATH=str(backend))
    return Packages(_contents(wheel), in_sdist, _contents(folder / "again" / wheel.name))


def _contents(wheel: Path) -> Mapping[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _run(command: list[str], folder: Path, **environment: str) -> None:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
