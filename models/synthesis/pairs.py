"""Generates pairs of sentences in two of the languages English, Korean and German.

Run it as `python -m models.synthesis.pairs --languages en ko --out FOLDER`.

Parallel text has few telephone numbers, dates, prices in words, counters and negated questions.
The patterns in pairs.toml say each sentence in all three languages; that file explains them, and
nouns.toml has everyday nouns for their slots. A pair with an everyday sentence (`models/everyday`)
is not written.
"""

import argparse
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from models.synthesis.inflection import inflect
from models.synthesis.korean import Level
from models.synthesis.nouns import read_nouns
from models.synthesis.slots import SLOTS, Value
from models.training.data.held_out import HeldOut, text_key
from models.training.data.sources import Row, write_split

PATTERNS = Path(__file__).with_name("pairs.toml")
LANGUAGES = ("en", "ko", "de")
LEVEL_SHARES: Mapping[Level, float] = {"해요": 0.65, "합니다": 0.12, "해": 0.15, "한다": 0.08}
LEVELS = tuple(LEVEL_SHARES)
TRIES = 40  # a pattern is exhausted after this many tries without a new pair

SLOT = re.compile(r"\{(\w+)(?:\.(\w+))?(?:\|([^}]+))?\}")
SECOND = "2"  # {city2} is another city than {city}


@dataclass(frozen=True)
class Pattern:
    """A sentence in each language.

    Attributes:
        texts: the ways of saying it, by language.
        levels: the Korean speech levels that fit.
    """

    texts: Mapping[str, Sequence[str]]
    levels: Sequence[Level]


@dataclass(frozen=True)
class Grammar:
    """Lists of slot entries by name, and patterns by topic."""

    lists: Mapping[str, Sequence[Value]]
    topics: Mapping[str, Sequence[Pattern]]


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(argv)
    try:
        grammar = read_grammar(arguments.patterns)
        pairs = write_pairs(
            grammar, arguments.languages, arguments.num_pairs, Random(arguments.seed)
        )
        write_split(arguments.out, "train", pairs)
    except (ValueError, OSError) as exc:
        raise SystemExit(f"models.synthesis.pairs: {exc}") from exc
    print(f"wrote {len(pairs)} pairs to {arguments.out}")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.synthesis.pairs", description=__doc__)
    add_pair_arguments(parser)
    parser.add_argument(
        "--num-pairs", type=int, default=10_000, help="lines to write (default: 10000)"
    )
    parser.add_argument(
        "--patterns", type=Path, default=PATTERNS, help=f"default: models/synthesis/{PATTERNS.name}"
    )
    return parser.parse_args(argv)


def add_pair_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options shared by the commands that write pairs from patterns."""
    parser.add_argument("--out", type=Path, required=True, help="folder to write train.tsv into")
    parser.add_argument(
        "--languages",
        nargs=2,
        choices=LANGUAGES,
        required=True,
        help="the languages of the first and the second column",
    )
    parser.add_argument("--seed", type=int, default=1, help="same seed, same lines (default: 1)")


def split_languages(languages: Sequence[str]) -> tuple[str, str]:
    """Returns the two languages.

    Raises:
        ValueError: they are the same.
    """
    first, second = languages
    if first == second:
        raise ValueError(f"--languages: choose two different ones, not {first} twice")
    return first, second


def read_grammar(path: Path) -> Grammar:
    """Reads lists and patterns.

    Raises:
        ValueError: the file is not TOML, or a table, a language or a level is missing or unknown.
        OSError: the file cannot be read.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    if missing := {"lists", "patterns"} - tables.keys():
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}")
    lists = {
        name: [read_entry(entry) for entry in entries] for name, entries in tables["lists"].items()
    }
    topics = {
        topic: [read_pattern(fields) for fields in patterns]
        for topic, patterns in tables["patterns"].items()
    }
    return Grammar({**read_nouns(), **lists}, topics)


def read_entry(entry: Mapping[str, str] | Sequence[str]) -> Value:
    """Reads `[en, ko, de]`, or a table of forms by language and field."""
    if isinstance(entry, Mapping):
        return dict(entry)
    if len(entry) != len(LANGUAGES):
        raise ValueError(f"{entry} does not have a text for each of {', '.join(LANGUAGES)}")
    return dict(zip(LANGUAGES, entry, strict=True))


