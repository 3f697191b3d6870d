"""Pages of the documentation as HTML: raw HTML in them stays text; tables and code have what a screen reader needs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.token import Token

_PAGE: Final = re.compile(r"([\w-]+)\.md(#.*)?")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of the second level, and the fragment that leads to it."""

    title: str
    fragment: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A page as HTML, with the sections that it has."""

    html: str
    sections: Sequence[Section]
    fragments: frozenset[str]


def fragment_of(heading: str) -> str:
    """The fragment of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def render_markdown(text: str, folder: str) -> Rendered:
    """Return Markdown as HTML; links to other pages, ``name.md``, lead to ``folder``."""
    tokens = _PARSER.parse(text)
    sections, fragments = [], set[str]()
    label = ""
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            label = _words(tokens[at + 1])
            fragment = fragment_of(label)
            token.attrSet("id", fragment)
            fragments.add(fragment)
            if token.tag == "h2":
                sections.append(Section(label, fragment))
        elif token.type in {"table_open", "fence"}:
            token.meta["label"] = label
        elif token.type == "th_open":
            token.attrSet("scope", "col")
        elif token.type == "td_open" and tokens[at - 1].type == "tr_open":
            _make_row_heading(tokens, at)
        _lead_links(token.children or [], folder)
    return Rendered(_PARSER.renderer.render(tokens, _PARSER.options, {}), sections, frozenset(fragments))


def _words(inline: Token) -> str:
    return "".join(child.content for child in inline.children or ())


def _make_row_heading(tokens: Sequence[Token], at: int) -> None:
    closing = next(each for each in tokens[at:] if each.type == "td_close")
    tokens[at].tag = closing.tag = "th"
    tokens[at].attrSet("scope", "row")


def _lead_links(inline: Sequence[Token], folder: str) -> None:
    """Point links at other pages of the documentation; links to repository files, which are not served, become text."""
    for at, token in enumerate(inline):
        if token.type != "link_open":
            continue
        target = str(token.attrGet("href"))
        if page := _PAGE.fullmatch(target):
            token.attrSet("href", f"{folder}/{page[1]}{page[2] or ''}")
        elif target.startswith("../"):
            token.hidden = next(each for each in inline[at:] if each.type == "link_close").hidden = True


def _scrolling(label: str) -> str:
    """Attributes of an element that scrolls if it is wider than the screen, by keyboard too."""
    return f'tabindex="0" role="region" aria-label="{escapeHtml(label)}"'


def _table_open(_renderer: Any, tokens: Sequence[Token], at: int, *_: Any) -> str:
    return f'<div class="scroll" {_scrolling(tokens[at].meta["label"])}>\n<table>\n'


def _table_close(*_: Any) -> str:
    return "</table>\n</div>\n"


def _fence(_renderer: Any, tokens: Sequence[Token], at: int, *_: Any) -> str:
    token = tokens[at]
    return f"<pre {_scrolling(token.meta['label'])}><code>{escapeHtml(token.content)}</code></pre>\n"


_PARSER: Final = MarkdownIt("commonmark", {"html": False}).enable("table")
_PARSER.add_render_rule("table_open", _table_open)
_PARSER.add_render_rule("table_close", _table_close)
_PARSER.add_render_rule("fence", _fence)
