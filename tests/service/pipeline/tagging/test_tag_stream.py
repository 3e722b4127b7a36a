"""A text labelled as it comes in, by a real model with random weights."""

import pytest

from service.errors import InvalidInput, ModelNotFound
from service.pipeline.tagging.tag_stream import Pace, TagStream
from service.repository.registry import Registry
from tests.fakes import FakeClock, make_metrics
from tests.service.pipeline.stand import tag

STREAM = "tiny-stream-tagging-lstm"
TEXT = "나는학교에간다. 오 늘은날씨가 좋다"


def open_stream(taggers: Registry) -> TagStream:
    metrics = make_metrics().of_model(STREAM)
    return TagStream(taggers.find_stream_tagger(None), 20.0, 1000, metrics)


async def test_stream_gives_labels_after_its_lookahead_and_the_rest_at_the_end(
    taggers: Registry,
) -> None:
    stream = open_stream(taggers)
    ends = [(await stream.read(character)).end for character in TEXT[:5]]
    last = await stream.finish()
    assert ends == [0, 0, 1, 2, 3]
    assert (last.end, last.is_final) == (5, True)


@pytest.mark.parametrize("sizes", [[1] * 19, [3, 7, 9], [19], [0, 19]])
async def test_stream_labels_as_the_whole_text(taggers: Registry, sizes: list[int]) -> None:
    whole = (await tag(taggers, TEXT, model=STREAM, render=True)).taggings[0]
    stream, found, place = open_stream(taggers), [], 0
    for size in sizes:
        found += (await stream.read(TEXT[place : place + size])).entities
        place += size
    last = await stream.finish()
    found += last.entities
    assert place == len(TEXT)
    assert [(e.start, e.end, e.word) for e in found] == [
        (e.start, e.end, e.word) for e in whole.entities
    ]
    assert last.rendered == whole.rendered


async def test_next_text_of_a_stream_knows_nothing_of_the_one_before(taggers: Registry) -> None:
    stream = open_stream(taggers)
    await stream.read("오늘은")
    await stream.finish()
    await stream.read(TEXT)
    again = await stream.finish()
    other = open_stream(taggers)
    await other.read(TEXT)
    assert again == await other.finish()


async def test_stream_of_a_model_of_whole_texts_is_refused(taggers: Registry) -> None:
    with pytest.raises(ModelNotFound, match=STREAM):
        taggers.find_stream_tagger("tiny-tagging-gru")
    assert taggers.find_tagger("ko").manifest.name == "tiny-tagging-gru"


async def test_lone_surrogate_ends_a_stream(taggers: Registry) -> None:
    with pytest.raises(InvalidInput, match="surrogate"):
        await open_stream(taggers).read("\ud800")


def test_pace_lets_a_second_pass_at_once_and_then_holds() -> None:
    clock = FakeClock()
    pace = Pace(10.0, clock)
    assert [pace.spend(10), pace.spend(5), pace.spend(10)] == [0.0, 0.5, 1.5]
    clock.now = 100.0
    assert pace.spend(10) == 0.0
