import asyncio
import json
from typing import Any

import pytest

from service.errors import InvalidInput, ModelNotFound, Overloaded
from service.http.routes.tasks import name_model_of_address
from tests.service.http.fakes import (
    FakePipeline,
    ask,
    classify,
    connect,
    make_app,
)


async def test_translation_of_a_string_is_a_string() -> None:
    response = await ask("/translate", {"q": "hund", "source": "de", "target": "en"})
    assert response.status_code == 200
    assert response.json() == {"translatedText": "HUND"}


async def test_translation_of_an_array_is_an_array() -> None:
    response = await ask("/translate", {"q": ["a", "b"], "source": "de", "target": "en"})
    assert response.json() == {"translatedText": ["A", "B"]}


async def test_options_reach_the_pipeline() -> None:
    pipeline = FakePipeline()
    options = {"beam_size": 3, "max_new_tokens": 9, "format": "html", "alternatives": 1}
    await ask("/translate", {"q": "a", "source": "de", "target": "en", **options}, pipeline)
    (texts, given) = pipeline.calls[0]
    assert texts == ["a"]
    assert (given.beam_size, given.max_new_tokens, given.text_format, given.alternatives) == (
        *(3, 9, "html", 1),
    )


@pytest.mark.parametrize("path", ["/classify", "/translate"])
async def test_overload_is_told_before_the_body_is_read(path: str) -> None:
    pipeline = FakePipeline(refusal=Overloaded("busy", 3.2, "wait"))
    response = await ask(path, {"nothing": "right"}, pipeline)
    assert (response.status_code, response.headers["retry-after"]) == (429, "4")


@pytest.mark.parametrize("inputs", ["a", ["a"]])
async def test_labels_are_nested_also_for_one_text(inputs: Any) -> None:
    response = await ask("/classify", {"inputs": inputs})
    assert response.json() == [
        [{"label": "positive", "score": 0.75}, {"label": "negative", "score": 0.25}]
    ]


async def test_parameters_reach_the_pipeline() -> None:
    pipeline = FakePipeline()
    parameters = {"top_k": 1, "function_to_apply": "sigmoid", "model": "tiny"}
    response = await ask("/classify", {"text": ["a", "b"], "parameters": parameters}, pipeline)
    assert [len(labels) for labels in response.json()] == [1, 1]
    (texts, given) = pipeline.calls[0]
    assert texts == ["a", "b"]
    assert (given.top_k, given.function_to_apply, given.model) == (1, "sigmoid", "tiny")


LABELS = [{"label": "positive", "score": 0.75}, {"label": "negative", "score": 0.25}]


async def test_details_are_an_object_per_text() -> None:
    parameters = {"details": True, "truncation": True, "max_length": 4}
    response = await ask("/classify", {"inputs": ["short", "a"], "parameters": parameters})
    assert response.json() == [
        {"labels": LABELS, "model": "tiny", "num_tokens": 4, "truncated": True},
        {"labels": LABELS, "model": "tiny", "num_tokens": 1, "truncated": False},
    ]


@pytest.mark.parametrize("body", [{"explain": True}, {"parameters": {"explain": True}}])
async def test_explanation_is_a_weight_per_token(body: dict[str, Any]) -> None:
    (answer,) = (await ask("/classify", {"inputs": "ab", **body})).json()
    assert answer["labels"] == LABELS
    assert answer["tokens"] == [
        {"text": "a", "start": 0, "end": 1, "weight": 0.5},
        {"text": "b", "start": 1, "end": 2, "weight": 0.5},
    ]


@pytest.mark.parametrize(
    ("inputs", "header"), [("x" * 11, "true"), (["a", "x" * 11], "true"), (["a", "b"], None)]
)
async def test_header_says_that_a_text_was_cut(inputs: Any, header: str | None) -> None:
    response = await ask("/classify", {"inputs": inputs, "truncate": True})
    assert response.headers.get("x-truncated") == header
    assert response.json()[0] == LABELS


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/translate", {"q": "a", "source": "de", "target": "en", "alternatives": "1"}),
        ("/classify", {"inputs": "a"}),
        ("/classify", {"text": "a"}),
        ("/detect", {"q": "a"}),
    ],
)
async def test_forms_are_answered(path: str, fields: dict[str, str]) -> None:
    async with connect(make_app()) as client:
        urlencoded = await client.post(path, data=fields)
        multipart = await client.post(path, files={name: (None, x) for name, x in fields.items()})
    assert urlencoded.status_code == multipart.status_code == 200
    assert urlencoded.json() == multipart.json()


async def test_unlikely_languages_are_not_detected() -> None:
    response = await ask("/detect", {"q": "Hund"})
    assert response.json() == [
        {"confidence": 90.0, "language": "de"},
        {"confidence": 10.0, "language": "en"},
    ]


