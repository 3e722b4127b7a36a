"""Generates a training set of short everyday sentences.

Run it as `python -m models.synthesis.phrases --out FOLDER`.

Film reviews teach a classifier little about phones, soup and neighbours, and little about negation.
The patterns and word lists in phrases.toml (English), phrases-ko.toml and phrases-de.toml cover
those; these files explain how to extend them. A neutral sentence, a fact or one of mixed feelings,
is written twice, once with each label, so that a model learns to be unsure of it.
"""

import argparse
import random
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from models.synthesis.inflection import inflect
from models.synthesis.korean import Level
from models.training.data.held_out import read_everyday, text_key
from models.training.data.sources import add_typing_noise, write_split

PATTERNS = Path(__file__).with_name("phrases.toml")
LABELS = ("negative", "positive")
MIN_SENTENCES = 100
NEUTRAL_SHARE = 1 / 3  # of the lines, counting both copies
HASTY_SHARE = 0.48  # of the sentences; about a quarter of those have nothing to change
TRIES = 60  # a pattern is exhausted after this many tries without a new sentence

SLOT = re.compile(r"\{(\w+)\}")
LEVELS: tuple[Level, ...] = get_args(Level)  # of Korean sentences
ARTICLE = re.compile(r"\b([Aa])(?= (?!one\b|use|uni|euro)[aeiou]| hour| honest| 8| 11\b)")
SENTENCE_START = re.compile(r"(^|[.!?] )([a-zäöü])")
STRETCHED = re.compile(
    r"\b(?=(?:so|love|loved|good|bad|nice|slow|great|really|never|very|boring|sad|"
    r"gut|toll|sehr|super|mega|viel|nie|lecker|schlecht|langweilig)\b)(\w+?)([aeiou])",
    re.IGNORECASE,
)
KOREAN_SPACE = re.compile(r"(?<=[가-힣]) (?=[가-힣])")

Lists = Mapping[str, Sequence[str]]  # the entries that may fill a slot, by its name


@dataclass(frozen=True)
class Grammar:
    """Patterns and word lists; `topics` has the lists of each subject.

    A shape, such as a rating, has patterns by label and a share of the sentences.
    """

    topics: Sequence[Lists]
    shapes: Sequence[Mapping[str, Sequence[str]]]
    shares: Sequence[float]


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(argv)
    try:
        lines = write_sentences(
            read_grammar(arguments.patterns),
            arguments.num_sentences,
            random.Random(arguments.seed),
            [text for _, _, text, _ in read_everyday("classification")],
        )
        write_split(arguments.out, "train", lines)
    except (ValueError, OSError) as exc:
        raise SystemExit(f"models.synthesis.phrases: {exc}") from exc
    print(f"wrote {len(lines)} sentences to {arguments.out}")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.synthesis.phrases", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write train.tsv into")
    parser.add_argument(
        "--num-sentences", type=int, default=6000, help="lines to write (default: 6000)"
    )
    parser.add_argument("--seed", type=int, default=1, help="same seed, same lines (default: 1)")
    parser.add_argument(
        "--patterns", type=Path, default=PATTERNS, help=f"default: {PATTERNS.name}, English"
    )
    return parser.parse_args(argv)


