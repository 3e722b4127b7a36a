import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from export.quality.lengths import Lengths, fit_new_tokens, measure_limits, read_lengths
from export.torch_run import export_run
from models.config import RunConfig, SourceConfig
from service.repository.manifest import TOKENIZER, Limits, read_manifest
from service.repository.model import new_token_limit
from service.text.tokenizer import Tokenizer
from tests.fakes import ByteTokenizer, make_manifest

MakeConfig = Callable[..., RunConfig]
LEAST = 16


def draw_pairs(ratio: float, seed: int = 3, longest: int = 60) -> list[Lengths]:
    rng = random.Random(seed)
    sources = [rng.randint(2, longest) for _ in range(2000)]
    return [(source, max(1, round(source * ratio * rng.uniform(0.8, 1.0)))) for source in sources]


def write_pairs(folder: Path, rows: Sequence[tuple[str, str]]) -> None:
    folder.mkdir(parents=True)
    text = "".join(f"{first}\t{second}\n" for first, second in rows)
    (folder / "train.tsv").write_text(text, encoding="utf-8")


def with_sources(config: RunConfig, *sources: tuple[str, float]) -> RunConfig:
    return replace(
        config,
        sources=tuple(SourceConfig(path, "CC0-1.0", True, weight) for path, weight in sources),
    )


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0, 4.0, 9.0])
def test_translations_of_any_ratio_get_through(ratio: float) -> None:
    pairs = draw_pairs(ratio)

    base, per_token = fit_new_tokens(pairs, LEAST)

    assert all(target <= base + per_token * source for source, target in pairs)
    assert per_token == pytest.approx(ratio, rel=0.05)
    assert base == LEAST


def test_a_pair_in_two_thousand_does_not_raise_the_limit() -> None:
    pairs = draw_pairs(1.0)

    assert fit_new_tokens([*pairs, (50, 900)], LEAST).per_token < 1.1


def test_short_sentences_raise_the_base_and_not_the_slope() -> None:
    idioms = [(2, 40)] * 100

    base, per_token = fit_new_tokens(draw_pairs(1.0) + idioms, LEAST)

    assert per_token < 1.1
    assert 37 <= base <= 40


def test_one_pair_is_enough() -> None:
    assert fit_new_tokens([(10, 25)], LEAST) == (LEAST, 2.5)


def test_the_longer_direction_decides(tiny_config: MakeConfig, tmp_path: Path) -> None:
    rows = [("a" * size, "b" * (4 * size)) for size in range(1, 16)]
    write_pairs(tmp_path / "there", rows)
    write_pairs(tmp_path / "back", [(second, first) for first, second in rows])

    found = [
        measure_limits(
            with_sources(tiny_config("translation"), (path, 1.0)), ByteTokenizer(), tmp_path
        )
        for path in ("there", "back")
    ]

    assert found[0] == found[1]
    assert 3.8 <= found[0].new_tokens_per_token <= 4.0
    assert found[0].max_input_tokens == 64


def test_translations_four_times_as_long_get_through(
    tiny_config: MakeConfig, tmp_path: Path
) -> None:
    write_pairs(tmp_path / "wordy", [("a" * size, "b" * (4 * size)) for size in range(8, 15)])
    config = with_sources(tiny_config("translation"), ("wordy", 1.0))

    limits = measure_limits(config, ByteTokenizer(), tmp_path)

    manifest = make_manifest("translation", limits=limits)
    default = make_manifest("translation")
    for size in range(12, 40):
        assert new_token_limit(range(size + 1), manifest) >= 4 * size + 1
    assert new_token_limit(range(40), default) < 4 * 39


def test_sources_count_by_their_weight(tiny_config: MakeConfig, tmp_path: Path) -> None:
    write_pairs(tmp_path / "seen", [("ab", "abc")] * 10)
    write_pairs(tmp_path / "unseen", [("ab", "abcdefgh")] * 10)
    config = with_sources(tiny_config("translation"), ("seen", 2.5), ("unseen", 0.0))

    assert read_lengths(config, ByteTokenizer(), tmp_path) == [(3, 4)] * 25


def test_pairs_that_training_leaves_out_are_not_measured(
    tiny_config: MakeConfig, tmp_path: Path
) -> None:
    write_pairs(tmp_path / "odd", [("ab", "abc"), ("ab", " "), ("a" * 64, "b"), ("b", "a" * 63)])
    config = with_sources(tiny_config("translation"), ("odd", 1.0))

    assert read_lengths(config, ByteTokenizer(), tmp_path) == [(3, 4), (2, 64)]


def test_classifiers_keep_the_defaults(tiny_config: MakeConfig, samples: Path) -> None:
    found = measure_limits(tiny_config("classification"), ByteTokenizer(), samples)

    assert found == Limits(max_input_tokens=64)


def test_an_export_with_data_writes_what_it_measured(
    tiny_run: Callable[[str, str], Path], samples: Path, tmp_path: Path
) -> None:
    run_folder = tiny_run("translation", "gru")
    plain = read_manifest(export_run(run_folder, tmp_path, ["w8"]))
    measured = read_manifest(export_run(run_folder, tmp_path, ["w8"], data=samples))

    tokenizer = Tokenizer.load(run_folder / TOKENIZER)
    rows = [
        line.split("\t")
        for line in (samples / "tatoeba/train.tsv").read_text(encoding="utf-8").splitlines()
    ]
    lengths = [[len(ids) + 1 for ids in tokenizer.encode_batch(row)] for row in rows]
    assert plain.limits == Limits(max_input_tokens=64)
    assert measured.limits.new_tokens_per_token != plain.limits.new_tokens_per_token
    for source, target in [*lengths, *([second, first] for first, second in lengths)]:
        assert new_token_limit(range(source), measured) >= target


def test_an_export_without_the_training_data_says_so_and_keeps_the_defaults(
    tiny_run: Callable[[str, str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = export_run(
        tiny_run("translation", "gru"), tmp_path / "models", ["w8"], data=tmp_path / "nowhere"
    )

    assert read_manifest(folder).limits == Limits(max_input_tokens=64)
    assert "stay at their defaults" in capsys.readouterr().out
