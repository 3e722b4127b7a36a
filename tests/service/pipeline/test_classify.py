import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from service.answers import (
    ClassifyOptions,
)
from service.errors import (
    DeadlineExceeded,
    EmptyInput,
    InputTooLong,
    LanguageNotSupported,
    ModelNotFound,
)
from service.pipeline.classify import ClassifyPipeline
from service.repository.registry import Registry
from service.settings import Settings
from tests.fakes import (
    ByteTokenizer,
    FakeRunner,
    make_manifest,
    make_metrics,
    make_model,
    read_metric,
    score_text,
)
from tests.service.pipeline.stand import ALL, TO_GERMAN, MakeStand, Stand, Tiny, soon


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


async def test_ratings_reach_the_model_in_words_of_its_language(stand: Stand) -> None:
    await stand.classifiers.classify(["★☆☆☆☆", "별점 5점"], ALL, soon())

    texts = [
        ByteTokenizer().decode(sequence.input_ids)
        for runner in (stand.english, stand.korean)
        for batch in runner.batches
        for sequence in batch
    ]
    assert texts == ["awful", "최고예요"]


async def test_text_in_a_script_that_no_model_reads_is_refused(stand: Stand) -> None:
    with pytest.raises(LanguageNotSupported, match="cyrillic script"):
        await stand.classifiers.classify(["Привет, как дела"], ALL, soon())


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Que pelicula tan mala y aburrida", r"Spanish \(es\)"),
        ("Der Film war langweilig und schlecht.", r"German \(de\)"),
    ],
)
async def test_text_in_a_language_that_no_classifier_reads_is_refused(
    stand: Stand, text: str, language: str
) -> None:
    sentence = f"text 0 is in {language}, which no loaded model supports; the models read en, ko"
    with pytest.raises(LanguageNotSupported, match=sentence):
        await stand.classifiers.classify([text], ALL, soon())
    await stand.classifiers.classify([text], ClassifyOptions(model="film-en"), soon())


async def test_named_model_overrides_the_language(stand: Stand) -> None:
    options = ClassifyOptions(model="film-ko")

    answer = await stand.classifiers.classify(["a good film!"], options, soon())

    assert answer.model_name == "film-ko"


async def test_unknown_model_is_told_with_those_that_exist(stand: Stand) -> None:
    with pytest.raises(ModelNotFound, match="'bert'; there are film-en, film-ko"):
        await stand.classifiers.classify(["good"], ClassifyOptions(model="bert"), soon())


async def test_server_without_classifiers_says_so(tmp_path: Path) -> None:
    settings, metrics = Settings(models_dir=tmp_path), make_metrics()
    pipeline = ClassifyPipeline(Registry(settings, metrics), settings, metrics)

    with pytest.raises(ModelNotFound, match=r"answers by default; .* there are none"):
        await pipeline.classify(["good"], ALL, soon())


async def test_text_without_tokens_is_refused_by_a_classifier(stand: Stand) -> None:
    with pytest.raises(EmptyInput, match="nothing to classify; send at least one"):
        await stand.classifiers.classify(["\u200b"], ALL, soon())


class SlowTokenizer(ByteTokenizer):
    def encode(self, text: str) -> list[int]:
        time.sleep(0.3)
        return super().encode(text)


async def test_deadline_holds_while_a_long_text_is_encoded(stand: Stand) -> None:
    manifest = make_manifest("classification", "slow", languages=("fr",))
    stand.registry.serve(replace(make_model(manifest), tokenizer=SlowTokenizer()))
    started = time.monotonic()

    with pytest.raises(DeadlineExceeded):
        await stand.classifiers.classify(
            ["x" * 2000], ClassifyOptions(model="slow"), started + 0.05
        )

    assert time.monotonic() - started < 0.25


async def test_job_names_its_models_before_they_are_asked(stand: Stand) -> None:
    translation = await stand.translators.open_job(["one."], TO_GERMAN, soon())
    classification = await stand.classifiers.open_job(["good", "좋아요"], ALL, soon())

    assert translation.model_names == "words"
    assert classification.model_names == "film-en,film-ko"
    assert stand.translator.batches == stand.english.batches == []


async def test_classifier_writes_no_tokens(stand: Stand) -> None:
    await stand.classifiers.classify(["good"], ALL, soon())

    tokens = [
        read_metric(stand.metrics, "tokens_total", model="film-en", direction=direction)
        for direction in ("input", "output")
    ]
    assert tokens == [4, 0]


@pytest.mark.parametrize(
    "text", ["정말 재미\n\n\n", " " * 3000 + "정말 재미", "정말 \t\n 재미", "정\u00ad말 재미"]
)
async def test_layout_does_not_change_a_classification(tiny: Tiny, text: str) -> None:
    answer = await tiny.classifiers.classify(["정말 재미", text], ALL, soon())

    assert answer.labels[1] == answer.labels[0]


