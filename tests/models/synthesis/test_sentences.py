import re
from pathlib import Path
from random import Random

import pytest

from models.synthesis.inflection import inflect
from models.synthesis.pairs import LANGUAGES, LEVELS, PATTERNS, fill_pattern, read_grammar
from models.synthesis.sentences import list_files, main, read_line, read_sentences, write_sentences
from models.training.data.held_out import HeldOut, read_everyday
from models.training.data.sources import read_split
from service.text.set_phrases import read_table

FILES = list_files()
LISTS = read_grammar(PATTERNS).lists
SCRIPTS = {"en": re.compile(r"[가-힣ㄱ-ㅣäöüÄÖÜß]"), "de": re.compile(r"[가-힣ㄱ-ㅣ]")}
MARKED = re.compile(r"[\[\]<>{}|~]")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_sentences_can_be_filled_in_every_level(path: Path) -> None:
    rng = Random(1)
    for pattern in read_sentences(path):
        for ways in pattern.texts.values():
            assert all(way == way.strip() and "  " not in way for way in ways)
        texts = fill_pattern(pattern, LISTS, rng)
        for language in LANGUAGES:
            assert not MARKED.search(texts[language]), texts[language]
        for language, script in SCRIPTS.items():
            foreign = {word for word in split_words(texts[language]) if script.search(word)}
            assert foreign <= find_names(texts), texts[language]
        assert re.search("[ㄱ-ㅣ가-힣0-9A-Z]", texts["ko"]), texts["ko"]
        for level in LEVELS:
            for way in pattern.texts["ko"]:
                if "{" not in way:
                    inflect(way, level)


def split_words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def find_names(texts: dict[str, str]) -> set[str]:
    """The words in Latin letters that English and German share: Groß, Spätzle."""
    shared = set(split_words(texts["en"])) & set(split_words(texts["de"]))
    return {word for word in shared if not SCRIPTS["de"].search(word)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_sides_end_alike(path: Path) -> None:
    def mark(text: str) -> str:
        return end[0] if (end := re.search(r"[.!?]$", text)) else ""

    for pattern in read_sentences(path):
        marks = {mark(way) for ways in pattern.texts.values() for way in ways}
        assert len(marks) == 1, pattern.texts


def test_a_sentence_comes_in_several_levels_and_ways() -> None:
    pattern = read_line("I'm tired. | 저는 <피곤+하다 adj>. | Ich bin müde. / Ich bin erschöpft.")
    pairs = write_sentences([pattern], {}, ["de", "ko"], 50, Random(1))
    assert {german for german, _ in pairs} == {"Ich bin müde.", "Ich bin erschöpft."}
    assert {korean for _, korean in pairs} == {
        "저는 피곤해요.",
        "저는 피곤합니다.",
        "나는 피곤해.",
        "나는 피곤하다.",
    }
    assert len(set(pairs)) == len(pairs)


def test_everyday_sentences_are_not_written() -> None:
    english = read_everyday("translation")[0][2]
    pattern = read_line(f"{english} | 물. | Wasser.")
    assert write_sentences([pattern], {}, ["en", "de"], 3, Random(1)) == []


@pytest.mark.parametrize("line", ["Water. | 물.", "Water. | | Wasser.", "a | b | c | d"])
def test_a_line_needs_three_texts(line: str) -> None:
    with pytest.raises(ValueError, match="a text for each of en, ko, de"):
        read_line(line)


def test_the_command_writes_a_training_set(tmp_path: Path) -> None:
    main(["--languages", "en", "de", "--out", str(tmp_path / "sentences")])
    assert read_split(tmp_path / "sentences", "train", ["en", "de"])
    with pytest.raises(SystemExit, match="not en twice"):
        main(["--languages", "en", "en", "--out", str(tmp_path)])


def test_no_set_phrase_is_an_everyday_sentence() -> None:
    held_out = HeldOut("translation")
    for row in read_table():
        for ways in row.values():
            assert not any(held_out.find_sets((way,)) for way in ways)
