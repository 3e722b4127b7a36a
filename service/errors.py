"""Service exceptions, independent of HTTP: `http.problems` maps each class to a status.

ServingError
  InvalidInput
    InputTooLong
    EmptyInput
    LanguageNotSupported
    UnsupportedCoding
  NotAuthorized
    KeyMissing
  BodyTimeout
  TaskNotChosen
  ModelNotFound
  GlossaryNotFound
  ModelNotReady
  Overloaded
  DeadlineExceeded
  InferenceFailed
  ArtefactError
  DeviceUnavailable
"""


class ServingError(Exception):
    """Base of all errors of the service; the message may be shown to a client."""


class InvalidInput(ServingError):
    """The client sent something that cannot be served as it is."""


class InputTooLong(InvalidInput):
    """A text, or a request, is above a limit."""


class EmptyInput(InvalidInput):
    """There is nothing to work on."""


class LanguageNotSupported(InvalidInput):
    """The language of the text cannot be told or served."""


class UnsupportedCoding(InvalidInput):
    """The body is compressed in a way that is not read."""


class NotAuthorized(ServingError):
    """The API key is missing or unknown."""


class KeyMissing(NotAuthorized):
    """No API key was sent, and one is needed."""


class BodyTimeout(ServingError):
    """The body of a request did not arrive in time."""


class TaskNotChosen(ServingError):
    """The request names no task, and the server has no default one."""


class ModelNotFound(ServingError):
    """No model of that name, version or language pair is loaded."""


class GlossaryNotFound(ServingError):
    """No glossary of that name is loaded, or it is not for the language pair."""


class ModelNotReady(ServingError):
    """The model is known but cannot answer now."""


class Overloaded(ServingError):
    """The queue is full or too slow; the request was refused at once.

    Attributes:
        retry_after_seconds: until the sequences queued now are done; 0 if that is not known yet.
        reason: `requests`, `tokens`, `wait`, `age` or `deadline`: what there was too much of.
    """

    def __init__(self, message: str, retry_after_seconds: float, reason: str) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.reason = reason


class DeadlineExceeded(ServingError):
    """The request's own deadline passed before its answer was ready."""


class InferenceFailed(ServingError):
    """The runtime failed on a batch."""


class ArtefactError(ServingError):
    """A version of the model repository is damaged or does not fit its manifest."""


class DeviceUnavailable(ServingError):
    """The device asked for cannot be used."""
