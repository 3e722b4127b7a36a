import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from service.answers import (
    ClassifyOptions,
    Delta,
    Started,
    StreamEvent,
    TranslateAnswer,
    TranslateOptions,
)
from service.engine.batch import Result, TokenSequence
from service.engine.batcher import Batcher
from service.errors import (
    DeadlineExceeded,
    EmptyInput,
    InferenceFailed,
    InputTooLong,
    InvalidInput,
    LanguageNotSupported,
    ModelNotFound,
    Overloaded,
)
from service.pipeline.classify import ClassifyPipeline
from service.pipeline.intake import MAX_INLINE_CHARS, offload
from service.pipeline.labels import apply_function
from service.pipeline.translate import TranslatePipeline
from service.repository.manifest import Limits
from service.repository.registry import Registry
from service.settings import Settings
from service.telemetry.metrics import Metrics
from tests.fakes import (
    ByteTokenizer,
    FakeRunner,
    make_manifest,
    make_metrics,
    make_model,
    make_sequence,
    read_metric,
    score_text,
    shout,
)

ALL = ClassifyOptions()
TO_GERMAN = TranslateOptions("en", "de")


@dataclass
class Stand:
    """A pipeline over fake models; `translator` shouts, `english` likes exclamation marks."""

    classifiers: ClassifyPipeline
    translators: TranslatePipeline
    registry: Registry
    metrics: Metrics
    english: FakeRunner
    korean: FakeRunner
    translator: FakeRunner


def like_korean(sequence: TokenSequence) -> Result:
    return np.array([5.0, -5.0], dtype=np.float32)


def make_stand(
    settings: Settings,
    pairs: tuple[tuple[str, str], ...],
    translate: Callable[[TokenSequence], Result] = shout,
) -> Stand:
    metrics = make_metrics()
    registry = Registry(settings, metrics)
    english, korean = FakeRunner(score_text), FakeRunner(like_korean)
    translator = FakeRunner(translate)
    for name, language, runner in (("film-en", "en", english), ("film-ko", "ko", korean)):
        registry.serve(make_model(make_manifest("sentiment", name, languages=(language,)), runner))
    manifest = make_manifest("translation", "words", pairs=pairs, version="7")
    registry.serve(make_model(manifest, translator))
    return Stand(
        ClassifyPipeline(registry, settings, metrics),
        TranslatePipeline(registry, settings, metrics),
        registry,
        metrics,
        english,
        korean,
        translator,
    )


