import random
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from models.synthesis.phrases import (
    LABELS,
    NEUTRAL_SHARE,
    PATTERNS,
    SLOT,
    Grammar,
    Lists,
    draw_texts,
    exclaim,
    fill_pattern,
    find_topics,
    join_words,
    main,
    read_grammar,
    stretch_word,
    type_text,
    write_sentences,
)
from models.training.data.held_out import text_key

NUM_SENTENCES = 3000
FUNCTION_WORDS = ["not", "but", "never", "no", "nothing", "again", "could", "so", "too", "the", "i"]
SMALL = """
[agreement.thing]
a = ["a"]
is = ["is"]
[agreement.things]
a = [""]
is = ["are"]
[words]
the = ["the", "my"]
good = ["good"]
[domains.food]
thing = ["egg"]
good = ["tasty"]
[domains.clothes]
things = ["shoes"]
fit = ["well"]
[shapes.statement]
positive = ["{the} {thing} {is} {good}.", "{a} {thing}. yes!", "{the} {thing} fit {fit}."]
"""


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return read_grammar(PATTERNS)


@pytest.fixture(scope="module")
def lines(grammar: Grammar) -> list[tuple[int, str]]:
    return write_sentences(grammar, NUM_SENTENCES, random.Random(1))


@pytest.fixture
def small(tmp_path: Path) -> Grammar:
    (tmp_path / "small.toml").write_text(SMALL, encoding="utf-8")
    return read_grammar(tmp_path / "small.toml")


@pytest.fixture(scope="module", params=["phrases.toml", "phrases-ko.toml", "phrases-de.toml"])
def each_grammar(request: pytest.FixtureRequest) -> Grammar:
    return read_grammar(PATTERNS.with_name(request.param))


def find_neutral(lines: Sequence[tuple[int, str]]) -> set[str]:
    """Finds texts that occur with both labels."""
    by_label = [{text for label, text in lines if label == each} for each in range(len(LABELS))]
    return by_label[0] & by_label[1]


def reach_slots(pattern: str, topic: Lists) -> set[str]:
    """Collects the slots of a pattern and of all entries that may fill them."""
    found: set[str] = set()
    waiting = SLOT.findall(pattern)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [inner for entry in topic.get(name, ()) for inner in SLOT.findall(entry)]
    return found


def test_same_seed_writes_the_same_file(tmp_path: Path) -> None:
    for name, seed in (("one", "3"), ("two", "3"), ("other", "4")):
        main(["--out", str(tmp_path / name), "--num-sentences", "200", "--seed", seed])
    one, two, other = (
        (tmp_path / name / "train.tsv").read_bytes() for name in ("one", "two", "other")
    )
    assert one == two
    assert one != other


