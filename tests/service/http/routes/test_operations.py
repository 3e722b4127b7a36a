import pytest

from service.repository.glossaries import Glossaries, Glossary
from service.repository.manifest import Manifest
from service.text.masking.terms import Terms
from tests.service.http.fakes import MANIFEST, FakeRegistry, connect, fetch, make_app


async def test_languages_are_listed_as_libretranslate_does() -> None:
    assert (await fetch("/languages")).json()[0] == {
        "code": "en",
        "name": "English",
        "targets": ["de", "en"],
    }


async def test_glossaries_are_listed_with_their_directions() -> None:
    terms = {("en", "de"): Terms({"dog": "Mops", "cat": "Katze"}), ("de", "en"): Terms({"a": "b"})}
    registry = FakeRegistry(glossaries=Glossaries([Glossary("animals", terms)]))

    assert (await fetch("/glossaries")).json() == []
    assert (await fetch("/glossaries", registry)).json() == [
        {
            "name": "animals",
            "directions": [
                {"source": "en", "target": "de", "num_terms": 2},
                {"source": "de", "target": "en", "num_terms": 1},
            ],
        }
    ]


@pytest.mark.parametrize("keys", ["", "secret"])
async def test_frontend_learns_whether_a_key_is_needed(keys: str) -> None:
    shown = (await fetch("/frontend/settings", api_keys=keys)).json()
    assert shown["keyRequired"] == shown["apiKeys"] == bool(keys)
    assert shown["charLimit"] == 100_000
    assert shown["language"]["target"] == {"code": "de", "name": "German"}


async def test_models_are_listed_with_what_an_operator_must_know() -> None:
    (model,) = (await fetch("/models")).json()
    assert (model["name"], model["version"], model["cell"]) == ("tiny", "3", "gru")
    assert (model["precision"], model["device"], model["num_bytes"]) == ("fp32", "cpu", 15)
    assert (model["licences"], model["commercial_use"]) == (["CC0-1.0"], True)
    assert model["quality"][0]["value"] == 81.5
    assert model["headlines"] == model["quality"]


async def test_server_is_live_even_when_it_is_not_ready() -> None:
    registry = FakeRegistry(reasons=["an engine does not answer"])
    assert (await fetch("/livez", registry)).status_code == 200


async def test_server_is_ready_when_nothing_is_wrong() -> None:
    response = await fetch("/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})


async def test_server_that_is_not_ready_says_why() -> None:
    response = await fetch("/readyz", FakeRegistry(reasons=["engine tiny does not answer"]))
    assert response.status_code == 503
    assert "engine tiny does not answer" in response.json()["detail"]


@pytest.mark.parametrize(("reasons", "status"), [([], 200), (["x"], 503)])
async def test_probes_may_ask_with_head(reasons: list[str], status: int) -> None:
    async with connect(make_app(None, FakeRegistry(reasons=reasons))) as client:
        assert (await client.head("/readyz")).status_code == status
        assert (await client.head("/livez")).status_code == 200


@pytest.mark.parametrize(("reasons", "status"), [([], 200), (["x"], 503)])
async def test_health_is_readiness(reasons: list[str], status: int) -> None:
    async with connect(make_app(None, FakeRegistry(reasons=reasons))) as client:
        answer = await client.get("/health")
        assert (answer.status_code, (await client.head("/health")).status_code) == (status, status)
    assert answer.json()["status"] == (503 if reasons else "ok")


async def test_info_is_what_text_embeddings_inference_tells_of_a_classifier() -> None:
    info = (await fetch("/info", max_texts=7)).json()
    assert (info["model_id"], info["model_sha"], info["model_dtype"]) == ("tiny", "3", "fp32")
    assert info["model_type"]["classifier"] == {
        "id2label": {"0": "negative", "1": "positive"},
        "label2id": {"negative": 0, "positive": 1},
    }
    assert (info["max_input_length"], info["max_client_batch_size"]) == (16, 7)


async def test_server_without_classifiers_has_no_info() -> None:
    translator = MANIFEST.model_copy(update={"task": "translation"})
    response = await fetch("/info", FakeRegistry(manifests=(translator,)))
    assert response.status_code == 404


def make_spam(name: str) -> Manifest:
    changes = {"name": name, "purpose": "spam", "answers_by_default": False}
    return MANIFEST.model_copy(update=changes)


async def test_models_of_one_purpose_are_listed_together() -> None:
    manifests = (make_spam("a"), MANIFEST, make_spam("z"))
    models = (await fetch("/models", FakeRegistry(manifests=manifests))).json()

    assert [(each["purpose"], each["name"], each["answers_by_default"]) for each in models] == [
        ("", "tiny", True),
        ("spam", "a", False),
        ("spam", "z", False),
    ]


async def test_info_is_about_a_classifier_that_answers_by_default() -> None:
    both = FakeRegistry(manifests=(make_spam("a"), MANIFEST))
    assert (await fetch("/info", both)).json()["model_id"] == "tiny"

    refusal = await fetch("/info", FakeRegistry(manifests=(make_spam("a"),)))
    assert refusal.status_code == 404
    assert "no classifier answers by default" in refusal.json()["error"]
