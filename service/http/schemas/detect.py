"""POST /detect, on LibreTranslate's wire."""

from typing import Annotated

from pydantic import Field

from service.http.schemas.bodies import Body, Reply
from service.http.schemas.fields import Text


class DetectRequest(Body):
    q: Annotated[Text, Field(description="the text whose language is wanted")]


class DetectedLanguage(Reply):
    confidence: Annotated[float, Field(ge=0, le=100)]
    language: str