MakeStand = Callable[..., Awaitable[Stand]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[MakeStand]:
    """Starts a stand with the settings given, and stops it in the end."""
    stands: list[Stand] = []

    async def make(
        pairs: tuple[tuple[str, str], ...] = (("en", "de"), ("de", "en")),
        translate: Callable[[TokenSequence], Result] = shout,
        **settings: object,
    ) -> Stand:
        fields = {"models_dir": tmp_path, "max_batch_size": 8} | settings
        stands.append(make_stand(Settings.model_validate(fields), pairs, translate))
        return stands[-1]

    yield make
    for stand in stands:
        for runner in (stand.english, stand.korean, stand.translator):
            runner.gate.set()
        await stand.registry.stop()


@pytest.fixture
async def stand(start: MakeStand) -> Stand:
    return await start()


def soon() -> float:
    return time.monotonic() + 20.0


async def translate(stand: Stand, text: str, options: TranslateOptions = TO_GERMAN) -> str:
    answer = await stand.translators.translate([text], options, soon())
    return answer.translations[0].text


# --- classification ---


async def test_labels_come_best_first(stand: Stand) -> None:
    answer = await stand.classifiers.classify(["what a film!!!", "what a film"], ALL, soon())

    assert [[score.label for score in labels] for labels in answer.labels] == [
        ["positive", "negative"],
        ["negative", "positive"],
    ]


async def test_scores_are_probabilities(stand: Stand) -> None:
    answer = await stand.classifiers.classify(["good!"], ALL, soon())

    assert sum(score.score for score in answer.labels[0]) == pytest.approx(1.0)
    assert answer.labels[0][0].score == pytest.approx(1 / (1 + np.exp(-1.0)))


async def test_each_text_goes_to_the_model_of_its_language_and_order_is_kept(
    stand: Stand,
) -> None:
    texts = ["a good film!", "이 영화 정말 재미있어요!", "good!", "별로예요!"]

    answer = await stand.classifiers.classify(texts, ALL, soon())

    assert [labels[0].label for labels in answer.labels] == [
        *("positive", "negative"),
        *("positive", "negative"),
    ]
    assert (answer.model_name, answer.model_version) == ("film-en,film-ko", "1,1")
    assert sum(map(len, stand.korean.batches)) == 2


async def test_text_in_a_script_that_no_model_reads_is_refused(stand: Stand) -> None:
    with pytest.raises(LanguageNotSupported, match="cyrillic script"):
        await stand.classifiers.classify(["Привет, как дела"], ALL, soon())


async def test_named_model_overrides_the_language(stand: Stand) -> None:
    options = ClassifyOptions(model="film-ko")

    answer = await stand.classifiers.classify(["a good film!"], options, soon())

    assert answer.model_name == "film-ko"


async def test_unknown_model_is_told_with_those_that_exist(stand: Stand) -> None:
    with pytest.raises(ModelNotFound, match="'bert'; there are film-en, film-ko"):
        await stand.classifiers.classify(["good"], ClassifyOptions(model="bert"), soon())


@pytest.mark.parametrize(("top_k", "count"), [(None, 2), (1, 1), (2, 2), (50, 2)])
async def test_top_k_bounds_the_labels(stand: Stand, top_k: int | None, count: int) -> None:
    answer = await stand.classifiers.classify(["good"], ClassifyOptions(top_k=top_k), soon())

    assert len(answer.labels[0]) == count


@pytest.mark.parametrize(
    ("function", "scores"),
    [("none", [4.0, 1.0]), ("sigmoid", [0.98201, 0.73106]), ("softmax", [0.95257, 0.04743])],
)
async def test_function_to_apply_is_applied(
    stand: Stand, function: str, scores: list[float]
) -> None:
    options = ClassifyOptions(function_to_apply=function)  # type: ignore[arg-type]

    answer = await stand.classifiers.classify(["good!!"], options, soon())

    assert [score.score for score in answer.labels[0]] == pytest.approx(scores, abs=1e-4)


def test_sigmoid_survives_large_logits() -> None:
    applied = apply_function(make_model(make_manifest()), [-1000.0, 0.0, 1000.0], "sigmoid")

    assert applied == [0.0, 0.5, 1.0]


async def test_server_without_classifiers_says_so(tmp_path: Path) -> None:
    settings, metrics = Settings(models_dir=tmp_path), make_metrics()
    pipeline = ClassifyPipeline(Registry(settings, metrics), settings, metrics)

    with pytest.raises(ModelNotFound, match="no sentiment model is loaded"):
        await pipeline.classify(["good"], ALL, soon())


# --- translation ---


@pytest.mark.parametrize(
    "text",
    [
        "one sentence.",
        "First one. Second one!  Third one?\n\n\tAnd a fourth.  \n",
        "  \n leading and trailing \r\n",
        "no full stop\nbut two lines",
        "a\u00a0b. c\u2003d.",
    ],
)
async def test_white_space_of_a_text_is_kept_exactly(stand: Stand, text: str) -> None:
    assert await translate(stand, text) == text.upper()


async def test_long_text_is_cut_into_sentences_that_share_a_batch(stand: Stand) -> None:
    text = " ".join(f"This is sentence number {number}." for number in range(40))
    greedy = TranslateOptions("en", "de", beam_size=1)

    assert await translate(stand, text, greedy) == text.upper()
    assert sum(map(len, stand.translator.batches)) == 40
    assert max(map(len, stand.translator.batches)) == 8


async def test_several_texts_keep_their_order(stand: Stand) -> None:
    texts = [f"text {number}. and more." for number in range(20)]

    answer = await stand.translators.translate(texts, TO_GERMAN, soon())

    assert [one.text for one in answer.translations] == [text.upper() for text in texts]
    assert (answer.model_name, answer.model_version) == ("words", "7")


async def test_html_keeps_its_markup_and_is_escaped_again(stand: Stand) -> None:
    page = '<p class="a">one &amp; two. three.</p>\n<code>keep me</code><br/> <b>four</b>'
    options = TranslateOptions("en", "de", text_format="html")

    assert await translate(stand, page, options) == (
        '<p class="a">ONE &amp; TWO. THREE.</p>\n<code>keep me</code><br/> <b>FOUR</b>'
    )


HTML = TranslateOptions("en", "de", text_format="html")


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("A man is <b>riding</b> a bike.", "A MAN IS <b>RIDING</b> A BIKE."),
        ("<p>a <a href='&'>b <i>c</i></a>. d</p>", "<p>A <a href='&'>B <i>C</i></a>. D</p>"),
        ("a <b>b. c</b> d. <u>e.</u> f", "A <b>B. C</b> D. <u>E.</u> F"),
        ("<b>a. b.</b> c<br>&amp; <i>d</i>", "<b>A. B.</b> C<br>&amp; <i>D</i>"),
        ("1 <b>2</b> &#51;", "1 <b>2</b> &#51;"),
        ("\u200b\n<b>a</b> b", "\u200b\n<b>A</b> B"),
    ],
)
async def test_sentences_go_on_over_inline_tags(stand: Stand, page: str, expected: str) -> None:
    assert await translate(stand, page, HTML) == expected