async def test_something_is_detected_even_without_letters() -> None:
    assert (await ask("/detect", {"q": " "})).json() == [{"confidence": 0.0, "language": "en"}]


@pytest.mark.parametrize(
    ("in_body", "in_header", "seconds"),
    [
        (None, None, 5.0),
        (2000, None, 2.0),
        (None, "3000", 3.0),
        (2000, "3000", 2.0),
        (3000, "2000", 2.0),
    ],
)
async def test_shorter_timeout_is_the_deadline(
    in_body: int | None, in_header: str | None, seconds: float
) -> None:
    pipeline = FakePipeline()
    headers = {"X-Request-Timeout-Ms": in_header} if in_header else {}
    async with connect(make_app(pipeline, default_timeout_ms=5000)) as client:
        body = {"inputs": "a", "timeout_ms": in_body}
        await client.post("/classify", json=body, headers=headers)
    assert pipeline.remaining_seconds == pytest.approx(seconds, abs=0.5)


@pytest.mark.parametrize("in_header", ["0", "-1", "1.5", "soon", "", "9" * 30, "120001"])
async def test_bad_timeout_header_is_refused(in_header: str) -> None:
    async with connect(make_app()) as client:
        response = await client.post(
            "/classify", json={"inputs": "a"}, headers={"X-Request-Timeout-Ms": in_header}
        )
    assert response.status_code == 422


@pytest.mark.parametrize("timeout_ms", [0, -5, 120_001, 10**30, "soon", True, 1.5])
async def test_bad_timeout_is_refused(timeout_ms: Any) -> None:
    response = await ask("/classify", {"inputs": "a", "timeout_ms": timeout_ms})
    assert response.status_code == 422


async def test_unknown_pair_is_not_found() -> None:
    error = ModelNotFound("no model translates from en to xx; there are en-de")
    body = {"q": "a", "source": "en", "target": "xx"}
    response = await ask("/translate", body, FakePipeline(error=error))
    assert response.status_code == 404
    assert response.json()["error"] == str(error)


async def test_upload_that_never_ends_is_given_up() -> None:
    async def drip() -> Any:
        yield b'{"inputs":'
        await asyncio.Event().wait()

    app = make_app(max_timeout_ms=50, default_timeout_ms=50)
    async with connect(app) as client:
        response = await client.post("/classify", content=drip())
    assert response.status_code == 408


IN_GERMAN = {"src_lang": "en", "tgt_lang": "de"}


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ("dog", [{"translation_text": "DOG"}]),
        (["a", "b"], [{"translation_text": "A"}, {"translation_text": "B"}]),
        (
            ["a", "cut"],
            [{"translation_text": "A"}, {"translation_text": "CUT", "complete": False}],
        ),
    ],
)
async def test_translation_in_the_words_of_hugging_face(inputs: Any, expected: Any) -> None:
    pipeline = FakePipeline(incomplete=frozenset({"cut"}))
    generate = {"num_beams": 3, "max_new_tokens": 9}
    parameters = {**IN_GERMAN, "generate_parameters": generate, "truncation": "only_first"}
    response = await ask("/translate", {"inputs": inputs, "parameters": parameters}, pipeline)
    assert response.json() == expected
    assert response.headers["x-model-name"] == "tiny"
    ((_, options),) = pipeline.calls
    assert (options.source, options.target) == ("en", "de")
    assert (options.beam_size, options.max_new_tokens) == (3, 9)


async def test_fields_of_hugging_face_are_ignored_beside_those_of_libretranslate() -> None:
    response = await ask("/translate", {"q": "a", "target": "de", "source": "en", "inputs": 5})
    assert response.json() == {"translatedText": "A"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"inputs": "a"}, "`parameters` is missing or null; send an object with tgt_lang"),
        ({"inputs": "a", "parameters": {}}, "`parameters.tgt_lang` is missing or null; send a"),
        ({"inputs": 5, "parameters": IN_GERMAN}, "`inputs` must be a string or an array of"),
        (
            {"inputs": "a", "parameters": IN_GERMAN | {"top_p": 1}},
            "`parameters.top_p` is not known; known are src_lang, tgt_lang",
        ),
        (
            {"inputs": "a", "parameters": IN_GERMAN | {"generate_parameters": {"top_p": 1}}},
            "`parameters.generate_parameters.top_p` is not known; known are num_beams",
        ),
    ],
)
async def test_bad_translation_in_the_words_of_hugging_face(body: Any, message: str) -> None:
    response = await ask("/translate", body)
    assert response.status_code == 422
    assert response.json()["error"].startswith(message)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [("a", LABELS), (["a"], LABELS), ([["a"], ["b"]], [LABELS, LABELS])],
)
async def test_prediction_is_nested_as_its_inputs_are(inputs: Any, expected: Any) -> None:
    assert (await ask("/predict", {"inputs": inputs})).json() == expected


