"""Splits HTML into text and markup, and renders translated text back into it.

Everything but text (tags, attributes, comments, scripts, code) is preserved byte for byte. A text
continues across inline elements and carries their tags. Tags end as in the HTML standard's
tokenizer; the time is linear in the length, and no input raises.
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, groupby
from typing import Literal, NamedTuple

# A "<" opens markup only before one of these; "a < b" and "<3" are text.
OPENING = re.compile(r"<(?=[A-Za-z/!?])")
TAG_NAME = re.compile(r"</?([A-Za-z][^\s/>]*)")
# Inside a tag: its end, or a quoted value, in which ">" does not count.
TAG_STEP = re.compile(r">|=\s*([\"'])")
ATTRIBUTE = re.compile(r"""\s([^\s"'=/>]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+))""")

# More digits than any character needs: int() rejects numbers with thousands of digits.
LONG_REFERENCE = re.compile(r"&#0*([0-9]{8})[0-9]*")

# Their content is not markup: only their own end tag ends them.
RAW_ELEMENTS = frozenset({"script", "style", "textarea", "xmp", "iframe", "noembed", "noframes"})
# Not for translation, like an element with translate="no".
KEPT_ELEMENTS = frozenset({"code", "kbd", "samp", "var", "math", "rp", "rt"})
# Read beside a text rather than in it: they stay at their place, but do not belong to a sentence.
ASIDES = frozenset({"rp", "rt"})
# The same if there are no letters in them: marks of notes.
NOTES = frozenset({"sub", "sup"})
VOID_ELEMENTS = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
)
NONE: frozenset[str] = frozenset()
BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "dd", "details", "dialog", "div"),
        *("dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4"),
        *("h5", "h6", "header", "hgroup", "hr", "html", "li", "main", "menu", "nav", "ol", "p"),
        *("pre", "search", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead"),
        *("tr", "ul"),
    }
)
ROWS = frozenset({"tr", "tbody", "tfoot", "thead"})
CELLS = ROWS | {"td", "th"}
# Elements whose end tag is optional: the tags that end them instead, and their parent elements,
# which may also occur inside them (HTML standard, 13.1.2.4).
OPTIONAL_ENDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "p": (BLOCKS, NONE),
    "li": (frozenset({"li"}), frozenset({"ul", "ol", "menu"})),
    "dt": (frozenset({"dt", "dd"}), frozenset({"dl"})),
    "dd": (frozenset({"dt", "dd"}), frozenset({"dl"})),
    "td": (CELLS, frozenset({"table"})),
    "th": (CELLS, frozenset({"table"})),
    "tr": (ROWS, frozenset({"table"})),
    "option": (frozenset({"option", "optgroup"}), frozenset({"select", "datalist"})),
}
# Sentences continue across these; every other element ends a text, including br.
INLINE_ELEMENTS = frozenset(
    {
        *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "data", "del", "dfn", "em"),
        *("font", "i", "img", "ins", "label", "mark", "nobr", "q", "s", "small", "span"),
        *("strike", "strong", "sub", "sup", "time", "tt", "u", "wbr"),
    }
)


# Stand in a text for kept elements; code points for private use, of which no text has another.
FIRST_OBJECT, MAX_OBJECTS = 0xF0000, 0xFFFE
OBJECT = re.compile("[\U000f0000-\U000ffffd]")
LETTER = re.compile(r"[^\W\d_]")


class Tag(NamedTuple):
    """Tag of an inline element within a text.

    Attributes:
        offset: number of characters of the text before it.
        source: as it stood in the page.
        kind: `void` if the element has neither content nor end tag.
        element: number shared by the two tags of an element.
    """

    offset: int
    source: str
    kind: Literal["opening", "closing", "void"]
    element: int


@dataclass(frozen=True)
class Node:
    """One stretch of a page.

    Attributes:
        text: what a reader sees, with character references resolved, and a character of `OBJECT`
            for each kept element; the source if it is markup.
        is_text: whether it should be translated.
        source: as it stood in the page.
        tags: of the inline elements in a text, in order; every opened element is closed, properly
            nested.
        objects: sources of the kept elements, by their characters' distance from the first.
        has_lines: whether line ends are shown as such.
    """

    text: str
    is_text: bool
    source: str
    tags: tuple[Tag, ...] = ()
    objects: tuple[str, ...] = ()
    has_lines: bool = True


