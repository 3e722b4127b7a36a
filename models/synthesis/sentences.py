"""Writes the sentences of `sentences/` in two of the languages English, Korean and German.

Run it as `python -m models.synthesis.sentences --languages en ko --out FOLDER`.

They were written one by one for words that parallel text has too few times. The files say each in
all three languages, with particles, verbs and slots marked as in pairs.toml, whose lists they use.
The set phrases of the service are among them. A pair with an everyday sentence (`models/everyday`)
is not written.
"""

import argparse
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from models.synthesis.inflection import POLITE_LEVELS
from models.synthesis.pairs import (
    LANGUAGES,
    PATTERNS,
    Pattern,
    add_pair_arguments,
    fill_pattern,
    read_grammar,
    read_pattern,
    split_languages,
)
from models.synthesis.slots import Value
from models.training.data.held_out import HeldOut
from models.training.data.sources import Row, write_split
from service.text import set_phrases

FOLDER = Path(__file__).with_name("sentences")
SET_PHRASES = Path(set_phrases.__file__).with_name(set_phrases.TABLE)  # which are served, too
POLITE_QUESTION = "시 ?>"  # 도와주실래요? has no familiar form


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.synthesis.sentences", description=__doc__
    )
    add_pair_arguments(parser)
    parser.add_argument(
        "--times",
        type=int,
        default=3,
        help="how often a sentence is filled, in other ways and levels (default: 3)",
    )
    arguments = parser.parse_args(argv)
    try:
        pairs = write_sentences(
            [pattern for path in list_files() for pattern in read_sentences(path)],
            read_grammar(PATTERNS).lists,
            arguments.languages,
            arguments.times,
            Random(arguments.seed),
        )
        write_split(arguments.out, "train", pairs)
    except (ValueError, OSError) as exc:
        raise SystemExit(f"models.synthesis.sentences: {exc}") from exc
    print(f"wrote {len(pairs)} pairs to {arguments.out}")


def list_files() -> list[Path]:
    """The files with sentences and set phrases."""
    return [*sorted(FOLDER.glob("*.toml")), SET_PHRASES]


def read_sentences(path: Path) -> list[Pattern]:
    """Reads a file of sentences by topic.

    Raises:
        ValueError: the file is not TOML, or a line does not have a text in each language.
        OSError: the file cannot be read.
    """
    topics = tomllib.loads(path.read_text(encoding="utf-8"))
    return [read_line(line) for lines in topics.values() for line in lines]


def read_line(line: str) -> Pattern:
    """Reads "English | Korean | German", with " / " between several ways of saying it.

    Raises:
        ValueError: a text is missing or empty.
    """
    texts = [text.strip() for text in line.split(set_phrases.FIELDS)]
    if len(texts) != len(LANGUAGES) or not all(texts):
        raise ValueError(f"{line!r} does not have a text for each of {', '.join(LANGUAGES)}")
    ways = {
        language: text.split(set_phrases.WAYS)
        for language, text in zip(LANGUAGES, texts, strict=True)
    }
    asks_politely = any(POLITE_QUESTION in way for way in ways["ko"])
    return read_pattern(ways | ({"levels": list(POLITE_LEVELS)} if asks_politely else {}))


def write_sentences(
    patterns: Sequence[Pattern],
    lists: Mapping[str, Sequence[Value]],
    languages: Sequence[str],
    times: int,
    rng: Random,
) -> list[Row]:
    """Fills each pattern a few times, without repeating a pair.

    Raises:
        ValueError: the languages are the same, or a slot, a form or a verb is unknown.
    """
    first, second = split_languages(languages)
    held_out = HeldOut("translation")
    pairs: dict[Row, None] = {}
    for pattern in patterns:
        for _ in range(times):
            texts = fill_pattern(pattern, lists, rng)
            pair = (texts[first], texts[second])
            if not held_out.find_sets(pair):
                pairs[pair] = None
    return list(pairs)


if __name__ == "__main__":
    main()
