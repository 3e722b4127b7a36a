"""Compares splitters of HTML: `python docs/decisions/measured/markup.py`.

Characters that a round trip changes with nothing translated, processor time per KiB, and the time
that a tag without an end takes. Needs beautifulsoup4, html5lib, lxml and selectolax.
"""

import statistics
import time
from collections.abc import Callable
from difflib import SequenceMatcher
from html.parser import HTMLParser

import lxml.html
from bs4 import BeautifulSoup
from selectolax.lexbor import LexborHTMLParser

from docs.decisions.measured.report import write_report
from service.text.markup import split_markup

ROUNDS, SIZE = 7, 9 * 1024
PAGE = """<!DOCTYPE html>
<html lang=en>
<head><title>A page</title><meta charset=utf-8><link rel=stylesheet href='a.css'>
<script>if (a < b && c > d) { go("</p>"); }</script></head>
<body class="x  y" data-n=1>
<!-- a comment -->
<h1>Two  &amp; three</h1>
<p>A <b>bold</b> word, <a href="?a=1&b=2">a link</a> and<br>a line.
<ul><li>one<li>two</ul>
<table><tr><td>cell</table>
<img src=a.png alt="it's"><input disabled>
<p>The end&nbsp;&hellip;</p>
</body>
</html>
"""
SAMPLES = {
    "page": PAGE,
    "fragment": "A <b>bold</b> word &amp; a<br>line, <a href='x'>a link</a> and more.",
    "broken": "<p>one <b>two <i>three</b> four</i> </p></div> <a href='x",
    "odd": "a <b>c</B\n> &copy 1 <!--> <![CDATA[d]]> <p>e</div a=1> <br/ > f</p  >",
}
Splitter = Callable[[str], str]


class Events(HTMLParser):
    """html.parser's events, written out again."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.written: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.written.append(self.get_starttag_text() or "")

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.written.append(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        self.written.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.written.append(data)

    def handle_entityref(self, name: str) -> None:
        self.written.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.written.append(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        self.written.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.written.append(f"<!{decl}>")

    def unknown_decl(self, data: str) -> None:
        self.written.append(f"<![{data}]]>")


def pass_events(page: str) -> str:
    parser = Events()
    parser.feed(page)
    parser.close()
    return "".join(parser.written)


def pass_lexbor(page: str) -> str:
    return LexborHTMLParser(page).html or ""


def pass_lxml(page: str) -> str:
    tree = lxml.html.fromstring(page)
    return str(lxml.html.tostring(tree, encoding="unicode"))


SPLITTERS: dict[str, Splitter] = {
    "ours": lambda page: "".join(node.source for node in split_markup(page)),
    "html.parser": pass_events,
    "BeautifulSoup on html.parser": lambda page: str(BeautifulSoup(page, "html.parser")),
    "BeautifulSoup on html5lib": lambda page: str(BeautifulSoup(page, "html5lib")),
    "lxml.html": pass_lxml,
    "selectolax (lexbor)": pass_lexbor,
}


def count_changes(before: str, after: str) -> int:
    """Characters that were taken out or put in."""
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    kept = sum(block.size for block in matcher.get_matching_blocks())
    return len(before) + len(after) - 2 * kept


def time_once(split: Splitter, page: str) -> float:
    """Seconds of processor time."""
    started = time.process_time()
    split(page)
    return time.process_time() - started


def measure() -> dict[str, object]:
    long_page = PAGE * (1 + SIZE // len(PAGE))
    us_per_kib = 1e6 * 1024 / len(long_page)
    return {
        "sample_chars": {name: len(sample) for name, sample in SAMPLES.items()},
        "changed_chars": {
            name: {kind: count_changes(page, split(page)) for kind, page in SAMPLES.items()}
            for name, split in SPLITTERS.items()
        },
        "us_per_kib": {
            name: round(
                us_per_kib * statistics.median(time_once(split, long_page) for _ in range(ROUNDS))
            )
            for name, split in SPLITTERS.items()
        },
        "ms_of_a_tag_without_an_end": {
            name: {
                count: round(1e3 * time_once(SPLITTERS[name], "<a href='" * count))
                for count in (2000, 4000, 8000)
            }
            for name in ("ours", "html.parser")
        },
    }


if __name__ == "__main__":
    write_report(__file__, measure)