class Token(NamedTuple):
    """Unit that the scanner emits.

    Attributes:
        source: as it stood in the page.
        is_text: whether it is text that may be translated.
        inline_name: name of the element if this is the tag of an inline element, else empty.
        kept: how a whole element or comment is kept that stands within a text: as a word of it, or
            as an aside.
        has_lines: whether line ends are shown as such.
    """

    source: str
    is_text: bool
    inline_name: str = ""
    kept: Literal["word", "aside"] | None = None
    has_lines: bool = False

    @property
    def kind(self) -> Literal["opening", "closing", "void"]:
        if self.source.startswith("</"):
            return "closing"
        return "void" if self.kept or self.inline_name in VOID_ELEMENTS else "opening"


def split_markup(page: str) -> list[Node]:
    """Splits a page into nodes, in order; their concatenated sources are the page."""
    tokens = Scanner(page).scan()
    elements = pair_tags(tokens)
    groups = groupby(
        range(len(tokens)), key=lambda index: tokens[index].is_text or index in elements
    )
    return [make_node(tokens, list(indices), elements) for _, indices in groups]


def pair_tags(tokens: Sequence[Token]) -> dict[int, int]:
    """Maps each tag of an inline element that lies within one text to the number of its element.

    Inline tags that are unpaired, in the wrong order or around other markup are omitted: they end a
    text like any other markup.
    """
    elements: dict[int, int] = {}
    opened: list[int] = []
    for index, token in enumerate(tokens):
        if token.is_text:
            continue
        if token.kind == "void" and (token.kept or token.inline_name):
            elements[index] = index
        elif not token.inline_name:
            opened.clear()
        elif token.kind == "opening":
            opened.append(index)
        elif opened and tokens[opened[-1]].inline_name == token.inline_name:
            first = opened.pop()
            elements[first] = elements[index] = first
        else:
            opened.clear()
    return elements


def make_node(tokens: Sequence[Token], indices: Sequence[int], elements: Mapping[int, int]) -> Node:
    """Builds one node from tokens: a text with its tags, or markup."""
    source = "".join(tokens[index].source for index in indices)
    if not any(tokens[index].is_text and tokens[index].source.strip() for index in indices):
        return Node(source, False, source)
    text, tags, objects = "", list[Tag](), list[str]()
    for index, token in join_notes(tokens, indices, elements):
        if token.kept == "word":
            text += keep_object(token.source, objects)
            continue
        if not token.is_text:
            tags.append(Tag(len(text), token.source, token.kind, elements[index]))
            continue
        content = token.source
        if tags and text.endswith(" "):
            # a browser collapses two spaces around a tag to one, which is what a model expects
            content = content.lstrip(" ")
            spaces = token.source[: len(token.source) - len(content)]
            tags[-1] = tags[-1]._replace(source=tags[-1].source + spaces)
        content = html.unescape(LONG_REFERENCE.sub(r"&#\1", content))
        text += OBJECT.sub(lambda match: keep_object(match[0], objects), content)
    if len(objects) > MAX_OBJECTS:
        return Node(source, False, source)
    has_lines = any(tokens[index].has_lines for index in indices)
    return Node(text, True, source, tuple(tags), tuple(objects), has_lines)


def keep_object(source: str, objects: list[str]) -> str:
    """Adds an object to those of a text, and returns the character that stands for it.

    Characters of the page that are among these characters are kept as objects, too.
    """
    objects.append(source)
    return chr(FIRST_OBJECT + min(len(objects) - 1, MAX_OBJECTS))


def join_notes(
    tokens: Sequence[Token], indices: Sequence[int], elements: Mapping[int, int]
) -> Iterator[tuple[int, Token]]:
    """The tokens of a text with their indices, those of a note's mark as one."""
    lasts = {elements[index]: index for index in indices if index in elements}
    after = -1
    for index in indices:
        if index < after:
            continue
        token = tokens[index]
        if token.inline_name in NOTES and token.kind == "opening":
            inner = tokens[index : lasts[elements[index]] + 1]
            if not any(each.is_text and LETTER.search(each.source) for each in inner):
                after = index + len(inner)
                token = Token("".join(each.source for each in inner), False, kept="aside")
        yield index, token


def render_plain(text: str, tags: Sequence[Tag] = (), escape: Callable[[str], str] = str) -> str:
    """A text with the tags, given in order, at their offsets, and what is between them escaped."""
    parts, start = [], 0
    for tag in tags:
        parts += [escape(text[start : tag.offset]), tag.source]
        start = tag.offset
    return "".join([*parts, escape(text[start:])])


