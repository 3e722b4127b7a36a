from pathlib import Path

import pytest

from service.errors import ArtefactError
from service.repository.defaults import check_defaults
from service.repository.manifest import Condition, read_manifest
from tests.fakes import make_generator_manifest, make_manifest

NAME = "tiny-text2text-lstm"


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ({}, {}, "prompts"),
        ({}, {"task": "text2text"}, "prompts"),
        (
            {"condition": Condition(labels=("good", "bad"))},
            {"condition": Condition(labels=("bad", "ugly"))},
            "the label bad",
        ),
        (
            {"condition": Condition(num_features=3)},
            {"condition": Condition(num_features=3)},
            "3 features",
        ),
    ],
)
def test_two_models_that_would_answer_the_same_are_refused(
    first: dict[str, object], second: dict[str, object], kind: str
) -> None:
    ours = make_generator_manifest("ours", **first)
    theirs = make_generator_manifest("theirs", **second)
    with pytest.raises(ArtefactError, match=f"ours and theirs both answer by default for {kind}"):
        check_defaults([ours, theirs])
    check_defaults([ours, theirs.model_copy(update={"answers_by_default": False})])


def test_models_of_other_inputs_answer_side_by_side(tiny_answerers: Path) -> None:
    check_defaults(
        [
            read_manifest(tiny_answerers / NAME / "1"),
            make_generator_manifest("labels", condition=Condition(labels=("good", "bad"))),
            make_generator_manifest("three", condition=Condition(num_features=3)),
            make_generator_manifest("four", condition=Condition(num_features=4)),
            make_manifest("classification", "film", languages=("ko",)),
        ]
    )
