"""What a model holds after each token of a text, for the layers and units that are asked for.

Knows no task: a pipeline says which tokens its model reads together and where they are.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from service.answers import States, StateSeries, StatesOptions, StateToken
from service.errors import InputTooLong, InvalidInput
from service.repository.manifest import Manifest, StateLayer
from service.repository.registry import ServedModel

# Of each layer, if the request names none and the model has no finds.
NUM_DEFAULT_UNITS = 8
NUM_DECIMALS = 6


class Unit(NamedTuple):
    """What one series shows."""

    layer: str
    unit: int
    value: str


@dataclass(frozen=True)
class Reading:
    """Tokens that a model reads together.

    Attributes:
        input_ids: all of them.
        tokens: those that are tokens of the text and are told from this reading.
        start: the place of the first of these in `input_ids`.
        features: the condition of a text that was generated.
    """

    input_ids: Sequence[int]
    tokens: Sequence[StateToken]
    start: int = 0
    features: Sequence[float] | None = None


@dataclass(frozen=True)
class StatesPlan:
    """The states of one text that were asked for.

    Attributes:
        units: a series each.
        readings: of the text, in its order.
    """

    served: ServedModel
    units: Sequence[Unit]
    readings: Sequence[Reading] = field(default_factory=list)

    @property
    def num_values(self) -> int:
        return len(self.units) * sum(len(reading.tokens) for reading in self.readings)


def plan_states(
    served: ServedModel, asked: StatesOptions | None, readings: Iterable[Reading]
) -> StatesPlan | None:
    """The states that a text's answer is to show; None, and nothing is iterated, if none are asked.

    Raises:
        InvalidInput: the model does not show these.
    """
    if asked is None:
        return None
    return StatesPlan(served, choose_units(served.manifest, asked), list(readings))


class StatesReader:
    """Reads the states of texts.

    Args:
        max_values: that a request may ask for.
        clock: monotonic seconds, as the deadlines are.
    """

    def __init__(self, max_values: int, clock: Callable[[], float]) -> None:
        self._max_values, self._clock = max_values, clock

    def check(self, num_values: int) -> None:
        """Refuses more values than a request may have.

        Raises:
            InputTooLong: names number and limit.
        """
        if num_values > self._max_values:
            raise InputTooLong(
                f"the states would have {num_values} values, tokens times units, above the limit "
                f"of {self._max_values}; ask for fewer layers or units, or for less text"
            )

    async def read(self, plan: StatesPlan | None, deadline: float) -> States | None:
        """The states of a text; none without a plan.

        Raises:
            Overloaded, DeadlineExceeded, ArtefactError, InferenceFailed, ModelNotReady: see
                `StatesWorker.read` and `RemoteStates.read`.
        """
        if plan is None:
            return None
        values: list[list[float]] = [[] for _ in plan.units]
        for reading in plan.readings:
            seconds_left = deadline - self._clock()
            found = await plan.served.states.read(reading.input_ids, reading.features, seconds_left)
            told = slice(reading.start, reading.start + len(reading.tokens))
            for series, (layer, unit, value) in zip(values, plan.units, strict=True):
                shown = found[f"{layer}.{value}"][told, unit].astype(np.float64)
                series += np.round(shown, NUM_DECIMALS).tolist()
        tokens = [token for reading in plan.readings for token in reading.tokens]
        return States(
            tokens,
            [StateSeries(*unit, series) for unit, series in zip(plan.units, values, strict=True)],
        )


def choose_units(manifest: Manifest, asked: StatesOptions) -> list[Unit]:
    """The units that a request asks for; those that the model's finds name, if it names none.

    Raises:
        InvalidInput: the model shows no states, or not these.
    """
    layers = choose_layers(manifest, asked.layers)
    check_values(manifest, layers, asked.values)
    if asked.units is None:
        names = {layer.name for layer in layers}
        found = dict.fromkeys(
            Unit(find.layer, find.unit, find.value)
            for find in manifest.finds
            if find.layer in names and find.value in (asked.values or (find.value,))
        )
        if found:
            return list(found)
    for unit in asked.units or ():
        highest = min(layer.units for layer in layers) - 1
        if unit > highest:
            named = ", ".join(layer.name for layer in layers)
            raise InvalidInput(
                f"there is no unit {unit} in each of the layers {named} of model {manifest.name}; "
                f"send units from 0 to {highest}"
            )
    return [
        Unit(layer.name, unit, value)
        for layer in layers
        for unit in dict.fromkeys(asked.units or range(min(NUM_DEFAULT_UNITS, layer.units)))
        for value in asked.values or ("hidden",)
    ]


def choose_layers(manifest: Manifest, names: Sequence[str] | None) -> list[StateLayer]:
    """The layers of these names; all of them for None.

    Raises:
        InvalidInput: the model shows no states, or has no such layer.
    """
    if not manifest.states:
        raise InvalidInput(
            f"model {manifest.name} does not show its states; GET /models lists those that do"
        )
    known = {layer.name: layer for layer in manifest.states}
    for name in names or ():
        if name not in known:
            raise InvalidInput(
                f"model {manifest.name} has no layer of that name; send some of {', '.join(known)}"
            )
    return [known[name] for name in dict.fromkeys(names or known)]


def check_values(
    manifest: Manifest, layers: Iterable[StateLayer], values: Sequence[str] | None
) -> None:
    for layer in layers:
        missing = set(values or ()) - set(layer.values)
        if missing:
            raise InvalidInput(
                f"layer {layer.name} of model {manifest.name} has no {', '.join(missing)} values; "
                f"send {' or '.join(layer.values)}"
            )


def make_tokens(text: str, spans: Iterable[tuple[int, int]]) -> list[StateToken]:
    """The tokens of a text at their places."""
    return [StateToken(text[start:end], start, end) for start, end in spans]
