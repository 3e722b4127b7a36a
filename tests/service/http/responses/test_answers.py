from typing import Any

import pytest

from service.http.responses.answers import format_timings
from tests.service.http.fakes import TIMINGS, FakePipeline, ask


@pytest.mark.parametrize("source", [{}, {"source": "auto"}])
async def test_detected_language_is_shown_for_auto_only(source: dict[str, str]) -> None:
    response = await ask("/translate", {"q": "hund", "target": "en", **source})
    detected = {"language": "de", "confidence": 90.0}
    assert response.json() == {"translatedText": "HUND", "detectedLanguage": detected}


async def test_detected_languages_are_an_array_for_an_array() -> None:
    response = await ask("/translate", {"q": ["a"], "target": "en"})
    assert response.json()["detectedLanguage"] == [{"language": "de", "confidence": 90.0}]


@pytest.mark.parametrize(
    ("q", "alternatives"), [("a", ["A 1", "A 2"]), (["a", "b"], [["A 1", "A 2"], ["B 1", "B 2"]])]
)
async def test_alternatives_are_shown_where_asked_for(q: Any, alternatives: Any) -> None:
    body = {"q": q, "source": "de", "target": "en", "alternatives": 2}
    response = await ask("/translate", body)
    assert response.json()["alternatives"] == alternatives


@pytest.mark.parametrize(("q", "depth"), [("a", 0), (["a"], 1)])
async def test_attention_is_shown_where_asked_for(q: Any, depth: int) -> None:
    response = await ask("/translate", {"q": q, "source": "de", "target": "en", "attention": True})
    found = response.json()["attention"]
    expected = {"source_tokens": ["a"], "target_tokens": ["A", "</s>"], "weights": [[1.0], [0.5]]}
    assert (found[0] if depth else found) == [expected]


@pytest.mark.parametrize("path", ["/translate", "/classify"])
async def test_task_says_in_headers_what_answered_and_how_long_it_took(path: str) -> None:
    response = await ask(path, {"q": "a", "inputs": "a", "source": "de", "target": "en"})
    assert response.headers["x-model-name"] == "tiny"
    assert response.headers["x-model-version"] == "3"
    assert response.headers["server-timing"] == format_timings(TIMINGS)


def test_timings_are_in_milliseconds() -> None:
    expected = "tokenize;dur=1.000, queue;dur=2.000, inference;dur=3.500, total;dur=7.500"
    assert format_timings(TIMINGS) == expected


async def test_answer_without_a_model_names_none() -> None:
    response = await ask(
        "/translate", {"q": "a", "source": "en", "target": "en"}, FakePipeline(model_name="")
    )
    assert response.status_code == 200
    assert "x-model-name" not in response.headers
