"""What answers at the bare address, and at that of a model."""

import httpx
import pytest

from service.http.routes.default import choose_task
from tests.service.http.fakes import (
    MANIFEST,
    FakeRegistry,
    ask,
    connect,
    make_app,
)

IN_GERMAN = {"src_lang": "en", "tgt_lang": "de"}
LABELS = [{"label": "positive", "score": 0.75}, {"label": "negative", "score": 0.25}]


async def test_bare_address_does_the_task_of_the_setting() -> None:
    translation = {"inputs": "a", "parameters": IN_GERMAN}
    classified = await ask("/", {"inputs": "a"}, default_task="classify")
    translated = await ask("/", translation, default_task="translate")
    only_loaded = await ask("/", {"inputs": "a"})
    assert classified.json() == only_loaded.json() == [LABELS]
    assert translated.json() == [{"translation_text": "A"}]


async def test_bare_address_of_a_server_of_several_tasks_says_what_to_do() -> None:
    translator = MANIFEST.model_copy(update={"name": "words", "task": "translation"})
    registry = FakeRegistry(manifests=(MANIFEST, translator))
    async with connect(make_app(None, registry)) as client:
        response = await client.post("/", json={"inputs": "a"})
    assert response.status_code == 404
    assert "set SEQSERVE_DEFAULT_TASK" in response.json()["error"]


@pytest.mark.parametrize(
    ("loaded", "chosen"),
    [
        (["classification"], "classify"),
        (["classification", "classification"], "classify"),
        (["translation"], "translate"),
        (["tagging"], "tag"),
        (["language"], "generate"),
        (["text2text"], "generate"),
    ],
)
def test_models_of_one_task_make_it_the_default(loaded: list[str], chosen: str) -> None:
    manifests = [
        MANIFEST.model_copy(update={"name": str(number), "task": task})
        for number, task in enumerate(loaded)
    ]
    context = make_app(None, FakeRegistry(manifests=manifests)).context

    assert choose_task(context) == chosen


async def test_a_models_address_does_its_task(client: httpx.AsyncClient) -> None:
    parameters = {"max_new_tokens": 8}
    by_name = {**parameters, "model": "tiny-language-lstm"}
    answer = await client.post("/generate", json={"inputs": "A", "parameters": by_name})

    response = await client.post(
        "/models/tiny-language-lstm", json={"inputs": "A", "parameters": parameters}
    )

    assert response.json() == [answer.json()]


async def test_an_unknown_model_has_no_address(client: httpx.AsyncClient) -> None:
    response = await client.post("/models/nothing", json={"inputs": "A"})

    assert response.status_code == 404
    assert "tiny-language-lstm" in response.json()["error"]
