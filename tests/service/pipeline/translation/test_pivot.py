import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import pytest

from service.answers import (
    Delta,
    Detection,
    Started,
    Timings,
    TranslateAnswer,
    TranslateOptions,
    Translation,
)
from service.engine.batch import Defect, Hypothesis, Result, TokenSequence
from service.engine.scheduling.forecast import Forecast
from service.errors import DeadlineExceeded, InvalidInput, ModelNotFound, Overloaded
from service.pipeline.translation.pivot import Stretch, Way, join_answers, join_timings
from service.pipeline.translation.translate import check_onward
from service.repository.manifest import ScoreFit, SpecialIds
from service.repository.registry import Leg, ServedModel
from service.text.masking.masks import MASKS
from tests.fakes import (
    EOS_ID,
    PAD_ID,
    ByteTokenizer,
    FakeRunner,
    make_backlog,
    make_manifest,
    make_model,
    read_metric,
    shout,
)
from tests.service.pipeline.stand import MakeStand, Stand, count_pending, hiss, soon, wait_for_step

TO_KOREAN = TranslateOptions("de", "ko")
TOKENIZER = ByteTokenizer()
FORMAL_ID, CASUAL_ID = 6, 7


@dataclass
class Halves:
    """A stand whose `words` hiss between German and English, and `second` shouts in Korean."""

    stand: Stand
    second: FakeRunner


@pytest.fixture
async def halves(start: MakeStand) -> Halves:
    return await open_halves(start)


async def open_halves(start: MakeStand, **settings: object) -> Halves:
    stand = await start(translate=hiss, **settings)
    second = FakeRunner(shout)
    pairs = (("en", "ko"), ("ko", "en"))
    stand.registry.serve(make_model(make_manifest("translation", "second", pairs=pairs), second))
    return Halves(stand, second)


async def test_direction_without_a_model_goes_through_the_pivot(halves: Halves) -> None:
    answer = await halves.stand.translators.translate(["der fön. er.\n", ""], TO_KOREAN, soon())

    assert [one.text for one in answer.translations] == ["DER FSSN. ER.\n", ""]
    assert (answer.model_name, answer.model_version) == ("words,second", "7,1")


