import gzip
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from models.config import RunConfig, SourceConfig, parse_config
from models.training.data.sources import (
    Example,
    add_typing_noise,
    bucket_batches,
    index_labels,
    join_ptb,
    limit_rows,
    pad_ids,
    read_source,
    read_split,
    sample_weighted,
)


def make_config(**source: str) -> RunConfig:
    return parse_config(
        {
            "name": "films",
            "task": "classification",
            "languages": ["en"],
            "labels": ["negative", "positive"],
            "sources": [{"path": "films", "licence": "CC0-1.0", "commercial_use": True} | source],
        }
    )


def test_example_is_as_long_as_its_longer_side() -> None:
    assert len(Example([1, 2, 3], [4])) == 3
    assert len(Example([1, 2, 3], [4, 5, 6, 7])) == 4


def test_table_is_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("0\tbad\r\n\n1\tvery good\n", encoding="utf-8")

    assert read_split(tmp_path, "train", ["en"]) == [("0", "bad"), ("1", "very good")]


def test_line_with_further_columns_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("one\tun\nhi\tsalut\tCC BY\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r"train\.tsv, line 2: expected two columns .* found 3"):
        read_split(tmp_path, "train", ["en", "fr"])


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"1\tgood\n" * 99, mtime=0)[:-9]])
def test_incomplete_gzip_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "train.tsv.gz").write_bytes(content)

    with pytest.raises(ValueError, match=r"train\.tsv\.gz is not a complete gzip file"):
        read_split(tmp_path, "train", ["en"])


def test_limited_rows_are_from_the_whole_file_and_the_same_each_time() -> None:
    rows = list(range(1000))

    drawn = limit_rows(rows, 100)

    assert drawn == sorted(drawn) == limit_rows(rows, 100)
    assert len(drawn) == 100
    assert 350 < sum(drawn) / 100 < 650
    assert limit_rows(rows, None) == limit_rows(rows, 1000) == rows


def test_byte_order_mark_is_not_part_of_the_first_label(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_bytes(b"\xef\xbb\xbf1\tgood\n")

    assert read_split(tmp_path, "train", ["en"]) == [("1", "good")]


@pytest.mark.parametrize(
    ("labels", "given", "places"),
    [
        (("bad", "fair", "good"), ["good", "bad", "1"], [2, 0, 1]),
        (("0", "1"), ["1", "0"], [1, 0]),
        (("1", "2", "3"), ["1", "3"], [0, 2]),  # stars are names, not places
    ],
)
def test_labels_are_given_by_name_or_by_index(
    labels: tuple[str, ...], given: list[str], places: list[int]
) -> None:
    assert index_labels([(label, "text") for label in given], labels) == places


@pytest.mark.parametrize(
    ("labels", "given"), [(("bad", "good"), "great"), (("bad", "good"), "2"), (("1", "2"), "0")]
)
def test_unknown_label_is_rejected_by_name(labels: tuple[str, ...], given: str) -> None:
    with pytest.raises(ValueError, match=f"not '{given}'"):
        index_labels([(given, "text")], labels)


def test_compressed_table_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "train.tsv.gz").write_bytes(gzip.compress("1\t좋아요\n".encode()))

    assert read_split(tmp_path, "train", ["ko"]) == [("1", "좋아요")]


