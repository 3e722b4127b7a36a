import json
import logging
from pathlib import Path

import pytest

from loadtests.bench.contestants.app_torchserve import MODEL, Handler, write_settings
from loadtests.bench.contestants.servers import TORCHSERVE_PATH
from loadtests.bench.workloads.shape_model import make_shape


def test_a_batch_of_bodies_is_answered_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shape = make_shape(tmp_path / "fp32", "fp32")
    monkeypatch.setenv("BENCH_GRAPH", str(shape.graph))
    monkeypatch.setenv("BENCH_TOKENIZER", str(shape.tokenizer))
    handler = Handler()
    with caplog.at_level(logging.INFO):  # and as it was afterwards
        handler.initialize(None)
    bodies = [{"body": {"inputs": "word " * length}} for length in (9, 1, 4)]

    together = handler.handle(bodies, None)

    assert len(set(together)) == len(bodies)
    for body, answer in zip(bodies, together, strict=True):
        (alone,) = handler.handle([body], None)
        scores = [each["score"] for each in json.loads(alone)[0]]
        assert [each["score"] for each in json.loads(answer)[0]] == pytest.approx(scores, abs=1e-5)


def test_settings_name_the_port_and_the_model(tmp_path: Path) -> None:
    text = write_settings(tmp_path, 8123).read_text(encoding="utf-8")
    settings = dict(line.split("=", 1) for line in text.splitlines())
    assert settings["inference_address"] == "http://127.0.0.1:8123"
    (model,) = json.loads(settings["models"])[MODEL].values()
    assert settings["load_models"] == model["marName"]
    assert f"/predictions/{MODEL}" == TORCHSERVE_PATH
