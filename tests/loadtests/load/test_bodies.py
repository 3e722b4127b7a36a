import statistics
from random import Random

import pytest

from loadtests.load.bodies import (
    CHARS_PER_SECOND,
    DEFAULT_MIX,
    DOCUMENT,
    KINDS,
    PAGE_REVIEWS,
    REVIEW,
    find_pairs,
    parse_mix,
)
from service.http.schemas.classify import ClassifyRequest
from service.http.schemas.tag import TagRequest
from service.http.schemas.translate import TranslateRequest
from service.http.wires.tgi import GenerateRequest

PAIRS = [("en", "de"), ("ko", "en")]
MODELS = {
    "/classify": ClassifyRequest,
    "/translate": TranslateRequest,
    "/generate": GenerateRequest,
    "/tag": TagRequest,
}
POSTED = [kind for kind in KINDS if kind != "tag_stream"]


@pytest.mark.parametrize("kind", POSTED)
def test_service_takes_every_kind_of_body(kind: str) -> None:
    for seed in range(50):
        draft = KINDS[kind](Random(seed), PAIRS)
        MODELS[draft.path].model_validate(draft.body)


@pytest.mark.parametrize("kind", KINDS)
def test_body_is_drawn_by_the_generator_that_is_given(kind: str) -> None:
    drafts = [KINDS[kind](Random(seed), PAIRS) for seed in (1, 1, 2)]

    assert drafts[0] == drafts[1] != drafts[2]


def test_kinds_differ_in_what_they_send() -> None:
    drafts = {
        kind: [make(Random(seed), PAIRS) for seed in range(50)] for kind, make in KINDS.items()
    }
    lengths = {
        kind: statistics.median(len(draft.body["q"]) for draft in drafts[kind])
        for kind in ("chat", "stream", "document")
    }

    assert 4 * lengths["chat"] < 2 * lengths["stream"] < lengths["document"]
    assert all(draft.body["stream"] for draft in drafts["stream"])
    assert {len(draft.body["inputs"]) for draft in drafts["page"]} == {PAGE_REVIEWS}
    assert all(isinstance(draft.body["q"], list) for draft in drafts["batch"])


def test_text_is_typed_a_character_at_a_time_and_ended() -> None:
    drafts = [KINDS["tag_stream"](Random(seed), PAIRS) for seed in range(200)]
    gaps = [gap for draft in drafts for gap in draft.gaps]

    for draft in drafts:
        *characters, last = draft.body["frames"]
        assert {len(character) for character in characters} == {1}
        assert (last, len(draft.gaps)) == ("", len(characters) + 1)
        assert " " not in characters
    assert statistics.mean(gaps) == pytest.approx(1 / CHARS_PER_SECOND, rel=0.1)


def test_lengths_are_mostly_short_and_within_bounds() -> None:
    rng = Random(5)
    drawn = [REVIEW.draw(rng) for _ in range(4000)]

    assert (min(drawn), max(drawn)) == (1, REVIEW.most)
    assert statistics.median(drawn) == 2 < statistics.mean(drawn)
    documents = [DOCUMENT.draw(rng) for _ in range(4000)]
    assert statistics.median(documents) == pytest.approx(DOCUMENT.median, abs=1)
    assert min(documents) >= DOCUMENT.least


def test_mix_gives_weights_to_those_it_names() -> None:
    weights = parse_mix("chat=3,stream=0.5")

    assert (weights["chat"], weights["stream"], weights["document"]) == (3.0, 0.5, 0.0)
    idle = [kind for kind, weight in parse_mix(DEFAULT_MIX).items() if not weight]
    assert idle == ["generate", "tag", "tag_stream"], "they need models that a service may lack"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("caht=3", "unknown kind 'caht'; known are chat, review"),
        ("chat=0", "no kind has a weight above 0"),
        ("chat=many", "'many' is not a number"),
        ("chat", "'chat' is not NAME=VALUE"),
    ],
)
def test_malformed_mix_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_mix(text)


def test_pairs_are_those_that_are_served_and_that_there_are_sentences_for() -> None:
    served = [
        {"code": "en", "targets": ["de", "en", "fr"]},
        {"code": "fr", "targets": ["en"]},
    ]

    assert find_pairs(served) == [("en", "de"), ("en", "fr")]
