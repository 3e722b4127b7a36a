"""The one place here that knows where a loaded model keeps what runs it."""

from collections.abc import Callable
from dataclasses import replace

from service.loader import LoadedModel, Runner


def find_runner(model: LoadedModel) -> Runner:
    return model.runner


def wrap_runners(model: LoadedModel, wrap: Callable[[Runner], Runner]) -> LoadedModel:
    """The same model with each of its runners wrapped."""
    return replace(model, runner=wrap(model.runner))