def hiss(sequence: TokenSequence) -> Result:
    """A translation with a sharp s for each "ö", which has as many bytes."""
    hypotheses = shout(sequence)
    assert isinstance(hypotheses, list)
    tokenizer = ByteTokenizer()
    token_ids = tokenizer.encode(tokenizer.decode(sequence.input_ids).replace("ö", "ß"))
    return [replace(hypotheses[0], token_ids=token_ids)]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("AÖ ÖE. AÖ öe.", "ASS SSE. AÖ ße."),
        ("<h1>AÖ!</h1>ÖÖ ÖÖ. Ö", "<h1>ASS!</h1>ÖSS SSSS. Ö"),
        ("AÖ <b>ÖA</b> ÖE<i>!</i>", "ASS <b>SSA</b> SSE<i>!</i>"),
        ("<p>ÖÖ</p>", "<p>ÖÖ</p>"),
    ],
)
async def test_capitals_are_read_in_sentence_case_and_answered_in_capitals(
    start: MakeStand, page: str, expected: str
) -> None:
    stand = await start(translate=hiss)

    assert await translate(stand, page, HTML) == expected


async def test_attention_is_asked_for_where_tags_are_to_be_placed(stand: Stand) -> None:
    await translate(stand, "<p>one.\ntwo <b>three</b>.\n<i>four.</i></p>five", HTML)

    sequences = [sequence for batch in stand.translator.batches for sequence in batch]
    asked = {
        ByteTokenizer().decode(sequence.input_ids): sequence.search.with_attention
        for sequence in sequences
        if sequence.search
    }
    assert asked == {"one.": False, "two three.": True, "four.": False, "five": False}


async def test_alternatives_carry_the_tags_too(stand: Stand) -> None:
    options = TranslateOptions("en", "de", text_format="html", alternatives=1)

    answer = await stand.translators.translate(["one <b>two</b>"], options, soon())

    (translation,) = answer.translations
    assert translation.text == "ONE <b>TWO</b>"
    assert translation.alternatives == ["ONE <b>TWO</b>!"]
    assert translation.attention is None


async def test_markup_is_text_where_html_was_not_asked_for(stand: Stand) -> None:
    assert await translate(stand, "<b>a & b</b>") == "<B>A & B</B>"


async def test_page_without_text_is_copied_without_the_engine(stand: Stand) -> None:
    options = TranslateOptions("en", "de", text_format="html")

    assert await translate(stand, "<hr/> <!-- nothing -->", options) == "<hr/> <!-- nothing -->"
    assert stand.translator.batches == []


async def test_markup_does_not_count_for_detection(start: MakeStand) -> None:
    stand = await start(pairs=(("en", "ko"), ("ko", "en")))
    options = TranslateOptions("auto", "en", text_format="html")
    page = '<div class="introduction"><a href="https://example.org/films/today">안녕!</a></div>'

    answer = await stand.translators.translate([page], options, soon())

    detected = answer.translations[0].detected
    assert detected is not None
    assert detected.language == "ko"


async def test_source_is_detected_for_each_text(stand: Stand) -> None:
    texts = ["The weather is nice today and we go out.", "Das Wetter ist heute schön und warm."]

    answer = await stand.translators.translate(texts, TranslateOptions("auto", "de"), soon())

    detected = [one.detected for one in answer.translations]
    assert [one.language for one in detected if one] == ["en", "de"]
    assert answer.translations[0].text == texts[0].upper()
    assert answer.translations[1].text == texts[1]


