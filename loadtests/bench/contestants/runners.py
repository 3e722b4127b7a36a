"""The one place here that knows where a loaded model keeps what runs it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from service.engine.runner import Runner
from service.repository.model import LoadedModel


def find_runners(model: LoadedModel) -> Sequence[Runner]:
    """One for each thread that may run the model at a time."""
    return model.runners


def wrap_runners(model: LoadedModel, wrap: Callable[[Runner], Runner]) -> LoadedModel:
    """The same model with each of its runners wrapped."""
    return replace(model, runners=[wrap(runner) for runner in model.runners])
