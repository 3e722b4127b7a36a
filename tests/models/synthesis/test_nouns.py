from pathlib import Path

import pytest

from models.synthesis.nouns import make_forms, read_nouns

FORMS = [
    ("apple | apples | 사과 | der Apfel | Äpfel", "en_a", "an apple"),
    ("uniform | uniforms | 유니폼 | die Uniform | Uniformen", "en_a", "a uniform"),
    ("apple | apples | 사과 | der Apfel | Äpfel", "en_many", "apples"),
    ("apple | apples | 사과 | der Apfel | Äpfel", "de_den", "den Apfel"),
    ("apple | apples | 사과 | der Apfel | Äpfel", "de_keinen", "keinen Apfel"),
    ("apple | apples | 사과 | der Apfel | Äpfel", "de_zum", "zum Apfel"),
    ("pear | pears | 배 | die Birne | Birnen", "de_dem", "der Birne"),
    ("pear | pears | 배 | die Birne | Birnen", "de_einem", "einer Birne"),
    ("pear | pears | 배 | die Birne | Birnen", "de_im", "in der Birne"),
    ("pear | pears | 배 | die Birne | Birnen", "de_er", "sie"),
    ("egg | eggs | 달걀 | das Ei | Eier", "de_diesen", "dieses Ei"),
    ("egg | eggs | 달걀 | das Ei | Eier", "de_many", "Eier"),
    ("monkey | monkeys | 원숭이 | der Affe* | Affen", "de_ein", "ein Affe"),
    ("monkey | monkeys | 원숭이 | der Affe* | Affen", "de_meinen", "meinen Affen"),
    ("bread | 빵 | das Brot", "de_kein", "kein Brot"),
    ("a cold | 감기 | eine Erkältung", "de", "eine Erkältung"),
]


@pytest.mark.parametrize(("entry", "key", "expected"), FORMS)
def test_form_of_a_noun(entry: str, key: str, expected: str) -> None:
    assert make_forms(entry)[key] == expected


@pytest.mark.parametrize("entry", ["bread | 빵 | das Brot", "a cold | 감기 | eine Erkältung"])
def test_what_is_not_counted_has_no_plural(entry: str) -> None:
    assert not make_forms(entry).keys() & {"en_a", "en_many", "de_ein", "de_many"}


@pytest.mark.parametrize("entry", ["apple", "apple | apples | 사과 | der Apfel"])
def test_entry_with_a_wrong_number_of_parts_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="three or five parts"):
        make_forms(entry)


def test_entries_of_a_topic_have_the_same_forms_and_are_not_repeated() -> None:
    for topic, nouns in read_nouns().items():
        assert len({frozenset(noun) for noun in nouns}) == 1, topic
        assert len({tuple(noun.values()) for noun in nouns}) == len(nouns), topic


def test_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nouns.toml"
    path.write_text("produce = [", encoding="utf-8")
    with pytest.raises(ValueError, match=r"Unclosed|Invalid"):
        read_nouns(path)
