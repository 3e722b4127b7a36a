import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from models.synthesis.inflection import inflect
from models.synthesis.korean import Level
from models.synthesis.pairs import (
    LEVELS,
    PATTERNS,
    Grammar,
    fill_pattern,
    main,
    read_grammar,
    write_pairs,
)
from models.training.data.held_out import HeldOut, read_everyday, text_key
from models.training.data.sources import Row, read_split

SMALL = """
[lists]
drink = [["tea", "차", "Tee"], ["water", "물", "Wasser"]]
[[lists.action]]
en = "open the door"
en_done = "opened the door"
ko = "문을"
ko_verb = "열다"
de = "die Tür ~ öffnen"
de_done = "die Tür ~ geöffnet"

[[patterns.drink]]
en = "I drink {drink}."
ko = "저는 {drink}[를] <마시다>."
de = "Ich trinke {drink}."
levels = ["해요"]

[[patterns.drink]]
en = "Didn't you {action}? I've {action.done}."
ko = "{action} <{action.verb} 안 past ?>?"
de = "Hast du {action.done|nicht}? Ich will {action}."
levels = ["합니다"]
"""


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return read_grammar(PATTERNS)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pairs(grammar: Grammar) -> list[Row]:
    return write_pairs(grammar, ("en", "ko"), 3000, Random(1))


@pytest.mark.parametrize(
    ("text", "level", "expected"),
    [
        ("제 번호는 02-0000-0002<이다>.", "해요", "제 번호는 02-0000-0002예요."),
        ("제 번호는 02-0000-0003<이다 아니>.", "해", "내 번호는 02-0000-0003이 아니야."),
        ("폴[는] 1층[로] <가다 past>.", "합니다", "폴은 1층으로 갔습니다."),
        ("저는 물[를] <마시다 고> <싶다 adj 않다 past>.", "한다", "나는 물을 마시고 싶지 않았다."),
        ("어머니[은] <자다 시 ?>?", "해요", "어머니는 주무세요?"),
        ("<돕다 ㄹ> 수 <있다>.", "해", "도울 수 있어."),
        ("오늘 <전화+하다 못 past>.", "해요", "오늘 전화 못 했어요."),
        ("<부르다 어>야 <하다 future>.", "해요", "불러야 할 거예요."),
    ],
)
def test_korean_marks_become_particles_and_predicates(
    text: str, level: Level, expected: str
) -> None:
    assert inflect(text, level) == expected


def test_slots_hold_the_same_entry_in_every_language(small: Path) -> None:
    grammar = read_grammar(small)
    [drink, action] = grammar.topics["drink"]

    assert fill_pattern(drink, grammar.lists, Random(1)) in (
        {"en": "I drink tea.", "ko": "저는 차를 마셔요.", "de": "Ich trinke Tee."},
        {"en": "I drink water.", "ko": "저는 물을 마셔요.", "de": "Ich trinke Wasser."},
    )
    assert fill_pattern(action, grammar.lists, Random(1)) == {
        "en": "Didn't you open the door? I've opened the door.",
        "ko": "문을 안 열었습니까?",
        "de": "Hast du die Tür nicht geöffnet? Ich will die Tür öffnen.",
    }


def test_shipped_patterns_leave_no_mark_in_any_language(grammar: Grammar) -> None:
    for topic, patterns in grammar.topics.items():
        for pattern in patterns:
            for seed in range(20):
                texts = fill_pattern(pattern, grammar.lists, Random(seed))
                assert not [text for text in texts.values() if re.search(r"[{}<>\[\]|~]|  ", text)]
                if topic != "word":
                    assert all(text[-1] in ".?!" for text in texts.values()), topic
                    assert len({text[-1] for text in texts.values()}) == 1, texts


def test_pairs_do_not_repeat_a_side_and_hold_no_everyday_sentence(pairs: Sequence[Row]) -> None:
    for side in (0, 1):
        assert len({text_key(pair[side]) for pair in pairs}) == len(pairs) == 3000
    held_out = HeldOut("translation")
    assert not [pair for pair in pairs if held_out.find_sets(pair)]