async def test_texts_of_an_array_go_their_own_ways(halves: Halves) -> None:
    texts = [
        "The weather is nice today and we go out.",
        "Das Wetter ist heute schön und warm.",
        "안녕하세요 여러분",
        "Wir gehen heute Abend ins schöne Kino.",
    ]

    answer = await halves.stand.translators.translate(texts, TranslateOptions("auto", "ko"), soon())

    assert [one.text for one in answer.translations] == [
        "THE WEATHER IS NICE TODAY AND WE GO OUT.",
        "DAS WETTER IST HEUTE SCHSSN UND WARM.",
        "안녕하세요 여러분",
        "WIR GEHEN HEUTE ABEND INS SCHSSNE KINO.",
    ]
    assert [one.detected.language for one in answer.translations if one.detected] == [
        *("en", "de", "ko", "de"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"), [("어디 있어요?", "Wo sind Sie?"), ("어디 있어?", "Wo bist du?")]
)
async def test_level_of_a_korean_text_is_that_of_the_second_half(
    start: MakeStand, text: str, expected: str
) -> None:
    def address(sequence: TokenSequence) -> Result:
        spoken = "Wo sind Sie?" if sequence.start_id == FORMAL_ID else "Wo bist du?"
        return [Hypothesis(TOKENIZER.encode(spoken), -0.1)]

    stand = (await open_halves(start)).stand
    await stand.registry.find_model("words", "translation").batcher.stop(1.0)
    levels = {"de": {"formal": FORMAL_ID, "casual": CASUAL_ID}}
    ids = SpecialIds(pad_id=PAD_ID, eos_id=EOS_ID, start_ids={"en": 3, "de": 4}, level_ids=levels)
    manifest = make_manifest("translation", "words", ids=ids)
    stand.registry.serve(make_model(manifest, FakeRunner(address)))

    options = TranslateOptions("ko", "de")
    answer = await stand.translators.translate([text], options, soon())

    assert answer.translations[0].text == expected


async def test_markup_passes_through_both_halves(halves: Halves) -> None:
    options = replace(TO_KOREAN, text_format="html")

    answer = await halves.stand.translators.translate(["<p>der <b>fön</b></p>"], options, soon())

    (translation,) = answer.translations
    assert translation.text == "<p>DER <b>FSSN</b></p>"


async def test_stream_carries_the_second_half_only(halves: Halves) -> None:
    options = TranslateOptions("auto", "ko")
    texts = [
        "The weather is nice today and we go out.",
        "Das Wetter ist heute schön und warm. Gut.",
    ]
    pipeline = halves.stand.translators

    items = [
        item async for item in pipeline.stream_job(await pipeline.open_job(texts, options, soon()))
    ]

    answer = items[-1]
    assert isinstance(answer, TranslateAnswer)
    assert [item for item in items if isinstance(item, Started)] == [Started("second,words", "1,7")]
    for index, translation in enumerate(answer.translations):
        deltas = [item.text for item in items if isinstance(item, Delta) and item.index == index]
        assert "".join(deltas) == translation.text
    expected = await pipeline.translate(texts, options, soon())
    assert answer.translations == expected.translations


async def test_pivot_can_be_turned_off(start: MakeStand) -> None:
    halves = await open_halves(start, pivot_language="off")

    with pytest.raises(ModelNotFound, match="from de to ko; there are en-de, de-en, en-ko, ko-en"):
        await halves.stand.translators.translate(["der hund"], TO_KOREAN, soon())
    targets = {one.code: one.targets for one in halves.stand.translators.languages()}
    assert targets["de"] == ["de", "en"]


async def test_languages_have_targets_through_the_pivot(halves: Halves) -> None:
    targets = {one.code: one.targets for one in halves.stand.translators.languages()}
    assert targets == {code: ["de", "en", "ko"] for code in ("en", "de", "ko")}


async def test_attention_through_the_pivot_is_refused(halves: Halves) -> None:
    options = replace(TO_KOREAN, attention=True)
    with pytest.raises(InvalidInput, match="no attention from the source; leave `attention` out"):
        await halves.stand.translators.translate(["der hund"], options, soon())
    assert halves.stand.translator.batches == []


async def test_deadline_holds_for_both_halves_together(halves: Halves) -> None:
    halves.second.gate.clear()

    with pytest.raises(DeadlineExceeded):
        await halves.stand.translators.translate(["der hund"], TO_KOREAN, time.monotonic() + 0.3)

    assert count_pending(halves.stand) == 0
    halves.second.gate.set()


async def test_cancellation_takes_back_the_second_half(halves: Halves) -> None:
    halves.second.gate.clear()
    task = asyncio.create_task(halves.stand.translators.translate(["der hund"], TO_KOREAN, soon()))
    await wait_for_step(halves.second)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert count_pending(halves.stand) == 0
    halves.second.gate.set()


async def test_each_half_is_observed_for_its_model(halves: Halves) -> None:
    answer = await halves.stand.translators.translate(["der hund"], TO_KOREAN, soon())

    for model in ("words", "second"):
        for stage in ("tokenize", "queue", "inference"):
            name, labels = "stage_duration_seconds_count", {"model": model, "stage": stage}
            assert read_metric(halves.stand.metrics, name, **labels) == 1
    timings = answer.timings
    stages = (timings.tokenize_seconds, timings.queue_seconds, timings.inference_seconds)
    assert 0.0 < sum(stages) <= timings.total_seconds


@dataclass
class SlowBatcher:
    def forecast(self) -> Forecast:
        return Forecast(make_backlog(0.7), 0.0)


@dataclass
class SlowModel:
    batcher: SlowBatcher


def test_slow_second_half_is_refused_before_the_first_begins() -> None:
    leg = Leg(cast(ServedModel, SlowModel(SlowBatcher())), "en", "ko")
    with pytest.raises(Overloaded, match=r"model slow is predicted to be 0.7 s"):
        check_onward([leg], TO_KOREAN)


def test_text_is_joined_of_what_its_stretches_have_come_to() -> None:
    timings = Timings(0.0, 0.0, 0.0, 0.0, 0.0)
    detected = Detection("de", 90.0)
    halves = [Translation("x", [], detected), Translation("y", [])]
    answer = TranslateAnswer("a,b", "1,2", timings, halves)
    ways = [Way("p", -0.1, 0.5, True), Way("q", -0.2, 0.8, True)]
    stretches = [Stretch([way], space) for way, space in zip(ways, ["\n\n", " "], strict=True)]
    ends = [Translation("P", ["PP"], score=0.4), Translation("Q", ["QQ", "QQQ"], score=0.5)]

    joined = join_answers(answer, [0], [stretches], [list(zip(ways, ends, strict=True))], timings)

    first, second = joined.translations
    assert (first.text, first.detected, first.is_complete) == ("P\n\nQ ", detected, True)
    assert first.alternatives == ["PP\n\nQQ ", "P\n\nQQQ "]
    assert first.score == pytest.approx(0.5 * 0.4)  # of the worst stretch, both halves
    assert second == halves[1]


@pytest.mark.parametrize("half", [0, 1])
def test_translation_is_complete_if_both_halves_of_all_stretches_are(half: int) -> None:
    timings = Timings(0.0, 0.0, 0.0, 0.0, 0.0)
    answer = TranslateAnswer("a,b", "1,2", timings, [Translation("x", [])])
    way = Way("p", 0.0, None, half == 1)
    found = [(way, Translation("P", [], is_complete=half == 0)), (way, Translation("Q", []))]

    joined = join_answers(answer, [0], [[Stretch([way], "")] * 2], [found], timings)

    assert not joined.translations[0].is_complete
    assert joined.translations[0].score is None


def read(sequence: TokenSequence) -> str:
    return TOKENIZER.decode(sequence.input_ids)


Table = Mapping[str, Sequence[Hypothesis]]


def tell(
    text: str, score: float, read_back: float = -1.0, defect: Defect | None = None
) -> Hypothesis:
    return Hypothesis(TOKENIZER.encode(text), score, defect, read_back=read_back)


FIRST: Table = {
    "\ue008 kommt.": [tell("\ue008 is coming.", -0.1)],
    "Schloss.": [tell("lock.", -0.1, -1.0), tell("castle.", -0.2, -1.0), tell("lock.", -0.3, -1.0)],
    "Bank!": [tell("bank!", -0.1), tell("bench!", -0.2)],
    "Bauch.": [replace(tell("bauchal.", -0.1), num_unknown=1), tell("belly.", -0.2)],
    "Nur \ue008.": [tell("only.", -0.1), tell("just.", -0.2)],
    "Nur": [tell("only", -0.1), tell("just", -0.2)],
}
SECOND: Table = {
    "lock.": [tell("jamulsoe.", -0.6, -1.0)],
    "castle.": [tell("seong.", -0.3, -1.0), tell("gung.", -0.4, -1.0)],
    "bauchal.": [tell("bauchal.", -0.1, -0.1)],
    "belly.": [tell("bae.", -0.3, -0.2)],
    "bank!": [tell("eunhaeng!", -0.1, -0.1)],
    "bench!": [tell("benchi!", -0.1, -2.0)],
}


@dataclass
class Choice:
    """Two translators that rerank, by tables of what they make of a sentence."""

    stand: Stand
    second: FakeRunner

    @property
    def gone_on(self) -> list[str]:
        return [read(sequence) for batch in self.second.batches for sequence in batch]

    async def translate(self, text: str, options: TranslateOptions = TO_KOREAN) -> Translation:
        answer = await self.stand.translators.translate([text], options, soon())
        return answer.translations[0]


MakeChoice = Callable[..., Awaitable[Choice]]


@pytest.fixture
def choose(start: MakeStand) -> MakeChoice:
    async def make(
        second: Table = SECOND, *, has_scorer: bool = True, **settings: object
    ) -> Choice:
        stand = await start(**settings)
        runners = [FakeRunner(partial(look_up, table)) for table in (FIRST, second)]
        for name, target, runner in zip(("words", "second"), ("de", "ko"), runners, strict=True):
            codes = ("en", target)
            neutral_ids = dict(zip(codes, (6, 7), strict=True))
            ids = SpecialIds(
                pad_id=PAD_ID,
                eos_id=EOS_ID,
                start_ids=neutral_ids,
                neutral_ids=neutral_ids if has_scorer else {},
                level_ids={"ko": {"formal": 4, "casual": 5}} if target == "ko" else {},
            )
            manifest = make_manifest(
                "translation",
                name,
                pairs=(codes, codes[::-1]),
                languages=codes,
                ids=ids,
                masks=MASKS,
                score_fits=tuple(
                    ScoreFit(
                        pair="-".join(pair),
                        slope=1.0,
                        intercept=0.0,
                        data="x",
                        num_sentences=1,
                        threshold=50.0,
                        auc=0.7,
                    )
                    for pair in (codes, codes[::-1])
                ),
            )
            if name == "words":
                await stand.registry.find_model("words", "translation").batcher.stop(1.0)
            stand.registry.serve(make_model(manifest, runner))
        return Choice(stand, runners[1])

    return make


def look_up(table: Table, sequence: TokenSequence) -> Result:
    text = read(sequence)
    return list(table.get(text, [tell(text.upper(), -0.5)]))


async def test_less_likely_first_half_may_lead_to_the_best_end(choose: MakeChoice) -> None:
    choice = await choose()

    translation = await choice.translate("Schloss.", replace(TO_KOREAN, alternatives=1))

    assert translation.text == "seong."
    assert translation.alternatives == ["gung."]
    assert choice.gone_on == ["lock.", "castle."]  # each text once
    # of the way that was taken: a logistic of both log-probabilities
    assert translation.score == pytest.approx(1 / (1 + math.e**0.2) / (1 + math.e**0.3))


async def test_word_that_the_first_half_makes_up_counts_where_it_is_copied_too(
    choose: MakeChoice,
) -> None:
    choice = await choose()

    assert (await choice.translate("Bauch.")).text == "bae."
    assert choice.gone_on == ["bauchal.", "belly."]  # the first is likelier in both halves


async def test_names_are_spelled_as_the_first_language_says_them(choose: MakeChoice) -> None:
    choice = await choose()

    translation = await choice.translate("Michael Schmidt kommt.")

    assert translation.text == "미하엘 슈미트 IS COMING."  # not 마이클 슈밋


async def test_each_sentence_of_a_text_goes_its_own_way(choose: MakeChoice) -> None:
    choice = await choose()

    assert (await choice.translate("Schloss.  Bank!\n\nSchloss. ")).text == (
        "seong.  eunhaeng!\n\nseong. "
    )


@pytest.mark.parametrize(
    ("changes", "settings", "has_scorer"),
    [
        ({"rerank": False}, {}, True),
        ({"text_format": "html"}, {}, True),
        ({}, {"pivot_candidates": 1}, True),
        ({}, {"max_queue_size": 3}, True),
        ({}, {"rerank": False}, True),
        ({}, {}, False),
    ],
    ids=["not wanted", "markup", "setting", "queue too short", "rerank setting", "no scorer"],
)
async def test_best_first_half_alone_goes_on(
    choose: MakeChoice, changes: dict[str, Any], settings: dict[str, object], has_scorer: bool
) -> None:
    choice = await choose(has_scorer=has_scorer, **settings)

    assert (await choice.translate("Schloss.", replace(TO_KOREAN, **changes))).text == "jamulsoe."
    assert choice.gone_on == ["lock."]


async def test_pieces_around_a_placeable_go_on_together(choose: MakeChoice) -> None:
    choice = await choose()

    translation = await choice.translate("Bank! Nur https://a.org. Schloss.")

    ways = {"bank!", "bench!", "only \ue008", "lock.", "castle."}
    assert set(choice.gone_on) == ways
    assert translation.text == "eunhaeng! ONLY https://a.org. seong."


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (tell("seong.", -0.9), tell("seong seong.", -0.1, defect="loop")),
        (tell("seong.", -0.9), tell("...", -0.1)),
        (tell("성이야.", -0.9), tell("성이에요.", -0.1)),
    ],
    ids=["complete", "faithful", "at the level"],
)
async def test_end_that_is_as_it_should_be_comes_before_merit(
    choose: MakeChoice, better: Hypothesis, worse: Hypothesis
) -> None:
    choice = await choose({"lock.": [worse], "castle.": [better]})
    options = replace(TO_KOREAN, formality="less")

    assert (await choice.translate("Schloss.", options)).text == TOKENIZER.decode(better.token_ids)


