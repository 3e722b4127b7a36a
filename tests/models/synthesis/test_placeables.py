import random
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from models.synthesis.placeables import FOLDERS, SENTENCES, SLOT, fill, main
from models.training.data.masking import mask_pair
from service.text.masking.masks import ALL_MASKS, MASKS
from service.text.masking.placeables import find_placeables

ROWS: list[list[str]] = tomllib.loads(SENTENCES.read_text(encoding="utf-8"))["sentences"]


def read_pairs(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_sentence_has_the_same_slots_in_all_languages(row: list[str]) -> None:
    assert len(row) == 1 + len(FOLDERS)
    slots = [Counter(SLOT.findall(side)) for side in row]
    assert slots[0] == slots[1] == slots[2]
    assert slots[0]
    assert max(slots[0].values()) == 1


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_nothing_but_slots_and_small_numbers_would_be_masked(row: list[str]) -> None:
    for side in row:
        assert find_placeables(SLOT.sub("", side)) == []


def test_no_sentence_is_there_twice() -> None:
    assert len({row[0] for row in ROWS}) == len(ROWS)


def test_written_pairs_carry_the_same_masks(tmp_path: Path) -> None:
    main(["--out", str(tmp_path), "--copies", "4"])

    for name in FOLDERS:
        pairs = read_pairs(tmp_path / name / "train.tsv")
        assert len(pairs) == 4 * len(ROWS)
        for first, second in pairs:
            masks = [sorted(set(side) & set(ALL_MASKS)) for side in (first, second)]
            assert masks[0] == masks[1]
            assert masks[0]
            assert not SLOT.search(first + second)
            assert mask_pair(first, second, random.Random(1)) == (first, second)


def test_all_masks_are_written(tmp_path: Path) -> None:
    main(["--out", str(tmp_path)])

    text = (tmp_path / "placeables_deen" / "train.tsv").read_text(encoding="utf-8")
    counts = Counter(character for character in text if character in ALL_MASKS)
    assert counts.keys() == set(ALL_MASKS)
    assert counts.most_common(1)[0][0] in (MASKS["number"][0], MASKS["name"][0])


def test_same_seed_writes_the_same(tmp_path: Path) -> None:
    for name, seed in (("one", "3"), ("two", "3"), ("other", "4")):
        main(["--out", str(tmp_path / name), "--seed", seed])
    one, two, other = (
        (tmp_path / name / "placeables_koen" / "train.tsv").read_bytes()
        for name in ("one", "two", "other")
    )
    assert one == two
    assert one != other


def test_slots_of_a_copy_have_masks_that_follow_each_other() -> None:
    for first, second in fill("{x} {x2} {n} {n2}", "{n2} {n} {x2} {x}", 50, random.Random(1)):
        names, numbers = first.split()[:2], first.split()[2:]
        for masks, kind in ((names, MASKS["name"]), (numbers, MASKS["number"])):
            places = [kind.index(mask) for mask in masks]
            assert places[1] == (places[0] + 1) % len(kind)
        assert second.split() == first.split()[::-1]