async def test_script_that_no_model_reads_is_refused(stand: Stand) -> None:
    with pytest.raises(LanguageNotSupported, match=r"cyrillic script.*the models read en, de"):
        await translate(stand, "Привет, как дела?", TranslateOptions("auto", "de"))


async def test_text_in_the_target_language_is_copied(stand: Stand) -> None:
    options = TranslateOptions("de", "de", attention=True, alternatives=1)

    answer = await stand.translators.translate([" so, wie es ist.\n"], options, soon())

    (translation,) = answer.translations
    assert (translation.text, translation.alternatives) == (" so, wie es ist.\n", [])
    assert (translation.attention, answer.model_name) == ([], "")
    assert stand.translator.batches == []


@pytest.mark.parametrize(("source", "target"), [("en", "fr"), ("xx", "de"), ("xx", "xx")])
async def test_unknown_direction_is_refused(stand: Stand, source: str, target: str) -> None:
    with pytest.raises(ModelNotFound, match=f"{source}-{target}; there are en-de, de-en"):
        await translate(stand, "hello", TranslateOptions(source, target))


async def test_alternatives_are_further_hypotheses_without_repetition(stand: Stand) -> None:
    options = TranslateOptions("en", "de", alternatives=2)

    answer = await stand.translators.translate(["one. two."], options, soon())

    (translation,) = answer.translations
    assert translation.text == "ONE. TWO."
    assert translation.alternatives == ["ONE.! TWO.!", "ONE.!! TWO.!!"]
    assert stand.translator.batches[0][0].num_rows == 3


async def test_alternatives_that_repeat_the_translation_are_left_out(stand: Stand) -> None:
    options = TranslateOptions("en", "de", alternatives=2, max_new_tokens=3)

    answer = await stand.translators.translate(["one"], options, soon())

    assert (answer.translations[0].text, answer.translations[0].alternatives) == ("ONE", [])


async def test_attention_is_given_for_each_sentence_on_sequence(stand: Stand) -> None:
    options = TranslateOptions("en", "de", attention=True)

    answer = await stand.translators.translate(["ab. c."], options, soon())

    alignments = answer.translations[0].attention
    assert alignments is not None
    assert [one.target_tokens for one in alignments] == [["A", "B", "."], ["C", "."]]
    assert alignments[0].source_tokens == ["a", "b", ".", "<2>"]
    assert [len(one.weights) for one in alignments] == [4, 3]
    assert [len(one.weights[0]) for one in alignments] == [4, 3]


async def test_attention_of_too_much_text_is_refused(start: MakeStand) -> None:
    stand = await start(max_batch_size=64)
    text = "A sentence of some thirty letters.\n" * 300

    with pytest.raises(InputTooLong, match="attention"):
        await translate(stand, text, TranslateOptions("en", "de", attention=True))
    assert await translate(stand, text) == text.upper()


async def test_attention_is_not_given_unasked(stand: Stand) -> None:
    answer = await stand.translators.translate(["ab."], TO_GERMAN, soon())

    assert answer.translations[0].attention is None


async def test_search_options_reach_the_engine(stand: Stand) -> None:
    await translate(stand, "one two", TranslateOptions("en", "de", beam_size=4, max_new_tokens=9))

    ((sequence,),) = stand.translator.batches
    assert sequence.search is not None
    assert (sequence.search.beam_size, sequence.search.max_new_tokens) == (4, 9)


async def test_length_of_a_translation_is_bound_by_its_source(stand: Stand) -> None:
    await translate(stand, "ab")

    ((sequence,),) = stand.translator.batches
    assert sequence.search is not None
    assert sequence.search.max_new_tokens == 16 + 2 * 3


async def test_languages_list_their_targets_and_themselves(start: MakeStand) -> None:
    stand = await start(pairs=(("en", "de"), ("en", "ko"), ("ko", "en")))

    found = [(one.code, one.name, one.targets) for one in stand.translators.languages()]

    assert found == [("en", "English", ["de", "en", "ko"]), ("ko", "Korean", ["en", "ko"])]


async def test_detection_chooses_among_the_languages_served(stand: Stand) -> None:
    found = stand.translators.detect("Das ist ein schöner Tag, und wir gehen spazieren.")

    assert [one.language for one in found] == ["de", "en"]
    assert found[0].confidence > 50.0


# --- limits: each message names value, limit and remedy ---


