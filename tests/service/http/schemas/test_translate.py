from typing import Any

import pytest

from service.http.schemas.translate import TranslateRequest, TranslateResponse
from tests.service.http.schemas.faults import describe


def test_translation_defaults_are_those_of_libretranslate() -> None:
    body = TranslateRequest.model_validate({"q": "x", "target": "de"})
    assert (body.source, body.format, body.alternatives) == ("auto", "text", 0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"q": None}, "`q` is missing or null; send a text, or an array"),
        ({"q": 3}, "`q` must be a string or an array of strings, got a number"),
        ({"q": {}}, "`q` must be a string or an array of strings, got an object"),
        ({"q": ["x", None]}, "`q` has null at index 1"),
        ({"q": [["x"]]}, "`q` has an array at index 0"),
        ({"q": []}, "`q` is an empty array"),
        ({"q": ""}, "`q` is empty"),
        ({"q": ["", ""]}, "`q` is empty"),
        ({"target": None}, "`target` is missing or null; send a language code"),
        ({"target": 5}, "`target` must be a string, got a number"),
        ({"target": ""}, "`target` is empty"),
        ({"target": "x" * 36}, "`target` is longer than 35 characters"),
        ({"source": ["en"]}, "`source` must be a string, got an array"),
        ({"format": "pdf"}, "`format` must be 'text' or 'html'"),
        ({"alternatives": -1}, "`alternatives` must be at least 0"),
        ({"alternatives": 1.5}, "`alternatives` must be a whole number, got a number"),
        ({"alternatives": True}, "`alternatives` must be a whole number, got true or false"),
        ({"alternatives": "many"}, "`alternatives` must be a whole number, got a string"),
        ({"glossary": 3}, "`glossary` must be a string or an object of strings, got a number"),
        ({"glossary": ""}, "`glossary` must have 1 to 64 characters as a name"),
        ({"glossary": {"dog": 1}}, "`glossary` has a number as a translation"),
        ({"glossary": {"dog": ""}}, "`glossary` has a term or a translation that does not have 1"),
        ({"beam_size": 10**400}, "`beam_size` must be at most 1000000000"),
        ({"beam_size": 0}, "`beam_size` must be at least 1"),
        ({"beam_size": float("inf")}, "`beam_size` must be a whole number, got a number"),
        ({"timeout_ms": 0}, "`timeout_ms` must be at least 1"),
        ({"timeout_ms": -(10**400)}, "`timeout_ms` must be at least 1"),
        ({"min_score": True}, "`min_score` must be a number from 0 to 1, got true or false"),
        ({"stream": 1}, "`stream` must be true or false, got a number"),
        ({"attention": "maybe"}, "`attention` must be true or false, got a string"),
        ({"api_key": 5}, "`api_key` must be a string, got a number"),
    ],
)
def test_fault_in_a_translation_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    assert describe(TranslateRequest, {"q": "x", "target": "de", **changes}).startswith(sentence)


def test_response_is_spelt_as_libretranslate_does() -> None:
    shown = TranslateResponse(translated_text="x")
    assert shown.model_dump(by_alias=True, exclude_none=True) == {"translatedText": "x"}