def render_text(text: str, tags: Sequence[Tag] = (), objects: Sequence[str] = ()) -> str:
    """Renders a text as HTML with the tags, given in order, at their offsets, and its objects."""
    rendered = render_plain(text, tags, escape_text)
    if not objects:
        return rendered
    sources = dict(zip(map(chr, count(FIRST_OBJECT)), objects, strict=False))
    return OBJECT.sub(lambda match: sources.get(match[0], match[0]), rendered)


def escape_text(text: str) -> str:
    return html.escape(text, quote=False).replace("\u00a0", "&nbsp;")


class Scanner:
    """Scans one page in a single pass."""

    def __init__(self, page: str) -> None:
        self.page = page
        self.tokens: list[Token] = []
        # State inside a kept element: its name, the number of open elements of that name, and of
        # those that could be its parents.
        self.kept_name = ""
        self.kept_depth = 0
        self.num_inner = 0
        self.kept_start: int | None = None  # its first token, if it is within a text
        self.pre_depth = 0

    def scan(self) -> list[Token]:
        position = 0
        while position < len(self.page):
            opening = OPENING.search(self.page, position)
            start = opening.start() if opening else len(self.page)
            if start > position:
                text = self.page[position:start]
                self.tokens.append(Token(text, not self.kept_depth, has_lines=self.pre_depth > 0))
            position = self.scan_markup(start) if opening else start
        return self.tokens

    def scan_markup(self, start: int) -> int:
        """Adds the markup that starts at `start`, and returns where it ends."""
        end = find_end(self.page, start)
        match = TAG_NAME.match(self.page, start, end)
        name, tag = match[1].lower() if match else "", self.page[start:end]
        was_kept = self.kept_depth > 0
        if name:
            self.track_kept(name, tag)
            if name in RAW_ELEMENTS and not tag.startswith("</"):
                end = find_raw_end(self.page, end, name)
        if name == "pre":
            self.pre_depth = max(0, self.pre_depth + (-1 if tag.startswith("</") else 1))
        is_inline = name in INLINE_ELEMENTS and not (was_kept or self.kept_depth)
        is_aside = not name and not self.kept_depth and tag.startswith(("<!--", "<?"))
        self.tokens.append(
            Token(
                self.page[start:end],
                False,
                name if is_inline else "",
                "aside" if is_aside else None,
            )
        )
        if self.kept_depth and not was_kept:
            is_within = self.kept_name in INLINE_ELEMENTS | KEPT_ELEMENTS
            self.kept_start = len(self.tokens) - 1 if is_within else None
        elif was_kept and not self.kept_depth:
            self.join_kept(is_whole=name == self.kept_name and tag.startswith("</"))
        return end

    def join_kept(self, *, is_whole: bool) -> None:
        """Makes one token of a kept element that has ended, if it stands within a text."""
        start, self.kept_start = self.kept_start, None
        if start is None or not is_whole:
            return
        source = "".join(token.source for token in self.tokens[start:])
        kept: Literal["word", "aside"] = "aside" if self.kept_name in ASIDES else "word"
        self.tokens[start:] = [Token(source, False, kept=kept)]

    def track_kept(self, name: str, tag: str) -> None:
        is_end = tag.startswith("</")
        if self.kept_depth and self.ends_kept(name, is_end):
            self.kept_depth = 0
        has_content = name not in VOID_ELEMENTS and not tag.endswith("/>")
        if self.kept_depth and name == self.kept_name:
            self.kept_depth += -1 if is_end else 1
        elif not (self.kept_depth or is_end) and has_content and is_kept(name, tag):
            self.kept_name, self.kept_depth, self.num_inner = name, 1, 0

    def ends_kept(self, name: str, is_end: bool) -> bool:
        """Tells whether a tag ends the kept element if its own end tag is omitted."""
        siblings, parents = OPTIONAL_ENDS.get(self.kept_name, (NONE, NONE))
        if name in parents:
            self.num_inner += -1 if is_end else 1
            return self.num_inner < 0
        return name in siblings and not self.num_inner


def is_kept(name: str, tag: str) -> bool:
    return name in KEPT_ELEMENTS or any(
        attribute.lower() == "translate" and "no" in map(str.lower, values)
        for attribute, *values in ATTRIBUTE.findall(tag)
    )


def find_end(page: str, start: int) -> int:
    """Finds the end of the markup that starts at `start`; the end of the page if it is unclosed."""
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