@pytest.mark.parametrize("text", ["", "   ", "\n\t\u3000"])
async def test_empty_text_is_refused(stand: Stand, text: str) -> None:
    with pytest.raises(EmptyInput, match="text 1 is empty; send at least one"):
        await stand.classifiers.classify(["good", text], ALL, soon())
    with pytest.raises(EmptyInput, match="text 0 is empty"):
        await translate(stand, text)
    with pytest.raises(EmptyInput):
        stand.translators.detect(text)


async def test_blank_text_among_others_comes_back_as_it_is(stand: Stand) -> None:
    for options in (TO_GERMAN, TranslateOptions("auto", "de"), HTML):
        answer = await stand.translators.translate(["one", "", " \n"], options, soon())
        assert [one.text for one in answer.translations] == ["ONE", "", " \n"]
    with pytest.raises(EmptyInput, match="text 0 is empty"):
        await stand.translators.translate(["", " "], TO_GERMAN, soon())


async def test_text_without_tokens_is_refused_by_a_classifier(stand: Stand) -> None:
    with pytest.raises(EmptyInput, match="nothing to classify; send at least one"):
        await stand.classifiers.classify(["\u200b"], ALL, soon())


async def test_sentence_without_tokens_is_copied(stand: Stand) -> None:
    assert await translate(stand, "one.\n\u200b\ntwo.") == "ONE.\n\u200b\nTWO."


async def test_sequence_without_texts_is_refused(stand: Stand) -> None:
    with pytest.raises(EmptyInput, match="no text"):
        await stand.classifiers.classify([], ALL, soon())


async def test_too_many_texts_are_refused(start: MakeStand) -> None:
    stand = await start(max_texts=3)

    with pytest.raises(InputTooLong, match=r"4 texts are above the limit of 3.*send fewer"):
        await stand.classifiers.classify(["good"] * 4, ALL, soon())
    await stand.classifiers.classify(["good"] * 3, ALL, soon())


async def test_too_many_characters_are_refused(start: MakeStand) -> None:
    stand = await start(max_text_chars=10)

    with pytest.raises(InputTooLong, match=r"text 0 has 11 characters.*limit of 10; split it"):
        await translate(stand, "a" * 11)
    await translate(stand, "a" * 10)


@pytest.fixture
async def short(start: MakeStand) -> Stand:
    """A stand whose models take ten tokens."""
    stand = await start()
    for task, name, runner in (
        ("sentiment", "film-en", stand.english),
        ("translation", "words", stand.translator),
    ):
        batcher = stand.registry.find_model(name, task).batcher
        await batcher.stop(1.0)
        manifest = make_manifest(task, name, limits=Limits(max_input_tokens=10))
        stand.registry.serve(make_model(manifest, runner))
    return stand


async def test_too_many_tokens_are_refused_and_never_cut(short: Stand) -> None:
    with pytest.raises(InputTooLong, match="a text has 11 tokens, above the limit of 10 of model"):
        await short.classifiers.classify(["a" * 11], ALL, soon())
    with pytest.raises(InputTooLong, match=r"a sentence has 11 tokens.*; split it"):
        await translate(short, "short. " + "a" * 10)
    assert await translate(short, "a" * 9) == "A" * 9


async def test_refused_text_keeps_its_neighbours_out_of_the_queue(short: Stand) -> None:
    with pytest.raises(InputTooLong):
        await short.classifiers.classify(["good", "a" * 11], ALL, soon())

    assert short.english.batches == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (TranslateOptions("en", "de", beam_size=9), "beam_size is 9, above the limit of 4"),
        (TranslateOptions("en", "de", alternatives=3), "alternatives is 3, above the limit of 2"),
        (TranslateOptions("en", "de", max_new_tokens=51), "max_new_tokens is 51, .*limit of 50"),
    ],
)
async def test_search_options_above_a_limit_are_refused(
    start: MakeStand, options: TranslateOptions, message: str
) -> None:
    stand = await start(max_beam_size=4, max_alternatives=2, max_new_tokens=50)

    with pytest.raises(InvalidInput, match=f"{message}; ask for less"):
        await translate(stand, "hello", options)


async def test_alternatives_cannot_widen_the_beam_beyond_its_limit(start: MakeStand) -> None:
    stand = await start(max_beam_size=3, max_alternatives=9)

    with pytest.raises(InvalidInput, match="alternatives is 3, above the limit of 2"):
        await translate(stand, "hello", TranslateOptions("en", "de", alternatives=3))


