"""One-to-many from data to answers: an image in, a phrase in two languages out, as served."""

from pathlib import Path

import pytest

from export.publish import export_run
from models.synthesis.digits import write_digits
from models.train import main
from models.training.data.texts import read_rows
from models.training.runs import read_run
from service.engine.batch import Generation, SamplingOptions, TokenSequence
from service.engine.runner import run_sequences
from service.engine.runtime.device import Device
from service.repository.loader import load_model
from service.repository.model import LoadedModel

CONFIG = Path(__file__).parents[2] / "models" / "configs" / "captions-digits.toml"


def caption(model: LoadedModel, images: list[tuple[float, ...]]) -> list[str]:
    bos_id = model.manifest.ids.bos_id
    assert bos_id is not None
    sequences = [TokenSequence([bos_id], 0.0, float("inf")) for _ in images]
    for sequence, image in zip(sequences, images, strict=True):
        sequence.features, sequence.sampling = image, SamplingOptions(max_new_tokens=32)
    texts = []
    for result in run_sequences(model.runner, sequences):
        assert isinstance(result, Generation)
        assert result.end == "eos"
        texts.append(model.tokenizer.decode(result.token_ids))
    return texts


@pytest.mark.slow
def test_held_out_digits_are_named_in_both_languages(tmp_path: Path) -> None:
    write_digits(tmp_path / "captions" / "digits")
    run_folder = tmp_path / "run"
    main(
        [
            *("--config", str(CONFIG), "--data", str(tmp_path), "--out", str(run_folder)),
            *("--threads", "1", "--device", "cpu"),
        ]
    )
    folder = export_run(run_folder, tmp_path / "repository", ["fp32"], data=tmp_path)
    config = read_run(run_folder).config
    rows = read_rows(config, config.sources[0], tmp_path, "test")
    images, expected = zip(*rows, strict=True)
    model = load_model(folder, Device("cpu"), precision="fp32")
    found = caption(model, list(images))
    right = sum(ours == theirs for ours, theirs in zip(found, expected, strict=True))
    assert right / len(rows) >= 0.95
    assert caption(model, [images[5]]) == [found[5]]
