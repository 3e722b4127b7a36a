from pathlib import Path

from loadtests.bench.generation import (
    CONTINUOUS,
    ROWS,
    STATIC,
    find_generator,
    make_texts,
    measure_generation,
)
from service.engine.device import Device
from service.repository.loader import load_model

LANGUAGES = Path(__file__).parents[2] / "service" / "tiny_languages"


def test_generator_is_one_that_takes_no_condition(tmp_path: Path) -> None:
    assert find_generator(LANGUAGES) == LANGUAGES / "tiny-language-lstm" / "1"
    assert find_generator(tmp_path) is None


def test_texts_are_of_mixed_lengths_and_always_the_same() -> None:
    model = load_model(LANGUAGES / "tiny-language-lstm" / "1", Device("cpu"))
    first, again = make_texts(model, 40), make_texts(model, 40)

    assert [each.sampling for each in first] == [each.sampling for each in again]
    lengths = {each.sampling.max_new_tokens for each in first if each.sampling}
    assert len(lengths) > 20
    assert max(lengths) <= 200


def test_every_number_of_rows_is_measured_both_ways() -> None:
    found = measure_generation(LANGUAGES / "tiny-language-lstm" / "1", 1, texts_per_row=1)

    assert found["model"] == "tiny-language-lstm"
    assert set(found["rows"]) == {
        f"{precision}|{batches}|{rows}"
        for precision in ("int8", "w8")
        for batches in (CONTINUOUS, STATIC)
        for rows in ROWS
    }
    assert all(rate > 0 for (rate,) in found["rows"].values())
