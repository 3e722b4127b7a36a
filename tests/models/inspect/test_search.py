"""Units and properties that belong together are found, and no others."""

import numpy as np
import pytest

from models.inspect.correlations import Correlations
from models.inspect.properties import PROPERTIES
from models.inspect.samples import Sample
from models.inspect.search import choose_units, measure_choices
from service.arrays import FloatArray
from service.repository.manifest import StateLayer
from service.repository.model import LoadedModel
from tests.fakes import make_manifest, make_model

NAMES = list(PROPERTIES)
LAYERS = (StateLayer(name="0", units=4, values=("hidden", "cell")),)


def test_correlations_are_those_of_numpy() -> None:
    random = np.random.default_rng(3)
    states = random.normal(1000.0, 1.0, (500, 3)).astype(np.float32)
    properties = np.stack([states[:, 1] * -2, random.normal(size=500)], axis=1).astype(np.float32)
    correlations = Correlations(3, 2)
    for start in range(0, 500, 90):
        correlations.add(states[start : start + 90], properties[start : start + 90])

    whole = np.corrcoef(np.concatenate([states, properties], axis=1).T.astype(np.float64))

    np.testing.assert_allclose(correlations.matrix(), whole[:3, 3:], atol=1e-6)
    assert correlations.num_tokens == 500


def test_what_never_changes_is_correlated_with_nothing() -> None:
    correlations = Correlations(1, 2)
    correlations.add(np.ones((5, 1), np.float32), np.eye(5, 2, dtype=np.float32))

    assert correlations.matrix().tolist() == [[0.0, 0.0]]
    assert Correlations(1, 2).matrix().tolist() == [[0.0, 0.0]]


@pytest.fixture
def model() -> LoadedModel:
    """Its labels are properties, too; see `list_names`."""
    return make_model(make_manifest(states=LAYERS))


def make_sample(seed: int, followed: dict[int, tuple[str, float]]) -> Sample:
    """1,000 tokens; a unit follows a property by a factor, besides noise."""
    random = np.random.default_rng(seed)
    properties = random.normal(size=(1000, len(NAMES) + 1)).astype(np.float32)
    states: FloatArray = random.normal(size=(1000, 8)).astype(np.float32)
    for column, (name, factor) in followed.items():
        states[:, column] = factor * properties[:, NAMES.index(name)] + 0.5 * states[:, column]
    return Sample("", [(0, 0)] * 1000, states, properties)


def test_units_are_chosen_on_one_part_and_measured_on_the_other(model: LoadedModel) -> None:
    chosen_by = make_sample(1, {2: ("a digit", 1.0), 6: ("white space", -1.0), 3: ("a capital", 1)})
    measured_on = make_sample(2, {2: ("a digit", 0.5), 6: ("white space", -1.0)})

    choices = choose_units(model, [chosen_by])
    finds = measure_choices(model, choices, [measured_on], "other text", 0.4)

    assert [(find.property, find.layer, find.value, find.unit) for find in finds] == [
        ("white space", "0", "cell", 2),
        ("a digit", "0", "hidden", 2),
    ]
    assert finds[0].correlation == pytest.approx(-1 / np.hypot(1, 0.5), abs=0.05)
    assert finds[1].correlation == pytest.approx(0.5 / np.hypot(0.5, 0.5), abs=0.05)
    assert {(find.data, find.num_tokens) for find in finds} == {("other text", 1000)}


def test_a_sign_that_turns_does_not_hold(model: LoadedModel) -> None:
    choices = choose_units(model, [make_sample(1, {2: ("a digit", 1.0)})])

    assert not measure_choices(model, choices, [make_sample(2, {2: ("a digit", -1.0)})], "", 0.4)