def read_grammar(path: Path) -> Grammar:
    """Reads patterns and word lists; a domain's list replaces the shared one of its name.

    Raises:
        ValueError: the file is not TOML, or a table is missing.
        OSError: the file cannot be read.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    if missing := {"agreement", "words", "domains", "shapes"} - tables.keys():
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}")
    topics = [
        tables["words"] | domain | forms | {"thing": [subject]}
        for domain in tables["domains"].values()
        for kind, forms in tables["agreement"].items()
        for subject in domain.get(kind, ())
    ]
    shapes = list(tables["shapes"].values())
    return Grammar(topics, shapes, [shape.get("share", 1.0) for shape in shapes])


def write_sentences(
    grammar: Grammar, num_sentences: int, rng: random.Random, excluded: Sequence[str] = ()
) -> list[tuple[int, str]]:
    """Generates labelled sentences in random order, half of them negative; only neutral ones recur.

    A sentence that differs from an excluded text only in typing is not written.

    Raises:
        ValueError: `num_sentences` is too small, or more than the patterns yield.
    """
    if num_sentences < MIN_SENTENCES:
        raise ValueError(f"--num-sentences {num_sentences}: at least {MIN_SENTENCES} are needed")
    num_neutral = round(num_sentences * NEUTRAL_SHARE / 2)
    num_negative = num_sentences // 2 - num_neutral
    counts = {
        "neutral": num_neutral,
        "negative": num_negative,
        "positive": num_sentences - 2 * num_neutral - num_negative,
    }
    seen = {text_key(text) for text in excluded}
    lines: list[tuple[int, str]] = []
    for tone, count in counts.items():
        labels = [LABELS.index(tone)] if tone in LABELS else range(len(LABELS))
        for text in draw_texts(grammar, tone, count, seen, rng):
            typed = type_text(text, rng)
            lines += [(label, typed) for label in labels]
    rng.shuffle(lines)
    return lines


def draw_texts(
    grammar: Grammar, tone: str, count: int, seen: set[str], rng: random.Random
) -> list[str]:
    """Draws new texts of a tone, first the shape and then a pattern, and adds them to `seen`."""
    pools = [find_topics(grammar, shape.get(tone, ())) for shape in grammar.shapes]
    texts: list[str] = []
    while len(texts) < count:
        shares = [share if pool else 0.0 for pool, share in zip(pools, grammar.shares, strict=True)]
        if not any(shares):
            raise ValueError(
                f"--num-sentences: the patterns yield {len(texts)} {tone} sentences of {count}"
            )
        [pool] = rng.choices(pools, shares)
        pattern = rng.choice(list(pool))
        for _ in range(TRIES):
            text = fill_pattern(pattern, rng.choice(pool[pattern]), rng)
            if (key := text_key(text)) not in seen:
                seen.add(key)
                texts.append(text)
                break
        else:
            del pool[pattern]
    return texts


def find_topics(grammar: Grammar, patterns: Sequence[str]) -> dict[str, list[Lists]]:
    """Maps each pattern to the topics that have a list for all of its slots.

    Raises:
        ValueError: a pattern has no such topic.
    """
    slots = {pattern: set(SLOT.findall(pattern)) for pattern in patterns}
    found = {
        pattern: [topic for topic in grammar.topics if topic.keys() >= names]
        for pattern, names in slots.items()
    }
    if lost := [pattern for pattern, topics in found.items() if not topics]:
        raise ValueError(f"no subject has a list for every slot of {lost[0]!r}")
    return found


def fill_pattern(pattern: str, topic: Lists, rng: random.Random) -> str:
    """Fills the slots of a pattern from the left, including slots within entries.

    Korean words are inflected, see `models.synthesis.inflection`.

    Raises:
        ValueError: an entry has a slot for which the topic has no list.
    """
    topic = {**topic, "the": [rng.choice(topic.get("the", ["the"]))]}  # "my" phone remains mine
    while slot := SLOT.search(pattern):
        if slot[1] not in topic:
            raise ValueError(f"no list for {slot[0]} in {pattern!r}")
        options = topic[slot[1]]
        # avoids "nice and nice": a word is repeated only if there is no other
        words = SLOT.sub("", pattern)
        options = [option for option in options if option not in words] or options
        pattern = pattern[: slot.start()] + rng.choice(options) + pattern[slot.end() :]
    text = ARTICLE.sub(r"\1n", " ".join(inflect(pattern, rng.choice(LEVELS)).split()))
    return SENTENCE_START.sub(lambda start: start[1] + start[2].upper(), text)


def exclaim(text: str, rng: random.Random) -> str:
    return text[:-1] + "!" * rng.randint(1, 4) if text.endswith(".") else text


def drop_apostrophes(text: str, _: random.Random) -> str:
    return text.replace("'", "")


def drop_space(text: str, _: random.Random) -> str:
    return re.sub(r"([,.]) (?=[A-Za-z])", r"\1", text, count=1)


def join_words(text: str, rng: random.Random) -> str:
    """Drops the spaces between Korean words, all or half of them, as many reviews do."""
    share = rng.choice((0.5, 1.0))
    return KOREAN_SPACE.sub(lambda space: "" if rng.random() < share else space[0], text)


def stretch_word(text: str, rng: random.Random) -> str:
    times = rng.randint(3, 5)
    return STRETCHED.sub(lambda word: word[1] + word[2] * times, text, count=1)


HABITS: tuple[Callable[[str, random.Random], str], ...] = (
    add_typing_noise,
    add_typing_noise,
    exclaim,
    drop_apostrophes,
    drop_space,
    join_words,
    stretch_word,
)


def type_text(text: str, rng: random.Random) -> str:
    """Returns the text as it is, or altered by one or two habits of hurried typing."""
    if rng.random() < HASTY_SHARE:
        for habit in rng.sample(HABITS, rng.randint(1, 2)):
            text = habit(text, rng)
    return text


if __name__ == "__main__":
    main()