def test_only_line_feeds_end_a_line(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("1\tone\u2028line\x85here\n", encoding="utf-8")

    assert read_split(tmp_path, "train", ["en"]) == [("1", "one\u2028line\x85here")]


def test_parallel_files_are_zipped_one_of_them_compressed(tmp_path: Path) -> None:
    (tmp_path / "train.en").write_text("one\ntwo\n", encoding="utf-8")
    (tmp_path / "train.de.gz").write_bytes(gzip.compress(b"eins\nzwei\n"))

    assert read_split(tmp_path, "train", ["en", "de"]) == [("one", "eins"), ("two", "zwei")]


def test_table_takes_precedence_over_parallel_files(tmp_path: Path) -> None:
    for name, text in [("train.tsv", "a\tb\n"), ("train.en", "c\n"), ("train.de", "d\n")]:
        (tmp_path / name).write_text(text, encoding="utf-8")

    assert read_split(tmp_path, "train", ["en", "de"]) == [("a", "b")]


def test_parallel_files_of_different_length_are_rejected_by_name(tmp_path: Path) -> None:
    (tmp_path / "train.en").write_text("one\ntwo\n", encoding="utf-8")
    (tmp_path / "train.de").write_text("eins\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r"train\.en has 2 lines.*train\.de 1"):
        read_split(tmp_path, "train", ["en", "de"])


def test_line_without_tab_is_rejected_by_number(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("0\tbad\n\ngood\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r"train\.tsv, line 3: .*TAB"):
        read_split(tmp_path, "train", ["en"])


def test_file_in_another_encoding_is_rejected_by_name(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_bytes("1\t좋아요\n".encode("euc-kr"))

    with pytest.raises(ValueError, match=r"train\.tsv is not UTF-8"):
        read_split(tmp_path, "train", ["ko"])


@pytest.mark.parametrize("present", [[], ["train.en"], ["valid.tsv"]])
def test_missing_split_is_named(tmp_path: Path, present: Sequence[str]) -> None:
    for name in present:
        (tmp_path / name).touch()

    with pytest.raises(FileNotFoundError, match=r"neither train\.tsv"):
        read_split(tmp_path, "train", ["en", "de"])


def test_source_has_its_own_stem_and_style(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "dev.tsv").write_text("1\tit 's good .\n", encoding="utf-8")
    config = make_config(valid="dev", style="ptb")

    assert read_source(config, config.sources[0], tmp_path, "valid") == [("1", "it's good.")]


def test_held_out_rows_are_used_for_validation_only(tmp_path: Path) -> None:
    rows = [f"{number % 2}\ttext {number}" for number in range(40)]
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "train.tsv").write_text("\n".join(rows), encoding="utf-8")
    config = make_config(valid="", holdout=8)
    source = config.sources[0]

    train, valid = (read_source(config, source, tmp_path, split) for split in ("train", "valid"))

    assert (len(train), len(valid)) == (32, 8)
    assert {text for _, text in train + valid} == {f"text {number}" for number in range(40)}
    assert {label for label, _ in valid} == {"0", "1"}
    assert read_source(config, source, tmp_path, "valid") == valid


def test_plain_source_is_unchanged(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "test.tsv").write_text("1\tit 's  good .\n", encoding="utf-8")
    config = make_config()
    source: SourceConfig = config.sources[0]

    assert read_source(config, source, tmp_path, "test") == [("1", "it 's  good .")]


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("it 's good .", "it's good."),
        ("it does n't , and we 're sure", "it doesn't, and we're sure"),
        ("a -lrb- very -rrb- long film !", "a (very) long film!"),
        ("so `` funny '' it hurts", 'so "funny" it hurts'),
        ("`` so '' .", '"so".'),
        ("wait ...", "wait..."),
        ("already fine.", "already fine."),
        ("", ""),
    ],
)
def test_treebank_tokens_are_joined(tokens: str, text: str) -> None:
    assert join_ptb(tokens) == text


@pytest.mark.parametrize(("weight", "expected"), [(0.0, 0), (0.3, 3), (1.0, 10), (2.5, 25)])
def test_weight_sets_how_many_are_drawn(weight: float, expected: int) -> None:
    assert len(sample_weighted(range(10), weight, random.Random(1))) == expected


def test_weight_above_one_repeats_each_item_and_draws_the_rest_once() -> None:
    counts = Counter(sample_weighted(range(10), 2.5, random.Random(1)))

    assert sorted(counts.values()) == [2] * 5 + [3] * 5


def test_part_of_the_items_differs_from_epoch_to_epoch_but_not_for_a_seed() -> None:
    draws = [sample_weighted(range(100), 0.3, random.Random(seed)) for seed in (1, 1, 2)]

    assert draws[0] == draws[1]
    assert draws[0] != draws[2]


@pytest.mark.parametrize("seed", [None, 1, 2])
@pytest.mark.parametrize("budget", [1, 30, 64, 1000])
def test_batches_hold_each_index_once_within_the_budget(seed: int | None, budget: int) -> None:
    lengths = [random.Random(3).randint(1, 40) for _ in range(3)] + list(range(1, 41)) * 3
    rng = None if seed is None else random.Random(seed)

    batches = bucket_batches(lengths, budget, rng)

    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) * max(lengths[index] for index in batch) <= budget or len(batch) == 1


def test_batches_have_similar_lengths() -> None:
    lengths = [random.Random(5).randint(1, 50) for _ in range(2)] + list(range(1, 51)) * 20

    padded = kept = 0
    for batch in bucket_batches(lengths, 512, random.Random(1)):
        padded += len(batch) * max(lengths[index] for index in batch)
        kept += sum(lengths[index] for index in batch)

    assert kept / padded > 0.95


def test_batches_without_rng_are_sorted() -> None:
    assert bucket_batches([3, 1, 2], 2) == [[1], [2], [0]]


def test_shuffle_follows_the_seed_and_mixes_equal_lengths() -> None:
    shuffles = [bucket_batches([5] * 40, 20, random.Random(seed)) for seed in (1, 1, 2)]

    assert shuffles[0] == shuffles[1]
    assert {frozenset(batch) for batch in shuffles[0]} != {frozenset(b) for b in shuffles[2]}


def test_no_lengths_give_no_batches() -> None:
    assert bucket_batches([], 10) == []


def test_rows_are_padded_on_the_right() -> None:
    ids, lengths = pad_ids([[5, 6, 7], [8]], pad_id=0)

    assert ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert lengths.tolist() == [3, 1]
    assert ids.dtype == lengths.dtype == torch.int64


def test_typing_noise_changes_only_case_and_full_stop() -> None:
    rng = random.Random(2)
    ways = {add_typing_noise("Is it Bonn?", rng) for _ in range(200)}

    assert ways == {"IS IT BONN?", "is it bonn?", "is it bonn", "Is it Bonn"}
    assert add_typing_noise("?!", random.Random(1)) == "?!"