async def test_beam_cannot_be_wider_than_the_engine(start: MakeStand) -> None:
    stand = await start(max_batch_size=2, default_beam_size=4)

    with pytest.raises(InvalidInput, match="beam_size is 3, above the limit of 2"):
        await translate(stand, "hello", TranslateOptions("en", "de", beam_size=3))
    assert await translate(stand, "hello") == "HELLO"


# --- deadlines, hang-ups, overload, failure ---


async def wait_for_step(runner: FakeRunner) -> None:
    assert await asyncio.to_thread(runner.entered.wait, 10.0)


def count_pending(stand: Stand) -> int:
    return sum(served.batcher.num_pending for served in stand.registry.models())


async def test_deadline_ends_the_wait_and_frees_the_queue(stand: Stand) -> None:
    stand.translator.gate.clear()

    with pytest.raises(DeadlineExceeded, match="allow more time or send less"):
        await stand.translators.translate(["one. two."], TO_GERMAN, time.monotonic() + 0.05)
    await asyncio.sleep(0)

    assert count_pending(stand) == 0


async def test_deadline_that_has_passed_already_runs_nothing(stand: Stand) -> None:
    with pytest.raises(DeadlineExceeded):
        await stand.classifiers.classify(["good"], ALL, time.monotonic() - 1.0)

    assert stand.english.batches == []


async def test_hung_up_client_frees_the_queue_and_never_runs(stand: Stand) -> None:
    stand.translator.gate.clear()
    first = asyncio.create_task(translate(stand, "first"))
    await wait_for_step(stand.translator)
    second = asyncio.create_task(translate(stand, "second. third."))
    await asyncio.sleep(0.01)
    assert count_pending(stand) == 3

    second.cancel()
    await asyncio.wait([second])
    await asyncio.sleep(0)
    assert count_pending(stand) == 1
    stand.translator.gate.set()

    assert await first == "FIRST"
    assert sum(map(len, stand.translator.batches)) == 1


async def test_model_that_is_full_takes_back_what_other_models_admitted(
    start: MakeStand,
) -> None:
    stand = await start(max_queue_size=2)
    stand.english.gate.clear()
    stand.korean.gate.clear()
    busy = asyncio.create_task(stand.classifiers.classify(["이것은 좋다"], ALL, soon()))
    await wait_for_step(stand.korean)
    waiting = asyncio.create_task(stand.classifiers.classify(["이것도 좋다"] * 2, ALL, soon()))
    await asyncio.sleep(0.01)

    with pytest.raises(Overloaded, match="film-ko"):
        await stand.classifiers.classify(["good", "좋다"], ALL, soon())
    await asyncio.sleep(0)

    assert stand.registry.find_classifier("en").batcher.num_pending == 0
    stand.english.gate.set()
    stand.korean.gate.set()
    await asyncio.gather(busy, waiting)


async def test_failed_step_is_told_and_the_next_sequence_is_served(stand: Stand) -> None:
    stand.translator.failures = [InferenceFailed("out of memory")]

    with pytest.raises(InferenceFailed, match="engine failed"):
        await translate(stand, "one. two. three.")

    assert await translate(stand, "again") == "AGAIN"
    assert count_pending(stand) == 0


async def test_many_clients_get_their_own_answers(stand: Stand) -> None:
    texts = [f"client {number} says. hello {number}!" for number in range(100)]

    answers = await asyncio.gather(*(translate(stand, text) for text in texts))

    assert answers == [text.upper() for text in texts]


# --- timings and metrics ---


async def test_timings_add_up(stand: Stand) -> None:
    timings = (await stand.classifiers.classify(["good"], ALL, soon())).timings

    stages = (timings.tokenize_seconds, timings.queue_seconds, timings.inference_seconds)
    assert min(stages) >= 0.0
    assert sum(stages) <= timings.total_seconds


async def test_waiting_counts_as_queue_time_not_as_inference(stand: Stand) -> None:
    stand.english.gate.clear()
    first = asyncio.create_task(stand.classifiers.classify(["good"], ALL, soon()))
    await wait_for_step(stand.english)
    second = asyncio.create_task(stand.classifiers.classify(["good"], ALL, soon()))
    await asyncio.sleep(0.05)
    stand.english.gate.set()
    await first
    timings = (await second).timings

    assert timings.queue_seconds > 0.04
    assert timings.inference_seconds < timings.queue_seconds


