from service.http.schemas.classify import ClassifyRequest
from service.http.schemas.translate import TranslateRequest
from tests.service.http.schemas.faults import describe


def test_null_stands_for_a_missing_field() -> None:
    body = TranslateRequest.model_validate({"q": "x", "target": "de", "alternatives": None})
    assert body.alternatives == 0


def test_unknown_field_of_another_server_is_ignored() -> None:
    assert ClassifyRequest.model_validate({"inputs": "x", "options": {"use_cache": 1}})


def test_numbers_of_a_form_are_read() -> None:
    fields = {"q": "x", "target": "de", "beam_size": "3", "attention": "true"}
    body = TranslateRequest.model_validate(fields)
    assert (body.beam_size, body.attention) == (3, True)


def test_sentence_never_repeats_what_was_sent() -> None:
    parameters = {"my secret text that is a key": 1}
    sentence = describe(ClassifyRequest, {"inputs": "x", "parameters": parameters})
    assert "secret" not in sentence
    assert "secret" not in describe(
        TranslateRequest, {"q": "x", "target": "de", "format": "secret"}
    )