async def test_prediction_is_cut_if_asked_for() -> None:
    pipeline = FakePipeline()
    body = {"inputs": "x" * 11, "truncate": True, "truncation_direction": "Left"}
    response = await ask("/predict", body | {"raw_scores": True}, pipeline)
    ((_, options),) = pipeline.calls
    assert response.headers["x-truncated"] == "true"
    assert (options.truncate, options.function_to_apply) == ("start", "none")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["a", "b"], "`inputs` is a pair of texts, which no model supports; send a text, or an"),
        ([["a"], ["a", "b"]], "`inputs` has no array of one string at index 1"),
        ([["a"], "b"], "`inputs` has no array of one string at index 1"),
        ([["a"], [5]], "`inputs` has a number at index 0"),
        ([], "`inputs` is an empty array"),
        (5, "`inputs` must be a string or an array of strings, got a number"),
    ],
)
async def test_bad_prediction_is_the_clients_fault(inputs: Any, message: str) -> None:
    response = await ask("/predict", {"inputs": inputs})
    assert response.status_code == 422
    assert response.json()["error"].startswith(message)


BAD_BODIES: list[bytes | dict[str, Any]] = [
    b"",
    b"{",
    b"\xff\xfe",
    b"null",
    b"[]",
    b"[" * 50_000,
    b'{"inputs": "\\ud800"}',
    b'{"inputs": NaN}',
    b'{"inputs": ' + b"1" * 10_000 + b"}",
    {"inputs": None},
    {"inputs": ""},
    {"inputs": []},
    {"inputs": 5},
    {"inputs": ["a", 5]},
    {"inputs": "a", "parameters": []},
    {"inputs": "a", "parameters": {"topk": 1}},
    {"inputs": "a", "parameters": {"top_k": -1}},
    {"inputs": "a", "parameters": {"top_k": 10**400}},
    {"inputs": "a", "timeout_ms": -1},
]


@pytest.mark.parametrize("body", BAD_BODIES)
async def test_bad_body_is_the_clients_fault(body: bytes | dict[str, Any]) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = await classify(make_app(), json=None, content=content)
    assert response.status_code == 422
    assert response.json()["error"].endswith(".")


async def test_body_above_the_limit_is_too_long() -> None:
    response = await classify(make_app(max_body_bytes=1024), json={"inputs": "x" * 2000})
    assert response.status_code == 413
    assert "1024 bytes" in response.json()["detail"]


async def test_chunked_body_above_the_limit_is_too_long() -> None:
    async def chunks() -> Any:
        for _ in range(3):
            yield b"x" * 500

    response = await classify(make_app(max_body_bytes=1024), json=None, content=chunks())
    assert response.status_code == 413


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ufffd", "\U0010ffff", "\u202e"])
async def test_odd_characters_are_answered(text: str) -> None:
    assert (await classify(make_app(), json={"inputs": text})).status_code == 200


PAIR = {"source": "de", "target": "en"}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/translate", {"q": "hund", **PAIR}),
        ("/translate", {"q": ["a", "b"], "alternatives": 1, **PAIR}),
        ("/detect", {"q": "hund"}),
        ("/classify", {"inputs": ["a", "b"]}),
    ],
)
async def test_fields_may_be_in_the_query_string(path: str, fields: dict[str, Any]) -> None:
    async with connect(make_app()) as client:
        asked = await client.post(path, params=fields)
        sent = await client.post(path, json=fields)
    assert asked.status_code == 200
    assert asked.json() == sent.json()


async def test_key_may_be_in_the_query_string() -> None:
    async with connect(make_app(api_keys="secret")) as client:
        body = {"q": "hund", "target": "en"}
        known = await client.post("/translate?api_key=secret", json=body)
        unknown = await client.post("/translate?api_key=other", json=body)
    assert (known.status_code, unknown.status_code) == (200, 403)


@pytest.mark.parametrize("parameters", [{}, {"model": "b"}, {"model": None}, None])
def test_address_names_the_model(parameters: dict[str, Any] | None) -> None:
    fields = {"inputs": "a", "parameters": parameters}
    assert name_model_of_address(fields, "b") == {"inputs": "a", "parameters": {"model": "b"}}


def test_address_and_parameters_name_the_same_model() -> None:
    with pytest.raises(InvalidInput, match=r"address is that of b, but parameters.model is 'a'"):
        name_model_of_address({"parameters": {"model": "a"}}, "b")


def test_parameters_that_are_no_object_are_left_to_the_check_of_the_fields() -> None:
    assert name_model_of_address({"parameters": 5}, "b") == {"parameters": 5}
