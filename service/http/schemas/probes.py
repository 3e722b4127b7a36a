"""Answers of the probes, such as GET /livez."""

from pydantic import BaseModel


class ProbeStatus(BaseModel):
    status: str
