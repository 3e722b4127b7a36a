"""The body of errors."""

from pydantic import BaseModel


class Problem(BaseModel):
    """RFC 9457, with the extra member that LibreTranslate and Hugging Face clients read."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error: str
