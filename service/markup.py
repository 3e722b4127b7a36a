"""Takes HTML apart into text and everything else, and puts it together again.

Whatever is not text (tags, attributes, comments, scripts, code) comes back byte for byte. Follows
the HTML standard's tokenizer in what ends a tag; is linear in the length, and never raises.
"""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

# A "<" opens markup only before one of these; "a < b" and "<3" are text.
OPENING = re.compile(r"<(?=[A-Za-z/!?])")
TAG_NAME = re.compile(r"</?([A-Za-z][^\s/>]*)")
# Inside a tag: its end, or a quoted value, in which ">" does not count.
TAG_STEP = re.compile(r">|=\s*([\"'])")
KEEP_ATTRIBUTE = re.compile(r"\stranslate\s*=\s*[\"']?no\b", re.IGNORECASE)

# Their content is no markup: only their own end tag ends them.
RAW_ELEMENTS = frozenset({"script", "style", "textarea", "xmp", "iframe", "noembed", "noframes"})
# Not for translation, like an element with translate="no".
KEPT_ELEMENTS = frozenset({"code", "kbd", "samp", "var"})
VOID_ELEMENTS = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
)


@dataclass(frozen=True)
class Piece:
    """One stretch of a page.

    Attributes:
        text: what a reader sees, with character references resolved; of a piece that is no text,
            its source.
        is_text: whether it is for translation.
        source: as it stood in the page.
    """

    text: str
    is_text: bool
    source: str


def split_markup(page: str) -> list[Piece]:
    """The pieces of a page, in order; their sources concatenated are the page."""
    return Scanner(page).scan()


def join_markup(pieces: Sequence[Piece], translations: Sequence[str]) -> str:
    """The page with one translation for each text piece, escaped.

    A translation that equals its text is put back as it stood, references and all.
    """
    remaining = iter(translations)
    return "".join(
        render_text(piece, next(remaining)) if piece.is_text else piece.source for piece in pieces
    )


def render_text(piece: Piece, translation: str) -> str:
    if translation == piece.text:
        return piece.source
    return html.escape(translation, quote=False).replace("\u00a0", "&nbsp;")


class Scanner:
    """Walks over one page, once."""

    def __init__(self, page: str) -> None:
        self.page = page
        self.pieces: list[Piece] = []
        # Inside an element that is kept: its name, and how many of that name are open.
        self.kept_name = ""
        self.kept_depth = 0

    def scan(self) -> list[Piece]:
        position = 0
        while position < len(self.page):
            opening = OPENING.search(self.page, position)
            start = opening.start() if opening else len(self.page)
            self.add_text(self.page[position:start])
            position = self.scan_markup(start) if opening else start
        return self.pieces

    def scan_markup(self, start: int) -> int:
        """Adds the markup that begins at `start`; returns where it ends."""
        end = find_end(self.page, start)
        name = TAG_NAME.match(self.page, start, end)
        if name is not None:
            tag = self.page[start:end]
            self.track_kept(name[1].lower(), tag)
            if name[1].lower() in RAW_ELEMENTS and not tag.startswith("</"):
                end = find_raw_end(self.page, end, name[1])
        self.add_kept(self.page[start:end])
        return end

    def track_kept(self, name: str, tag: str) -> None:
        is_end = tag.startswith("</")
        has_content = name not in VOID_ELEMENTS and not tag.endswith("/>")
        if self.kept_depth and name == self.kept_name:
            self.kept_depth += -1 if is_end else 1
        elif not (self.kept_depth or is_end) and has_content and is_kept(name, tag):
            self.kept_name, self.kept_depth = name, 1

    def add_text(self, source: str) -> None:
        if self.kept_depth or not source.strip():
            self.add_kept(source)
        else:
            self.pieces.append(Piece(html.unescape(source), True, source))

    def add_kept(self, source: str) -> None:
        if source:
            self.pieces.append(Piece(source, False, source))


def is_kept(name: str, tag: str) -> bool:
    return name in KEPT_ELEMENTS or KEEP_ATTRIBUTE.search(tag) is not None


def find_end(page: str, start: int) -> int:
    """Where the markup that begins at `start` ends; the end of the page if nothing closes it."""
    if page.startswith("<!--", start):
        return find_after(page, "-->", start + 2)  # "<!-->" is a whole comment
    if page[start + 1] in "!?":
        return find_after(page, ">", start)
    position = start
    while (step := TAG_STEP.search(page, position)) is not None:
        if step[1] is None:
            return step.end()
        position = find_after(page, step[1], step.end())
    return len(page)


def find_after(page: str, closing: str, start: int) -> int:
    found = page.find(closing, start)
    return len(page) if found < 0 else found + len(closing)


def find_raw_end(page: str, start: int, name: str) -> int:
    closing = re.compile(rf"</{re.escape(name)}(?=[\s/>])", re.IGNORECASE).search(page, start)
    return len(page) if closing is None else find_after(page, ">", closing.end())