def test_everyday_sentence_of_a_pattern_is_not_written(small: Path) -> None:
    everyday = next(text for source, _, text, _ in read_everyday("translation") if source == "en")
    small.write_text(
        f'[lists]\n[[patterns.a]]\nen = "{everyday}"\nko = "하나."\nde = "Eins."\n',
        encoding="utf-8",
    )

    with pytest.raises(ValueError, match="yield only 0"):
        write_pairs(read_grammar(small), ("en", "ko"), 1, Random(1))


def test_numbers_dates_prices_counters_and_negation_occur(pairs: Sequence[Row]) -> None:
    marks = [
        r"010-\d{4}-\d{4}",
        r"\d월 \d+일",
        r"[만천백십] 원",
        r"[가-힣] 마리",
        r"안 [가-힣]+\?$",
    ]

    assert all(sum(bool(re.search(mark, korean)) for _, korean in pairs) > 20 for mark in marks)


def test_all_levels_are_written(pairs: Sequence[Row]) -> None:
    endings = {"해요": "요", "합니다": "[니시][다까]", "해": "[^요다까]", "한다": "[^니시]다"}
    counts = {
        level: sum(bool(re.search(f"{endings[level]}[.?]$", korean)) for _, korean in pairs)
        for level in LEVELS
    }

    assert min(counts.values()) > 50
    assert max(counts, key=counts.__getitem__) == "해요"


def test_command_writes_the_same_training_set_for_the_same_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for out in ("a", "b"):
        folder = str(tmp_path / out)
        main(["--languages", "en", "de", "--num-pairs", "300", "--seed", "3", "--out", folder])

    rows = read_split(tmp_path / "a", "train", ["en", "de"])
    assert len(rows) == 300
    assert rows == read_split(tmp_path / "b", "train", ["en", "de"])
    assert "wrote 300 pairs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (('de = "Ich trinke {drink}."\n', ""), "lacks de"),
        (("{drink}[를]", "{juice}[를]"), "juice"),
        (("<마시다>", "<마시다 maybe>"), "unknown option maybe"),
        (("<마시다>", "<마셔요>"), "not a dictionary form"),
        (('levels = ["해요"]', 'levels = ["하오"]'), "하오 is none of"),
        (('["tea", "차", "Tee"]', '["tea", "차"]'), "does not have a text for each"),
        (("{action.done|nicht}", "{action.past|nicht}"), "de_past"),
        (("lists", "list"), "lacks lists"),
        (("", ""), "yield only 3"),
    ],
)
def test_faults_of_a_grammar_are_named(
    small: Path, tmp_path: Path, change: tuple[str, str], fault: str
) -> None:
    small.write_text(SMALL.replace(*change), encoding="utf-8")
    arguments = ["--languages", "en", "ko", "--patterns", str(small), "--num-pairs", "9"]

    with pytest.raises(SystemExit, match=rf"models\.synthesis\.pairs: .*{fault}"):
        main([*arguments, "--out", str(tmp_path / "out")])


def test_a_language_is_not_paired_with_itself(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="choose two different ones, not en twice"):
        main(["--languages", "en", "en", "--out", str(tmp_path)])


def test_second_slot_of_a_list_is_another_entry(small: Path) -> None:
    text = SMALL + '\n[[patterns.drink]]\nen = "{drink}, {drink2}"\nko = "{drink}"\nde = "{drink2}"'
    small.write_text(text, encoding="utf-8")
    grammar = read_grammar(small)
    texts = fill_pattern(grammar.topics["drink"][-1], grammar.lists, Random(1))
    assert texts["en"].lower() in ("tea, water", "water, tea")


def test_list_without_another_entry_is_refused(small: Path) -> None:
    text = SMALL + '\n[[patterns.drink]]\nen = "{drink}, {drink2}, {drink3}"\nko = "x"\nde = "x"'
    small.write_text(text.replace('["water", "물", "Wasser"]', ""), encoding="utf-8")
    grammar = read_grammar(small)
    with pytest.raises(ValueError, match="no other entry"):
        fill_pattern(grammar.topics["drink"][-1], grammar.lists, Random(1))
