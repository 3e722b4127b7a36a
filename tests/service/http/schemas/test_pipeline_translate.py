import pytest

from service.answers import TranslateOptions
from service.http.schemas.pipeline_translate import PipelineTranslateRequest
from tests.service.http.schemas.faults import describe


def test_every_parameter_with_an_effect_is_an_option() -> None:
    parameters = {
        "src_lang": "en",
        "tgt_lang": "de",
        "truncation": "do_not_truncate",
        "clean_up_tokenization_spaces": False,
        "generate_parameters": {"num_beams": 3, "max_new_tokens": 9},
    }
    body = PipelineTranslateRequest.model_validate({"inputs": "x", "parameters": parameters})
    assert body.texts == ["x"]
    assert body.options == TranslateOptions("en", "de", beam_size=3, max_new_tokens=9)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, "`parameters.tgt_lang` is missing or null"),
        (
            {"tgt_lang": "de", "generate_parameters": {"num_beams": 0}},
            "`parameters.generate_parameters.num_beams` must be at least 1",
        ),
        ({"tgt_lang": "de", "details": True}, "`parameters.details` has no `states`"),
    ],
)
def test_fault_is_one_sentence(parameters: dict[str, object], sentence: str) -> None:
    fields = {"inputs": "x", "parameters": parameters}
    assert describe(PipelineTranslateRequest, fields).startswith(sentence)