def read_pattern(fields: Mapping[str, Any]) -> Pattern:
    if missing := set(LANGUAGES) - fields.keys():
        raise ValueError(f"{dict(fields)} lacks {', '.join(sorted(missing))}")
    levels = fields.get("levels", LEVELS)
    if unknown := set(levels) - set(LEVELS):
        raise ValueError(f"levels: {', '.join(sorted(unknown))} is none of {', '.join(LEVELS)}")
    texts = {
        language: [text] if isinstance(text := fields[language], str) else text
        for language in LANGUAGES
    }
    return Pattern(texts, levels)


def write_pairs(
    grammar: Grammar, languages: Sequence[str], num_pairs: int, rng: Random
) -> list[Row]:
    """Generates pairs without repeating a first or a second sentence, topics in equal shares.

    Raises:
        ValueError: the languages are the same, or the patterns yield fewer pairs than asked for.
    """
    first, second = split_languages(languages)
    held_out = HeldOut("translation")
    pools = {topic: list(patterns) for topic, patterns in grammar.topics.items()}
    pairs: list[Row] = []
    seen: set[tuple[str, str]] = set()
    while len(pairs) < num_pairs:
        topics = [topic for topic, patterns in pools.items() if patterns]
        if not topics:
            raise ValueError(f"--num-pairs {num_pairs}: the patterns yield only {len(pairs)}")
        pool = pools[rng.choice(topics)]
        pattern = rng.choice(pool)
        for _ in range(TRIES):
            texts = fill_pattern(pattern, grammar.lists, rng)
            pair = (texts[first], texts[second])
            keys = {(language, text_key(texts[language])) for language in languages}
            if not seen & keys and not held_out.find_sets(pair):
                seen |= keys
                pairs.append(pair)
                break
        else:
            pool.remove(pattern)
    return pairs


def fill_pattern(
    pattern: Pattern, lists: Mapping[str, Sequence[Value]], rng: Random
) -> dict[str, str]:
    """Returns the sentence in every language, with the same entries in its slots.

    Raises:
        ValueError: a slot, a form or a verb is unknown.
    """
    [level] = rng.choices(pattern.levels, [LEVEL_SHARES[each] for each in pattern.levels])
    ways = {language: rng.choice(texts) for language, texts in pattern.texts.items()}
    values: dict[str, Value] = {}
    for name in dict.fromkeys(slot[1] for text in ways.values() for slot in SLOT.finditer(text)):
        values[name] = choose_value(name.removesuffix(SECOND), lists, rng, [*values.values()])
    texts = {language: fill_slots(text, language, values) for language, text in ways.items()}
    texts["ko"] = inflect(texts["ko"], level)
    return {
        # only a slot at the start needs a capital; other sentences may be in lower case on purpose
        language: text[0].upper() + text[1:] if ways[language].startswith("{") else text
        for language, text in texts.items()
    }


def choose_value(
    name: str, lists: Mapping[str, Sequence[Value]], rng: Random, taken: Sequence[Value]
) -> Value:
    """Chooses an entry of the list that is not taken, or computes a value.

    Raises:
        ValueError: neither is known by this name, or all entries are taken.
    """
    if name in lists:
        if not (entries := [entry for entry in lists[name] if entry not in taken]):
            raise ValueError(f"{{{name}}}: the list has no other entry")
        return rng.choice(entries)
    if name not in SLOTS:
        raise ValueError(f"{{{name}}} is neither a list nor computed")
    return SLOTS[name](rng)


def fill_slots(text: str, language: str, values: Mapping[str, Value]) -> str:
    def fill(slot: re.Match[str]) -> str:
        name, field, word = slot.groups()
        key = f"{language}_{field}" if field else language
        if key not in values[name]:
            raise ValueError(f"{slot[0]}: the entry {values[name]} lacks {key!r}")
        return values[name][key].replace("~ ", f"{word} " if word else "")

    return SLOT.sub(fill, text)


if __name__ == "__main__":
    main()
