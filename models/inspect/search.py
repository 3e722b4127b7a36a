"""Finds the unit closest to each property: chosen on some text, measured on other text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from models.inspect.correlations import Correlations
from models.inspect.samples import Sample, list_names, list_units
from service.repository.manifest import Find
from service.repository.model import LoadedModel


@dataclass(frozen=True)
class Choice:
    """The unit closest to a property on the text that it was chosen by.

    Attributes:
        column: of the unit, in `Sample.states`.
        correlation: there.
    """

    property: str
    column: int
    correlation: float


def choose_units(model: LoadedModel, samples: Iterable[Sample]) -> list[Choice]:
    """The closest unit of each property that changes at all."""
    matrix = correlate(model, samples).matrix()
    best = np.abs(matrix).argmax(axis=0)
    return [
        Choice(name, int(column), float(matrix[column, place]))
        for place, (name, column) in enumerate(zip(list_names(model), best, strict=True))
        if matrix[column, place]
    ]


def measure_choices(
    model: LoadedModel,
    choices: Sequence[Choice],
    samples: Iterable[Sample],
    data: str,
    min_correlation: float,
) -> list[Find]:
    """The choices that hold on other text, the closest first; with the correlation there.

    One of the other sign does not hold.
    """
    correlations = correlate(model, samples)
    matrix, names, units = correlations.matrix(), list_names(model), list_units(model)
    finds = []
    for choice in choices:
        layer, value, unit = units[choice.column]
        measured = float(matrix[choice.column, names.index(choice.property)])
        if abs(measured) < min_correlation or measured * choice.correlation < 0:
            continue
        finds.append(
            Find.model_validate(
                {
                    "layer": layer,
                    "unit": unit,
                    "value": value,
                    "property": choice.property,
                    "correlation": round(measured, 3),
                    "data": data,
                    "num_tokens": correlations.num_tokens,
                }
            )
        )
    return sorted(finds, key=lambda find: -abs(find.correlation))


def correlate(model: LoadedModel, samples: Iterable[Sample]) -> Correlations:
    correlations = Correlations(len(list_units(model)), len(list_names(model)))
    for sample in samples:
        correlations.add(sample.states, sample.properties)
    return correlations
