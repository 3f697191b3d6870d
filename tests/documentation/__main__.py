"""`python -m tests.documentation`: writes the generated parts of the documentation's pages."""

from syncd.documentation import FOLDER

from .generated import PAGES, page_with_generated_part

for name in PAGES:
    (FOLDER / f"{name}.md").write_text(page_with_generated_part(name), encoding="utf-8")
