"""Named glossaries of a model repository: `glossaries/<name>/<source>-<target>.tsv`.

Each line of such a file is a term, a tab, and its translation, in UTF-8.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import regex

from service.errors import ArtefactError, GlossaryNotFound
from service.text.masking.terms import Terms

FOLDER, SUFFIX = "glossaries", ".tsv"
NAME = regex.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_TERM_CHARS = 200

Direction = tuple[str, str]


@dataclass(frozen=True)
class Glossary:
    """Terms with their translations, by source and target language."""

    name: str
    terms: Mapping[Direction, Terms]

    def find_terms(self, source: str, target: str) -> Terms:
        """The terms for a direction.

        Raises:
            GlossaryNotFound: it has none.
        """
        terms = self.terms.get((source, target))
        if terms is None:
            known = ", ".join("-".join(direction) for direction in self.terms)
            raise GlossaryNotFound(
                f"glossary {self.name!r} has no terms from {source} to {target}; it has {known}"
            )
        return terms


class Glossaries:
    """The glossaries of one server.

    Args:
        found: in the order in which they are listed.
    """

    def __init__(self, found: Sequence[Glossary] = ()) -> None:
        self._by_name = {glossary.name: glossary for glossary in found}

    def list_all(self) -> list[Glossary]:
        return list(self._by_name.values())

    def find(self, name: str) -> Glossary:
        """The glossary of that name.

        Raises:
            GlossaryNotFound: there is none.
        """
        glossary = self._by_name.get(name)
        if glossary is None:
            known = ", ".join(self._by_name) or "none"
            raise GlossaryNotFound(f"no glossary is called {name!r}; there are {known}")
        return glossary


def read_glossaries(
    models_dir: Path, directions: Collection[Direction], max_terms: int
) -> Glossaries:
    """Reads all glossaries of a repository; there need not be any.

    Args:
        models_dir: the repository.
        directions: those that its models translate.
        max_terms: that a file may have.

    Raises:
        ArtefactError: a file is not as it should be; the message names it, and the line.
    """
    known = {"-".join(direction): direction for direction in directions}
    folders = sorted(path for path in (models_dir / FOLDER).glob("*") if path.is_dir())
    return Glossaries([read_glossary(folder, known, max_terms) for folder in folders])


def read_glossary(folder: Path, directions: Mapping[str, Direction], max_terms: int) -> Glossary:
    if not NAME.fullmatch(folder.name):
        raise ArtefactError(
            f"{folder} is not a glossary's name; use up to 64 letters, digits, dots, dashes and "
            "low lines"
        )
    files = sorted(folder.glob(f"*{SUFFIX}"))
    if not files:
        raise ArtefactError(f"{folder} has no <source>-<target>{SUFFIX}; add one, or remove it")
    terms = {}
    for path in files:
        if path.stem not in directions:
            raise ArtefactError(
                f"{path} is for a direction that no model has; there are {', '.join(directions)}"
            )
        terms[directions[path.stem]] = Terms(read_terms(path, max_terms))
    return Glossary(folder.name, terms)


def read_terms(path: Path, max_terms: int) -> dict[str, str]:
    """The terms of a file with their translations; blank lines are left out.

    Raises:
        ArtefactError: see `read_glossaries`.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ArtefactError(f"{path} cannot be read as UTF-8: {exc}") from exc
    terms: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        term, *translations = map(str.strip, line.split("\t"))
        sides = [term, *translations]
        if len(sides) != 2 or not all(0 < len(side) <= MAX_TERM_CHARS for side in sides):
            raise ArtefactError(
                f"{path}, line {number} is not a term, a tab and its translation, each of 1 to "
                f"{MAX_TERM_CHARS} characters"
            )
        if term in terms:
            raise ArtefactError(f"{path}, line {number} has a term that an earlier line has")
        terms[term] = translations[0]
    if len(terms) > max_terms:
        raise ArtefactError(
            f"{path} has {len(terms)} terms, above the limit of {max_terms}; raise "
            "SEQSERVE_MAX_GLOSSARY_TERMS, or leave some out"
        )
    return terms