@pytest.mark.parametrize(
    ("options", "read"),
    [
        (ClassifyOptions(truncate="end"), "0123456789"),
        (ClassifyOptions(truncate="start"), "23456789!!"),
        (ClassifyOptions(truncate="end", max_length=4), "0123"),
        (ClassifyOptions(truncate="end", max_length=500), "0123456789"),
    ],
)
async def test_long_text_is_cut_if_asked_for(
    short: Stand, options: ClassifyOptions, read: str
) -> None:
    answer = await short.classifiers.classify(["0123456789!!", "ab"], options, soon())

    cut, whole = answer.classifications
    sequence = short.english.batches[0][0]
    assert ByteTokenizer().decode(sequence.input_ids) == read
    assert (cut.num_tokens, cut.is_truncated) == (len(read), True)
    assert (whole.num_tokens, whole.is_truncated) == (2, False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ALL, "12 tokens, above the limit of 10 of model film-en; truncate or split it"),
        (ClassifyOptions(max_length=500), "12 tokens, above the limit of 10 of model film-en"),
        (ClassifyOptions(max_length=4), "12 tokens, above the limit of 10 of model film-en"),
    ],
)
async def test_long_text_is_refused_otherwise(
    short: Stand, options: ClassifyOptions, message: str
) -> None:
    with pytest.raises(InputTooLong, match=message):
        await short.classifiers.classify(["0123456789!!"], options, soon())


async def test_max_length_is_a_limit_of_its_own(stand: Stand) -> None:
    with pytest.raises(InputTooLong, match="3 tokens, above the max_length of 2; truncate or"):
        await stand.classifiers.classify(["abc"], ClassifyOptions(max_length=2), soon())


async def test_explanation_weighs_each_token_for_the_label(stand: Stand) -> None:
    answer = await stand.classifiers.classify(["ab!!"], ClassifyOptions(explain=True), soon())

    (found,) = answer.classifications
    attributions = found.attributions
    assert attributions is not None
    assert [(each.text, each.start, each.end) for each in attributions] == [
        *(("a", 0, 1), ("b", 1, 2), ("!", 2, 3), ("!", 3, 4))
    ]
    assert attributions[0].weight == attributions[1].weight == 0.0
    assert attributions[2].weight == attributions[3].weight > 0.0
    assert sum(map(len, stand.english.batches)) == 5


async def test_explanation_is_of_what_was_read(short: Stand) -> None:
    options = ClassifyOptions(explain=True, truncate="start", max_length=3)

    answer = await short.classifiers.classify(["0123456789!!"], options, soon())

    attributions = answer.classifications[0].attributions
    assert attributions is not None
    assert [(each.text, each.start) for each in attributions] == [("9", 9), ("!", 10), ("!", 11)]


async def test_explanation_shows_ratings_as_they_were_sent(stand: Stand) -> None:
    text = "★☆☆☆☆ ab. 5/5"

    answer = await stand.classifiers.classify([text], ClassifyOptions(explain=True), soon())

    attributions = answer.classifications[0].attributions
    assert attributions is not None
    assert [each.text for each in attributions if each.text.strip()] == ["★☆☆☆☆", *"ab.", "5/5"]


async def test_explanation_that_takes_too_long_is_refused(start: MakeStand) -> None:
    stand = await start(max_explain_tokens=12)
    options = ClassifyOptions(explain=True)

    await stand.classifiers.classify(["0123"], options, soon())
    with pytest.raises(InputTooLong, match="14 tokens would be read again, above the limit of 12"):
        await stand.classifiers.classify(["0123", "01"], options, soon())
    await stand.classifiers.classify(["0123456789"], ALL, soon())


async def test_real_model_is_explained_in_the_texts_own_characters(tiny: Tiny) -> None:
    text = "  정\u00ad말   재미 😀 있어요\n"

    answer = await tiny.classifiers.classify([text], ClassifyOptions(explain=True), soon())

    attributions = answer.classifications[0].attributions
    assert attributions is not None
    stretches = [(each.start, each.end) for each in attributions]
    assert all(text[each.start : each.end] == each.text for each in attributions)
    assert all(start < end for start, end in stretches)
    assert all(end <= start for (_, end), (start, _) in pairwise(stretches))
    assert "".join(each.text for each in attributions).replace("\u00ad", "") == "정말재미😀있어요"


@pytest.fixture
async def letters(stand: Stand) -> FakeRunner:
    """The runner of a classifier of letters, spam or not, which answers only when named."""
    runner = FakeRunner(score_text)
    manifest = make_manifest(
        name="a-letter-en", labels=("ham", "spam"), purpose="spam", answers_by_default=False
    )
    stand.registry.serve(make_model(manifest, runner))
    return runner


async def test_model_that_answers_only_when_named_changes_no_other_answer(
    stand: Stand, letters: FakeRunner
) -> None:
    unnamed = await stand.classifiers.classify(["good!"], ALL, soon())
    named = await stand.classifiers.classify(
        ["good!"], ClassifyOptions(model="a-letter-en"), soon()
    )

    assert (unnamed.model_name, unnamed.labels[0][0].label) == ("film-en", "positive")
    assert (named.model_name, named.labels[0][0].label) == ("a-letter-en", "spam")


async def test_ratings_are_left_to_models_of_other_purposes_as_they_are(
    stand: Stand, letters: FakeRunner
) -> None:
    await stand.classifiers.classify(["5/5"], ClassifyOptions(model="a-letter-en"), soon())

    ((sequence,),) = letters.batches
    assert ByteTokenizer().decode(sequence.input_ids) == "5/5"


async def test_server_whose_classifiers_answer_only_when_named_lists_them(tmp_path: Path) -> None:
    settings, metrics = Settings(models_dir=tmp_path), make_metrics()
    registry = Registry(settings, metrics)
    registry.serve(make_model(make_manifest(name="spam-en", answers_by_default=False)))
    pipeline = ClassifyPipeline(registry, settings, metrics)

    with pytest.raises(ModelNotFound, match=r"name one as `parameters.model`; there are spam-en"):
        await pipeline.classify(["good"], ALL, soon())
    await registry.stop()
