import asyncio
import time
from dataclasses import replace

import pytest

from service.answers import (
    Delta,
    Started,
    StreamEvent,
    TranslateAnswer,
    TranslateOptions,
)
from service.errors import (
    DeadlineExceeded,
    EmptyInput,
    InferenceFailed,
    InputTooLong,
    InvalidInput,
    LanguageNotSupported,
    ModelNotFound,
)
from tests.service.pipeline.stand import (
    ALL,
    HTML,
    TO_GERMAN,
    MakeStand,
    Stand,
    Tiny,
    hiss,
    soon,
    translate,
)


async def test_several_texts_keep_their_order(stand: Stand) -> None:
    texts = [f"text {number}. and more." for number in range(20)]

    answer = await stand.translators.translate(texts, TO_GERMAN, soon())

    assert [one.text for one in answer.translations] == [text.upper() for text in texts]
    assert (answer.model_name, answer.model_version) == ("words", "7")


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


async def test_language_that_no_model_reads_is_refused_by_name(stand: Stand) -> None:
    texts = ["Where is the station?", "Ce film est une perte de temps."]

    with pytest.raises(
        LanguageNotSupported,
        match=(
            r"text 1 is in French \(fr\), which no loaded model supports; the models read en, de; "
            "name"
        ),
    ):
        await stand.translators.translate(texts, TranslateOptions("auto", "de"), soon())
    await stand.translators.translate(texts, TO_GERMAN, soon())


async def test_short_texts_are_in_the_language_of_their_neighbours(stand: Stand) -> None:
    texts = ["Hallo", "<p>Die Kinder <b>spielen</b> im Garten.</p>", "Ja"]
    options = TranslateOptions("auto", "en", text_format="html")

    answer = await stand.translators.translate(texts, options, soon())

    assert [one.detected.language for one in answer.translations if one.detected] == ["de"] * 3
    assert answer.translations[2].text == "JA"


async def test_text_in_the_target_language_is_copied(stand: Stand) -> None:
    options = TranslateOptions("de", "de", attention=True, alternatives=1)

    answer = await stand.translators.translate([" so, wie es ist.\n"], options, soon())

    (translation,) = answer.translations
    assert (translation.text, translation.alternatives) == (" so, wie es ist.\n", [])
    assert (translation.attention, answer.model_name) == ([], "")
    assert stand.translator.batches == []


@pytest.mark.parametrize(("source", "target"), [("en", "fr"), ("xx", "de"), ("xx", "xx")])
async def test_unknown_direction_is_refused(stand: Stand, source: str, target: str) -> None:
    with pytest.raises(ModelNotFound, match=f"from {source} to {target}; there are en-de, de-en"):
        await translate(stand, "hello", TranslateOptions(source, target))


@pytest.mark.parametrize(
    ("source", "target"), [("EN", "DE"), ("en-US", "de_DE"), ("en_GB", "De-at"), ("AUTO", "DE")]
)
async def test_codes_may_have_a_region_and_any_case(stand: Stand, source: str, target: str) -> None:
    options = TranslateOptions(source, target)

    assert await translate(stand, "Where is the station?", options) == "WHERE IS THE STATION?"


async def test_source_is_detected_however_auto_is_spelt(stand: Stand) -> None:
    text = "The weather is nice today."

    answer = await stand.translators.translate([text], TranslateOptions("Auto", "de"), soon())

    detected = answer.translations[0].detected
    assert detected is not None
    assert detected.language == "en"


async def test_text_in_the_target_language_is_copied_whatever_its_region(stand: Stand) -> None:
    assert await translate(stand, "so ist es", TranslateOptions("de-AT", "de_CH")) == "so ist es"


async def test_script_that_no_model_writes_is_refused_with_those_served(stand: Stand) -> None:
    with pytest.raises(ModelNotFound, match="from en to zh-Hant; there are en-de, de-en"):
        await translate(stand, "hello", TranslateOptions("en", "zh-Hant"))


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


async def test_languages_list_their_targets_and_themselves(start: MakeStand) -> None:
    stand = await start(pairs=(("en", "de"), ("en", "ko"), ("ko", "en")))

    found = [(one.code, one.name, one.targets) for one in stand.translators.languages()]

    assert found == [("en", "English", ["de", "en", "ko"]), ("ko", "Korean", ["de", "en", "ko"])]


async def test_detection_ranks_the_languages_served_and_others(stand: Stand) -> None:
    found = stand.translators.detect("Das ist ein schöner Tag, und wir gehen spazieren.")

    assert [one.language for one in found][:2] == ["de", "en"]
    assert found[0].confidence > 50.0
    assert stand.translators.detect("Je ne sais pas où est la gare.")[0].language == "fr"


async def test_blank_text_among_others_comes_back_as_it_is(stand: Stand) -> None:
    for options in (TO_GERMAN, TranslateOptions("auto", "de"), HTML):
        answer = await stand.translators.translate(["one", "", " \n"], options, soon())
        assert [one.text for one in answer.translations] == ["ONE", "", " \n"]
    with pytest.raises(EmptyInput, match="text 0 is empty"):
        await stand.translators.translate(["", " "], TO_GERMAN, soon())


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


async def test_stream_of_capitals_is_in_capitals(start: MakeStand) -> None:
    stand = await start(translate=hiss)

    items = await collect(stand, ["AÖ ÖE."], TO_GERMAN)

    deltas = [item.text for item in items if isinstance(item, Delta)]
    assert deltas == ["A", "SS", " SS", "E", "."]


async def test_stream_gives_tokens_one_by_one(stand: Stand) -> None:
    items = await collect(stand, ["Ab c"], TO_GERMAN)

    assert [item.text for item in items if isinstance(item, Delta)] == ["A", "B", " C"]


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

    assert stand.registry.find_model("words", "translation").batcher.num_pending == 0
    assert stand.translator.num_running == 0


async def test_stream_is_refused_before_its_first_item(stand: Stand) -> None:
    job = await stand.translators.open_job(["one."], TO_GERMAN, time.monotonic() - 1.0)

    with pytest.raises(DeadlineExceeded):
        await anext(stand.translators.stream_job(job))


async def test_stream_ends_with_the_failure_of_the_engine(stand: Stand) -> None:
    stand.translator.failures = [InferenceFailed("lost")]
    with pytest.raises(InferenceFailed):
        await collect(stand, ["one. two."], TO_GERMAN)


async def test_soft_hyphens_do_not_change_a_translation(tiny: Tiny) -> None:
    options = TranslateOptions("en", "ko", beam_size=1)
    texts = ["Two dogs are playing.", "Two dogs are play\u00ading."]

    plain, hyphenated = (await tiny.translators.translate(texts, options, soon())).translations

    assert hyphenated.text.replace("\u00ad", "") == plain.text