async def test_each_stage_is_observed_once_per_sequence_and_model(stand: Stand) -> None:
    await stand.classifiers.classify(["good", "bad", "좋다"], ALL, soon())

    for model in ("film-en", "film-ko"):
        for stage in ("tokenize", "queue", "inference"):
            count = read_metric(
                stand.metrics, "stage_duration_seconds_count", model=model, stage=stage
            )
            assert count == 1


async def test_tokens_read_and_written_are_counted(stand: Stand) -> None:
    options = TranslateOptions("en", "de", alternatives=2)
    await stand.translators.translate(["abc. de."], options, soon())

    def count(direction: str) -> float:
        return read_metric(stand.metrics, "tokens_total", model="words", direction=direction)

    assert count("input") == (4 + 1) + (3 + 1)
    assert count("output") == 4 + 3


async def test_classifier_writes_no_tokens(stand: Stand) -> None:
    await stand.classifiers.classify(["good"], ALL, soon())

    tokens = [
        read_metric(stand.metrics, "tokens_total", model="film-en", direction=direction)
        for direction in ("input", "output")
    ]
    assert tokens == [4, 0]


# --- over real graphs ---


@dataclass
class Tiny:
    """Both pipelines over real models."""

    classifiers: ClassifyPipeline
    translators: TranslatePipeline


@pytest.fixture
async def tiny(tiny_repository: Path) -> AsyncIterator[Tiny]:
    fields = {"models_dir": tiny_repository, "device": "cpu", "precision": "fp32"}
    settings, metrics = Settings.model_validate(fields), make_metrics()
    registry = Registry(settings, metrics)
    await registry.start()
    yield Tiny(
        ClassifyPipeline(registry, settings, metrics),
        TranslatePipeline(registry, settings, metrics),
    )
    await registry.stop()


async def test_real_models_classify_and_translate(tiny: Tiny) -> None:
    classified = await tiny.classifiers.classify(["이 영화 정말 재미있어요"], ALL, soon())
    options = TranslateOptions("auto", "ko", alternatives=1, attention=True)
    translated = await tiny.translators.translate(
        ["A man is riding a bicycle. Two."], options, soon()
    )

    assert sum(score.score for score in classified.labels[0]) == pytest.approx(1.0, abs=1e-5)
    alignments = translated.translations[0].attention
    assert alignments is not None
    assert len(alignments) == 2
    for alignment in alignments:
        assert len(alignment.weights[0]) == len(alignment.source_tokens)


async def test_real_translation_of_many_clients_is_that_of_one(tiny: Tiny) -> None:
    texts = ["A man.", "Where is the subway station?", "I see two dogs in the snow today."]
    options = TranslateOptions("en", "ko", beam_size=2)

    async def translate_one(text: str) -> str:
        return (await tiny.translators.translate([text], options, soon())).translations[0].text

    alone = [await translate_one(text) for text in texts]
    together = await asyncio.gather(*(translate_one(text) for text in texts * 5))

    assert together == alone * 5


# --- the event loop ---


@pytest.mark.parametrize(
    ("texts", "is_inline"),
    [
        (["short"], True),
        (["x" * (MAX_INLINE_CHARS + 1)], False),
        (["x"] * (MAX_INLINE_CHARS + 1), False),
    ],
)
async def test_work_on_much_text_leaves_the_event_loop(
    texts: Sequence[str], is_inline: bool
) -> None:
    thread = await offload(texts, threading.current_thread)

    assert (thread is threading.current_thread()) == is_inline


