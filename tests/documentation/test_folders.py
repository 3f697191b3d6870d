"""The tests' own layout: what several folders need is in tests/support."""

import re

import pytest

from tests.support.documentation import ROOT

_IMPORT = re.compile(r"^ *from tests\.(\w+)[\w.]* import", re.MULTILINE)
_FOLDERS = sorted(folder.name for folder in (ROOT / "tests").iterdir() if (folder / "__init__.py").exists())


@pytest.mark.parametrize("folder", _FOLDERS)
def test_a_folder_imports_from_itself_and_from_support_only(folder: str) -> None:
    for file in (ROOT / "tests" / folder).rglob("*.py"):
        others = set(_IMPORT.findall(file.read_text(encoding="utf-8"))) - {folder, "support"}
        assert not others, f"{file.relative_to(ROOT)} imports from tests.{', tests.'.join(others)}"
