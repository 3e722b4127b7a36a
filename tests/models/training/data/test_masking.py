import random
import re
from collections import Counter
from collections.abc import Sequence

import pytest

from models.training.data.masking import Found, find_maskable, list_people, mask_pair
from service.text.masking.masks import ALL_MASKS, MASKS, MASKS_PER_KIND

# English, and German or Korean, that share what may be masked
PAIRS = [
    ("It costs $1,234.50 in 2021.", "Es kostet 1.234,50 $ im Jahr 2021."),
    ("Call 030 123456 at 12:30.", "Ruf um 12:30 Uhr 030 123456 an."),
    ("I have 3 dogs and 25 cats.", "Ich habe 25 Katzen und 3 Hunde."),
    ("See https://a.org and a@b.org.", "Siehe a@b.org und https://a.org."),
    ("Does Tom know Mary and Tom?", "Kennt Tom Maria und Tom?"),
    ("We met in Boston with Tom in 1999.", "1999 trafen wir uns mit Tom in Boston."),
    ("Open main.py in /tmp/x.", "/tmp/x에서 main.py를 여세요."),
    ("30 and 30 and 40", "40, 30 und 30"),
    ("30 and 30", "nur 30"),
    ("No figures here.", "Keine Zahlen hier."),
    ("1990 to 2000", "von neunzehnhundert bis zweitausend"),
    ("Good 👍 30 job", "30 gut 👍"),
    ("", ""),
    (" and ".join(map(str, range(100, 115))), " und ".join(map(str, range(114, 99, -1)))),
]
SEEDS = range(25)


def count_masks(text: str) -> Counter[str]:
    return Counter(character for character in text if character in ALL_MASKS)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_each_mask_of_a_source_is_in_its_target(source: str, target: str) -> None:
    for seed in SEEDS:
        masked = mask_pair(source, target, random.Random(seed))

        counts = [count_masks(text) for text in masked]
        assert counts[0] == counts[1]
        assert not counts[0] or max(counts[0].values()) == 1


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_masks_stand_for_the_same_on_both_sides(source: str, target: str) -> None:
    for seed in SEEDS:
        sides = mask_pair(source, target, random.Random(seed))
        keys = []
        for original, masked in zip((source, target), sides, strict=True):
            found = find_maskable(original, small_numbers=True)
            keys.append(dict(spell_masks(original, masked, found)))
        assert keys[0] == keys[1]


def spell_masks(original: str, masked: str, found: Sequence[Found]) -> list[tuple[str, str]]:
    """Each mask with the key of what it replaced, by aligning the texts from the left."""
    spelled, at = [], 0
    starts = {each.start: each for each in found}
    for character in masked:
        if character in ALL_MASKS:
            spelled.append((character, starts[at].key))
            at = starts[at].end
        else:
            assert original[at] == character
            at += 1
    assert at == len(original)
    return spelled


def test_same_seed_gives_the_same_masks() -> None:
    one, two = (
        [mask_pair(*pair, random.Random(3)) for pair in PAIRS for _ in range(3)] for _ in range(2)
    )
    assert one == two


def test_seeds_differ_in_masks_names_and_small_numbers() -> None:
    masked = {mask_pair(*PAIRS[2], random.Random(seed)) for seed in range(400)}

    assert len({source[source.index("dogs and ") + 9] for source, _ in masked}) == MASKS_PER_KIND
    assert {source.startswith("I have 3 dogs") for source, _ in masked} == {True, False}


@pytest.mark.parametrize("mask", ["\ue000", "\ue00f"])
def test_pair_written_with_masks_stays(mask: str) -> None:
    pair = (f"{mask} in 2021", f"{mask} im Jahr 2021")

    assert mask_pair(*pair, random.Random(1)) == pair


def test_what_one_side_lacks_stays() -> None:
    pair = ("It was 1990, not 2000.", "Es war 1990, nicht zweitausend.")

    for seed in SEEDS:
        source, target = mask_pair(*pair, random.Random(seed))
        assert "2000" in source
        assert "1990" not in source + target


def test_numbers_are_the_same_by_their_digits() -> None:
    source, target = mask_pair("1,234.5 km", "1.234,5 km", random.Random(1))

    assert source == target
    assert len(source) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tom knows Mary.", ["Mary"]),  # the first word has a capital anyway
        ("I saw Tom's dog in New-York and USA", ["Tom's", "New-York"]),
        ("in Boston, A380 and 25", ["Boston", "A380", "25"]),
        ("good 👍 <b>x</b>", []),
        ("the file Main.py", ["Main.py"]),
    ],
)
def test_names_are_words_with_a_capital_and_placeables_but_no_marks(
    text: str, expected: list[str]
) -> None:
    found = find_maskable(text, small_numbers=False)

    assert [text[each.start : each.end] for each in found if each.kind in MASKS] == expected


def test_no_more_masks_are_given_than_there_are_of_a_kind() -> None:
    source, target = mask_pair(*PAIRS[-1], random.Random(1))

    assert sum(count_masks(source).values()) == MASKS_PER_KIND
    assert count_masks(source) == count_masks(target)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("I am Kim Min-su.", "저는 김민수예요."),
        ("김민수는 의사예요.", "Kim Minsu is a doctor."),
        ("Kim Min-su kommt.", "Kim Min-su is coming."),
    ],
)
def test_names_of_koreans_are_the_same_in_both_scripts(source: str, target: str) -> None:
    sides = mask_pair(source, target, random.Random(2))
    masks = [re.findall("[\ue008-\ue00f]", side) for side in sides]
    assert len(masks[0]) == 1
    assert masks[0] == masks[1]
    assert not any(name in side for side in sides for name in ("Kim", "김민수"))


def test_other_names_are_masked_where_they_are_spelled_in_hangul() -> None:
    pair = ("Robert Miller knows Joe.", "로버트 밀러는 조를 조금 알아요.")
    source, target = mask_pair(*pair, random.Random(3))
    mask = source[0]
    assert (source, target) == (f"{mask} knows Joe.", f"{mask}는 조를 조금 알아요.")


def test_full_names_are_masked_between_latin_letters() -> None:
    assert list_people("Robert kommt.", "Robert comes.") == {}
    assert list_people("Peter Klein kommt.", "Here is Mr. Bell.") == {
        "Peter Klein": "Peter Klein",
        "Bell": "Bell",
    }
