from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from models.synthesis.distil import Ensemble, distil_rows, main
from models.training.data.sources import pad_ids, read_split
from models.training.runs import Run, read_run
from models.training.vocabulary.subwords import EOS, PAD, start_token

FolderMaker = Callable[[str, str], Path]


@pytest.fixture
def runs(tiny_run: FolderMaker) -> list[Run]:
    """Translators with the same vocabulary and different weights."""
    return [read_run(tiny_run("translation", cell)) for cell in ("gru", "lstm")]


class EchoEnsemble:
    """Answers with the target language and the text; "?" has an empty translation."""

    def __init__(self, run: Run) -> None:
        self.config = run.config

    def translate(self, texts: list[str], target: str) -> list[str]:
        return ["" if text == "?" else f"{target} {text}" for text in texts]


def test_ensemble_of_one_answers_like_the_model(runs: list[Run]) -> None:
    run = runs[0]
    texts = ["I like it.", "Where is the subway station?", "Yes."]
    encoded = [[*ids, run.tokenizer.token_id(EOS)] for ids in run.tokenizer.encode_batch(texts)]
    expected = []
    for ids in encoded:
        input_ids, lengths = pad_ids([ids], run.tokenizer.token_id(PAD))
        (token_ids,) = run.model.translate(  # type: ignore[operator]
            input_ids,
            lengths,
            run.tokenizer.token_id(start_token("ko")),
            run.tokenizer.token_id(EOS),
            10 + int(1.5 * max(map(len, encoded))),
        )
        expected.append(run.tokenizer.decode(token_ids))

    assert Ensemble([run]).translate(texts, "ko") == expected


def test_empty_or_too_long_text_has_no_translation(runs: list[Run]) -> None:
    texts = ["", "no " * 200, "I like it."]

    empty, long, usual = Ensemble(runs).translate(texts, "ko")

    assert (empty, long) == ("", "")
    assert usual


def test_both_sides_are_translated_and_keep_their_columns(runs: list[Run]) -> None:
    ensemble = EchoEnsemble(runs[0])
    made = distil_rows(ensemble, [("one", "하나"), ("?", "둘")])  # type: ignore[arg-type]

    assert made == [("one", "ko one"), ("en 하나", "하나"), ("en 둘", "둘")]


def test_output_can_be_read_as_a_source(
    tiny_run: FolderMaker, samples: Path, tmp_path: Path
) -> None:
    arguments = ["--runs", *(str(tiny_run("translation", cell)) for cell in ("gru", "lstm"))]
    main([*arguments, "--data", str(samples), "--source", "tatoeba", "--out", str(tmp_path)])

    rows = read_split(samples / "tatoeba", "train", ["en", "ko"])
    made = read_split(tmp_path, "train", ["en", "ko"])
    # random weights may give an empty translation
    assert len(rows) / 2 < len(made) <= 2 * len(rows)
    originals = [{row[side] for row in rows} for side in (0, 1)]
    assert all(row[0] in originals[0] or row[1] in originals[1] for row in made)


def test_runs_must_be_compatible(runs: list[Run], tiny_run: FolderMaker) -> None:
    swapped = replace(runs[1], config=replace(runs[1].config, languages=("ko", "en")))
    with pytest.raises(ValueError, match="translates other languages"):
        Ensemble([runs[0], swapped])
    classifier = read_run(tiny_run("classification", "gru"))
    with pytest.raises(ValueError, match="is not a translator"):
        Ensemble([runs[0], classifier])
    other = replace(runs[1], tokenizer=classifier.tokenizer)
    with pytest.raises(ValueError, match="has another vocabulary"):
        Ensemble([runs[0], other])


@pytest.mark.parametrize(("task", "source"), [("classification", "nsmc"), ("translation", "films")])
def test_error_is_one_sentence(
    task: str, source: str, tiny_run: FolderMaker, samples: Path, tmp_path: Path
) -> None:
    arguments = ["--runs", str(tiny_run(task, "gru")), "--data", str(samples), "--source", source]
    with pytest.raises(SystemExit, match=r"^models\.synthesis\.distil: ") as caught:
        main([*arguments, "--out", str(tmp_path / "out")])
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()