async def test_stream_gives_a_text_with_ways_at_once(choose: MakeChoice) -> None:
    choice = await choose()
    pipeline, texts = choice.stand.translators, ["Schloss. Bank!", "Bank!"]

    items = [
        item
        async for item in pipeline.stream_job(await pipeline.open_job(texts, TO_KOREAN, soon()))
    ]

    deltas = [item for item in items if isinstance(item, Delta)]
    assert deltas == [Delta(0, "seong. eunhaeng!"), Delta(1, "eunhaeng!")]
    answer = items[-1]
    assert isinstance(answer, TranslateAnswer)
    expected = await pipeline.translate(texts, TO_KOREAN, soon())
    assert answer.translations == expected.translations


def test_timings_of_both_halves_add_up() -> None:
    first = Timings(0.1, 0.2, 0.3, 0.7, arrived_at=5.0, dispatched_at=5.3, finished_at=5.6)
    second = Timings(0.1, 0.1, 0.4, 0.7, arrived_at=5.7, dispatched_at=5.9, finished_at=6.3)

    joined = join_timings(first, second)

    assert joined.tokenize_seconds == pytest.approx(0.2)
    assert joined.queue_seconds == pytest.approx(0.3)
    assert joined.inference_seconds == pytest.approx(0.7)
    assert joined.total_seconds == pytest.approx(1.4)
    assert (joined.arrived_at, joined.dispatched_at, joined.finished_at) == (5.0, 5.3, 6.3)