async def test_long_document_is_translated_as_a_short_one(start: MakeStand) -> None:
    stand = await start(max_batch_size=64)
    text = "Good morning.  " * (MAX_INLINE_CHARS // 10)

    assert await translate(stand, text) == text.upper()


class SlowTokenizer(ByteTokenizer):
    def encode(self, text: str) -> list[int]:
        time.sleep(0.3)
        return super().encode(text)


async def test_deadline_holds_while_a_long_text_is_encoded(stand: Stand) -> None:
    manifest = make_manifest("sentiment", "slow", languages=("fr",))
    stand.registry.serve(replace(make_model(manifest), tokenizer=SlowTokenizer()))
    started = time.monotonic()

    with pytest.raises(DeadlineExceeded):
        await stand.classifiers.classify(
            ["x" * 2000], ClassifyOptions(model="slow"), started + 0.05
        )

    assert time.monotonic() - started < 0.25


# --- streaming ---


async def collect(stand: Stand, texts: list[str], options: TranslateOptions) -> list[StreamEvent]:
    job = await stand.translators.open_job(texts, options, soon())
    return [item async for item in stand.translators.stream_job(job)]


@pytest.mark.parametrize("text_format", ["text", "html"])
async def test_stream_put_together_is_the_translation(stand: Stand, text_format: str) -> None:
    texts = ["good morning.  how are <b>you</b>?\n\nfine, thank you.", " hello\t", "\u200b. so!"]
    options = replace(TO_GERMAN, text_format=text_format)

    items = await collect(stand, texts, options)

    answer = items[-1]
    assert isinstance(answer, TranslateAnswer)
    assert items[0] == Started("words", "7")
    deltas = [item for item in items[1:-1] if isinstance(item, Delta)]
    assert len(deltas) == len(items) - 2
    for index, translation in enumerate(answer.translations):
        assert "".join(item.text for item in deltas if item.index == index) == translation.text
    expected = await stand.translators.translate(texts, options, time.monotonic() + 10.0)
    assert answer.translations == expected.translations


async def test_job_names_its_models_before_they_are_asked(stand: Stand) -> None:
    translation = await stand.translators.open_job(["one."], TO_GERMAN, soon())
    classification = await stand.classifiers.open_job(["good", "좋아요"], ALL, soon())

    assert translation.model_names == "words"
    assert classification.model_names == "film-en,film-ko"
    assert stand.translator.batches == stand.english.batches == []


async def test_stream_of_capitals_is_in_capitals(start: MakeStand) -> None:
    stand = await start(translate=hiss)

    items = await collect(stand, ["AÖ ÖE."], TO_GERMAN)

    deltas = [item.text for item in items if isinstance(item, Delta)]
    assert deltas == ["A", "SS", " ", "SS", "E", "."]


async def test_stream_gives_tokens_one_by_one(stand: Stand) -> None:
    items = await collect(stand, ["abc"], TO_GERMAN)

    assert [item.text for item in items if isinstance(item, Delta)] == ["A", "B", "C"]


async def test_stream_of_what_is_in_the_target_language_copies_it(stand: Stand) -> None:
    items = await collect(stand, ["hallo"], TranslateOptions("de", "de"))

    assert [item.text for item in items if isinstance(item, Delta)] == ["hallo"]


async def test_closed_stream_frees_the_engine(stand: Stand) -> None:
    stand.translator.gate.clear()
    job = await stand.translators.open_job(["one. two."], TO_GERMAN, soon())
    stream = stand.translators.stream_job(job)
    await anext(stream)
    await stream.aclose()
    stand.translator.gate.set()

    await stand.translators.translate(["next"], TO_GERMAN, time.monotonic() + 10.0)

    assert stand.registry.find_translator("en", "de").batcher.num_pending == 0
    assert stand.translator.num_running == 0


async def test_stream_is_refused_before_its_first_item(stand: Stand) -> None:
    job = await stand.translators.open_job(["one."], TO_GERMAN, time.monotonic() - 1.0)

    with pytest.raises(DeadlineExceeded):
        await anext(stand.translators.stream_job(job))


async def test_stream_ends_with_the_failure_of_the_engine(stand: Stand) -> None:
    stand.translator.failures = [InferenceFailed("lost")]
    with pytest.raises(InferenceFailed):
        await collect(stand, ["one. two."], TO_GERMAN)


async def test_slow_queues_refuse_before_anything_is_read(stand: Stand) -> None:
    stand.classifiers.check_wait()
    for name in ("film-en", "film-ko"):
        batcher = stand.registry.find_model(name, "sentiment").batcher
        backlog(batcher)
        if name == "film-en":
            stand.classifiers.check_wait()  # the other one would take it

    with pytest.raises(Overloaded, match="predicted"):
        stand.classifiers.check_wait()
    stand.translators.check_wait()
    assert read_metric(stand.metrics, "shed_total", model="film-en", reason="wait") == 1


def backlog(batcher: Batcher) -> None:
    """Makes a queue that has been found to be slow: a token a second."""
    for second in range(3):
        batcher._rate.observe(1, time.monotonic() + second, is_backlogged=True)
    batcher._scheduler.add([make_sequence(50)])
