"""GET /languages, /glossaries and /frontend/settings."""

from pydantic import BaseModel

from service.http.schemas.bodies import Reply


class LanguageInfo(BaseModel):
    code: str
    name: str
    targets: list[str]


class GlossaryDirection(BaseModel):
    source: str
    target: str
    num_terms: int


class GlossaryInfo(BaseModel):
    """A named glossary, and the directions for which it has terms."""

    name: str
    directions: list[GlossaryDirection]


class LanguageName(BaseModel):
    code: str
    name: str


class FrontendLanguages(BaseModel):
    source: LanguageName
    target: LanguageName


class FrontendSettings(Reply):
    """What LibreTranslate's own page asks for first."""

    api_keys: bool
    char_limit: int
    files_translation: bool = False
    frontend_timeout: int = 500
    key_required: bool
    language: FrontendLanguages
    suggestions: bool = False
    supported_files_format: list[str] = []