@pytest.mark.parametrize("num_sentences", [100, 501])
def test_file_has_the_requested_number_of_lines(num_sentences: int, tmp_path: Path) -> None:
    main(["--out", str(tmp_path), "--num-sentences", str(num_sentences)])
    lines = (tmp_path / "train.tsv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == num_sentences
    assert all(re.fullmatch(r"[01]\t\S[^\t]*", line) for line in lines)


def test_excluded_texts_are_not_written_in_any_typing(grammar: Grammar) -> None:
    usual = {text_key(text) for _, text in write_sentences(grammar, 1000, random.Random(1))}
    excluded = sorted(usual)[::10]

    lines = write_sentences(grammar, 1000, random.Random(1), excluded)

    assert len(lines) == 1000
    assert not {text_key(text) for _, text in lines} & set(excluded)


def test_labels_are_balanced(lines: list[tuple[int, str]]) -> None:
    assert Counter(label for label, _ in lines) == {0: NUM_SENTENCES / 2, 1: NUM_SENTENCES / 2}


def test_each_neutral_sentence_occurs_once_with_each_label(
    lines: list[tuple[int, str]],
) -> None:
    neutral = find_neutral(lines)
    assert len(neutral) == round(NUM_SENTENCES * NEUTRAL_SHARE / 2)
    assert {Counter(lines)[label, text] for text in neutral for label in (0, 1)} == {1}


def test_only_neutral_sentences_are_repeated(lines: list[tuple[int, str]]) -> None:
    neutral = find_neutral(lines)
    assert max(Counter(text for _, text in lines if text not in neutral).values()) == 1


def test_sentences_differ_in_more_than_typing(grammar: Grammar) -> None:
    seen: set[str] = set()
    texts = [
        text
        for tone in ("positive", "negative")
        for text in draw_texts(grammar, tone, 800, seen, random.Random(2))
    ]
    assert len({text_key(text) for text in texts}) == len(texts) == len(seen)


def test_all_slots_are_filled_and_spaces_are_single(lines: list[tuple[int, str]]) -> None:
    assert not [text for _, text in lines if re.search(r"[{}]|\s\s|\s[.,!?]|^\s|\s$", text)]


def test_articles_agree(grammar: Grammar) -> None:
    texts = draw_texts(grammar, "positive", 1500, set(), random.Random(3))
    assert not [
        text for text in texts if re.search(r"\b[Aa] [aei]|\b[Aa]n [b-df-gj-np-tv-z]", text)
    ]
    assert [text for text in texts if re.search(r"\b[Aa]n [aeo]", text)]


def test_labels_share_their_subjects(grammar: Grammar) -> None:
    lines = write_sentences(grammar, 6000, random.Random(1))
    neutral = find_neutral(lines)
    words: list[set[str]] = [set(), set()]
    for label, text in lines:
        if text not in neutral:
            words[label] |= set(re.findall(r"[a-z]+", text.lower()))
    subjects = {topic["thing"][0].lower() for topic in grammar.topics}
    known = {subject for subject in subjects if subject in words[0] | words[1]}
    assert len(known) > 120
    assert len(known & words[0] & words[1]) > 0.9 * len(known)


@pytest.mark.parametrize("word", FUNCTION_WORDS)
def test_function_words_do_not_reveal_the_label(word: str, lines: list[tuple[int, str]]) -> None:
    labels = [label for label, text in lines if word in re.findall(r"[a-z']+", text.lower())]
    assert len(labels) >= 10
    assert 0.25 < sum(labels) / len(labels) < 0.75


@pytest.mark.parametrize("tone", ["positive", "negative", "neutral"])
def test_every_pattern_has_a_subject_and_a_list_for_each_slot(
    tone: str, each_grammar: Grammar
) -> None:
    patterns = {
        pattern: topics
        for shape in each_grammar.shapes
        for pattern, topics in find_topics(each_grammar, shape.get(tone, ())).items()
    }
    assert [pattern for pattern, topics in patterns.items() if not topics] == []
    missing = {
        (pattern, name)
        for pattern, topics in patterns.items()
        for topic in topics
        for name in reach_slots(pattern, topic) - topic.keys()
    }
    assert missing == set()


def test_shapes_are_balanced_between_the_labels(each_grammar: Grammar) -> None:
    lengths = [
        (len(shape.get("positive", ())), len(shape.get("negative", ())))
        for shape in each_grammar.shapes
    ]
    assert all(min(pair) >= 0.8 * max(pair) for pair in lengths)


def test_about_a_third_is_typed_in_a_hurry(grammar: Grammar) -> None:
    rng = random.Random(4)
    texts = draw_texts(grammar, "negative", 2000, set(), rng)
    typed = [type_text(text, rng) for text in texts]
    num_hasty = sum(one != other for one, other in zip(texts, typed, strict=True))
    assert 0.3 < num_hasty / len(texts) < 0.4
    assert 0.01 < sum(text.isupper() for text in typed) / len(texts) < 0.06


def test_words_agree_with_their_subject(small: Grammar) -> None:
    assert set(draw_texts(small, "positive", 8, set(), random.Random(1))) == {
        "An egg. Yes!",
        "Shoes. Yes!",
        "The egg is tasty.",
        "My egg is tasty.",
        "The shoes are good.",
        "My shoes are good.",
        "The shoes fit well.",
        "My shoes fit well.",
    }


@pytest.mark.parametrize("name", ["phrases-ko.toml", "phrases-de.toml"])
def test_other_languages_leave_no_mark_unresolved(name: str) -> None:
    lines = write_sentences(read_grammar(PATTERNS.with_name(name)), 600, random.Random(1))
    assert len({text for _, text in lines}) >= 400
    assert not [text for _, text in lines if re.search(r"[{}\[\]<]", text)]


def test_korean_words_are_inflected_in_one_style() -> None:
    topic = {"thing": ["영화"], "good": ["좋다"]}
    texts = {
        fill_pattern(
            "{thing}[은] <{good} adj past>. <{good} adj 않다>.", topic, random.Random(seed)
        )
        for seed in range(60)
    }
    assert texts == {
        "영화는 좋았어요. 좋지 않아요.",
        "영화는 좋았습니다. 좋지 않습니다.",
        "영화는 좋았어. 좋지 않아.",
        "영화는 좋았다. 좋지 않다.",
        "영화는 좋았네요. 좋지 않네요.",
        "영화는 좋았음. 좋지 않음.",
    }


def test_exhausted_patterns_are_reported(small: Grammar) -> None:
    with pytest.raises(ValueError, match="the patterns yield 8 positive sentences of 9"):
        draw_texts(small, "positive", 9, set(), random.Random(1))


def test_word_is_not_repeated_if_there_is_another() -> None:
    topic = {"the": ["the"], "good": ["good", "nice"]}
    texts = {fill_pattern("{good} and {good}", topic, random.Random(seed)) for seed in range(20)}
    assert texts == {"Good and nice", "Nice and good"}


def test_determiner_stays_within_a_sentence() -> None:
    topic = {"the": ["the", "my"]}
    texts = {fill_pattern("{the} cup or {the} cup", topic, random.Random(i)) for i in range(20)}
    assert texts == {"The cup or the cup", "My cup or my cup"}


def test_hasty_typing_keeps_the_words() -> None:
    text = "It didn't last, so I sent it back."
    typed = {type_text(text, random.Random(seed)) for seed in range(200)}
    shrunk = {re.sub(r"o{2,}", "o", re.sub(r"[\W_]", "", each.lower())) for each in typed}
    assert shrunk == {"itdidntlastsoisentitback"}
    assert len(typed) > 12


def test_korean_words_may_be_joined() -> None:
    joined = {join_words("정말 안 좋아요", random.Random(seed)) for seed in range(40)}
    assert "정말안좋아요" in joined
    assert {text.replace(" ", "") for text in joined} == {"정말안좋아요"}
    assert join_words("not so good", random.Random(1)) == "not so good"


def test_only_statements_are_exclaimed() -> None:
    rng = random.Random(1)
    assert {exclaim("No.", rng) for _ in range(50)} == {"No!", "No!!", "No!!!", "No!!!!"}
    assert exclaim("When?", rng) == "When?"


def test_only_listed_words_are_stretched() -> None:
    assert re.fullmatch("It is so{3,5} good", stretch_word("It is so good", random.Random(1)))
    assert stretch_word("We go to the sofa", random.Random(1)) == "We go to the sofa"


@pytest.mark.parametrize("num_sentences", ["99", "0", "-5"])
def test_too_few_sentences_are_rejected(num_sentences: str, tmp_path: Path) -> None:
    with pytest.raises(
        SystemExit, match=r"models\.synthesis\.phrases: --num-sentences .*: at least 100"
    ):
        main(["--out", str(tmp_path / "out"), "--num-sentences", num_sentences])
    assert not (tmp_path / "out").exists()


def test_more_sentences_than_the_patterns_yield_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "few.toml"
    path.write_text(SMALL + 'negative = ["no."]\nneutral = ["at {the} {thing}."]', encoding="utf-8")
    with pytest.raises(SystemExit, match=r"--num-sentences: the patterns yield 4 neutral .* of 17"):
        main(["--out", str(tmp_path / "out"), "--num-sentences", "100", "--patterns", str(path)])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ("[words]", "lacks agreement, domains, shapes"),
        ("[words", "at the end of a table declaration"),
        (SMALL + 'neutral = ["{none}."]', "no subject has a list for every slot of '{none}.'"),
        (SMALL.replace('"well"', '"{none}"') + 'neutral = ["{fit}."]', "no list for {none} in"),
    ],
)
def test_damaged_patterns_are_reported(patterns: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "damaged.toml"
    path.write_text(patterns, encoding="utf-8")
    with pytest.raises(SystemExit, match=r"models\.synthesis\.phrases: .*" + re.escape(message)):
        main(["--out", str(tmp_path / "out"), "--num-sentences", "100", "--patterns", str(path)])


def test_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"models\.synthesis\.phrases: .*file"):
        main(["--out", str(tmp_path / "file"), "--num-sentences", "100"])
