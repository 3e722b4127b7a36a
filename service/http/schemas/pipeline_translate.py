"""Translations on Hugging Face's wire."""

from typing import Annotated

from pydantic import BaseModel, Field

from service.answers import TranslateOptions
from service.http.schemas.bodies import Parameters, TimedBody
from service.http.schemas.details import DetailsShown, StatesDetails, find_states
from service.http.schemas.fields import Code, Flag, PositiveCount, Texts, list_texts


class GenerateParameters(Parameters):
    num_beams: Annotated[
        PositiveCount | None, Field(description="the number of hypotheses to keep, 1 for greedy")
    ] = None
    max_new_tokens: Annotated[
        PositiveCount | None, Field(description="the most tokens that a sentence may have")
    ] = None


class TranslateParameters(Parameters):
    src_lang: Annotated[Code, Field(description="a language code of GET /languages, or auto")] = (
        "auto"
    )
    tgt_lang: Annotated[Code, Field(description="a language code of GET /languages")]
    truncation: Annotated[
        str | None, Field(description="one of transformers' names; no text needs to be cut")
    ] = None
    clean_up_tokenization_spaces: Annotated[
        Flag, Field(description="true or false; there are no such spaces")
    ] = True
    details: StatesDetails = None
    generate_parameters: Annotated[
        GenerateParameters, Field(description="an object with num_beams and max_new_tokens")
    ] = GenerateParameters()


class PipelineTranslateRequest(TimedBody):
    """Hugging Face's body for translations."""

    inputs: Annotated[Texts, Field(description="a text, or an array of texts, to translate")]
    parameters: Annotated[
        TranslateParameters, Field(description="an object with tgt_lang, and src_lang or none")
    ]

    @property
    def texts(self) -> list[str]:
        return list_texts(self.inputs)

    @property
    def options(self) -> TranslateOptions:
        asked = self.parameters
        return TranslateOptions(
            source=asked.src_lang,
            target=asked.tgt_lang,
            beam_size=asked.generate_parameters.num_beams,
            max_new_tokens=asked.generate_parameters.max_new_tokens,
            states=find_states(asked.details),
        )


class PipelineTranslation(BaseModel):
    """Hugging Face's answer for a text."""

    translation_text: str
    complete: bool | None = None
    details: DetailsShown | None = None
