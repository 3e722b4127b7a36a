"""What must pass through a translation unchanged, and what a request may ask of it."""

from dataclasses import replace

import pytest

from service.answers import Delta, TranslateAnswer, TranslateOptions
from service.engine.batch import Hypothesis, Result, TokenSequence
from service.errors import GlossaryNotFound, InvalidInput
from service.pipeline.translation.translate import TranslatePipeline
from service.repository.glossaries import Glossaries, Glossary
from service.repository.manifest import ScoreFit, SpecialIds
from service.text.masking.masks import MASKS
from service.text.masking.terms import Terms
from tests.fakes import (
    EOS_ID,
    PAD_ID,
    ByteTokenizer,
    make_manifest,
    make_model,
    read_metric,
    shout,
)
from tests.service.pipeline.stand import HTML, TO_GERMAN, MakeStand, Stand, soon, translate

TOKENIZER = ByteTokenizer()
LEVEL_IDS = {"de": {"formal": 6, "casual": 7}}


def read(sequence: TokenSequence) -> str:
    return TOKENIZER.decode(sequence.input_ids)


def answer(*translations: str) -> list[Hypothesis]:
    return [
        Hypothesis(TOKENIZER.encode(text), -0.1 * (rank + 1))
        for rank, text in enumerate(translations)
    ]


async def serve_masks(stand: Stand, **fields: object) -> Stand:
    """The stand with a translator that knows masks."""
    await stand.registry.find_model("words", "translation").batcher.stop(1.0)
    manifest = make_manifest("translation", "words", masks=MASKS, **fields)
    stand.registry.serve(make_model(manifest, stand.translator))
    return stand


@pytest.fixture
async def masked(start: MakeStand) -> Stand:
    return await serve_masks(await start())


def list_texts(stand: Stand) -> list[str]:
    return [read(sequence) for batch in stand.translator.batches for sequence in batch]


@pytest.mark.parametrize(
    ("text", "expected", "read"),
    [
        ("hello {name}, hi!", "HELLO {name}, HI!", ["hello \ue008, hi!"]),
        ("it costs $5.80 or 7,20 €.", "IT COSTS $5.80 OR 7,20 €.", ["it costs \ue000 or \ue001."]),
        ("see https://a.org/b?c=1.", "SEE https://a.org/b?c=1.", ["see \ue008."]),
        ("good job 👍", "GOOD JOB 👍", ["good job"]),
        ("click <0>here</0>", "CLICK <0>HERE</0>", ["click here"]),
        ("# a b\n- c", "# A B\n- C", ["a b", "c"]),
        ("a\tb c", "A\tB C", ["a", "b c"]),
        ("a  b\u00a0c", "A B C", ["a b c"]),
    ],
)
async def test_placeables_pass_by_the_model(
    masked: Stand, text: str, expected: str, read: list[str]
) -> None:
    assert await translate(masked, text) == expected
    assert list_texts(masked) == read


@pytest.mark.parametrize(
    "text", ["😀", "2024", "1", "—", "...", ":)", "{x}", "https://a.org", "1.\n2."]
)
async def test_text_without_words_is_copied_without_the_engine(masked: Stand, text: str) -> None:
    assert await translate(masked, text) == text
    assert masked.translator.batches == []


async def test_model_without_masks_reads_what_is_between_placeables(stand: Stand) -> None:
    assert await translate(stand, "hello {name}, see a.org") == "HELLO {name}, SEE a.org"


async def test_sentence_with_more_placeables_than_masks_is_cut_around_them(masked: Stand) -> None:
    text = "a " + " b ".join(f"{{x{index}}}" for index in range(9))

    assert await translate(masked, text) == text.replace("a ", "A ").replace(" b ", " B ")


async def test_kept_elements_and_notes_stay_in_their_sentence(masked: Stand) -> None:
    page = 'hello <span translate="no">%s</span>, a <!-- n -->dog<sup><a href="#">1</a></sup>'

    assert await translate(masked, page, HTML) == (
        'HELLO <span translate="no">%s</span>, A <!-- n -->DOG<sup><a href="#">1</a></sup>'
    )
    assert list_texts(masked) == ["hello \ue008, a dog"]


async def test_line_end_in_a_page_is_a_space_but_not_in_preformatted_text(masked: Stand) -> None:
    page = "<p>a b\nc</p><pre>a b\nc</pre>"

    assert await translate(masked, page, HTML) == "<p>A B C</p><pre>A B\nC</pre>"


async def test_next_hypothesis_is_taken_if_the_first_has_lost_a_mask(start: MakeStand) -> None:
    def lose(sequence: TokenSequence) -> Result:
        return answer("A.", "B \ue000 \ue000.", "C \ue000.")

    masked = await serve_masks(await start(translate=lose))

    assert await translate(masked, "it is 12:30.", replace(TO_GERMAN, beam_size=3)) == "C 12:30."


async def test_sentence_is_read_again_around_a_mask_that_all_have_lost(start: MakeStand) -> None:
    def lose(sequence: TokenSequence) -> Result:
        return answer(read(sequence).upper().replace("\ue000", ""))

    masked = await serve_masks(await start(translate=lose))

    assert await translate(masked, "it is 12:30 now. bye.") == "IT IS 12:30 NOW. BYE."
    assert list_texts(masked) == ["it is \ue000 now.", "bye.", "it is", "now."]


async def test_tokens_of_the_second_reading_are_counted(start: MakeStand) -> None:
    def lose(sequence: TokenSequence) -> Result:
        return answer(read(sequence).upper().replace("\ue000", ""))

    masked = await serve_masks(await start(translate=lose))
    await translate(masked, "it is 12:30 now.")

    def count(direction: str) -> float:
        return read_metric(masked.metrics, "tokens_total", model="words", direction=direction)

    num_read = sum(sequence.num_tokens for batch in masked.translator.batches for sequence in batch)
    assert count("input") == num_read
    assert count("output") == sum(len(text) for text in ("IT IS  NOW.", "IT IS", "NOW."))


async def test_figure_that_changed_is_masked_in_the_second_reading(start: MakeStand) -> None:
    def miscount(sequence: TokenSequence) -> Result:
        return answer(read(sequence).upper().replace("3", "4"))

    masked = await serve_masks(await start(translate=miscount))

    assert await translate(masked, "i have 3 dogs.") == "I HAVE 3 DOGS."


async def test_figure_may_become_a_word(start: MakeStand) -> None:
    def spell(sequence: TokenSequence) -> Result:
        return answer(read(sequence).upper().replace("3", "DREI"))

    masked = await serve_masks(await start(translate=spell))

    assert await translate(masked, "i have 3 dogs.") == "I HAVE DREI DOGS."


@pytest.mark.parametrize(
    ("text", "masked_text", "again", "translation"),
    [
        ("platform 4", "platform \ue000", "NUR \ue000", "NUR 4"),
        ("platform 4", "platform \ue000", "WEITER", "NICHTS"),
        (
            *("three hundred fifty of 12 people", "\ue000 of \ue001 people"),
            *("NUR \ue000 VON \ue001", "NUR 350 VON 12"),
        ),
        (
            *("three hundred fifty of 12 people", "\ue000 of \ue001 people"),
            *("WEITER", "NICHTS"),
        ),
    ],
)
async def test_number_that_was_lost_is_masked_and_else_stays_lost(
    start: MakeStand, text: str, masked_text: str, again: str, translation: str
) -> None:
    masked = await serve_masks(
        await start(
            translate=lambda sequence: answer(again if "\ue000" in read(sequence) else "NICHTS")
        )
    )

    assert await translate(masked, text) == translation
    assert list_texts(masked) == [text, masked_text]


async def test_hypothesis_with_the_number_in_words_is_taken(start: MakeStand) -> None:
    masked = await serve_masks(
        await start(translate=lambda _: answer("Zweihundert Leute", "Dreihundertzwei Leute"))
    )

    assert await translate(masked, "three hundred two people") == "Dreihundertzwei Leute"


@pytest.mark.parametrize("text", ["um halb drei", "um halb 3"])
async def test_half_hour_is_not_an_hour_off(start: MakeStand, text: str) -> None:
    def misread(sequence: TokenSequence) -> Result:
        return answer("at half past 3", f"at {read(sequence)[3:]}")

    masked = await serve_masks(await start(translate=misread))

    assert await translate(masked, text, TranslateOptions("de", "en")) == "at 2:30"


async def test_number_in_words_alone_is_shown_in_figures(start: MakeStand) -> None:
    masked = await serve_masks(await start(translate=lambda _: answer("NICHTS")))
    options = replace(TO_GERMAN, source="de", target="en")

    assert await translate(masked, "dreihundertfünfzig", options) == "350"


async def test_time_of_day_is_said_as_in_the_target_language(masked: Stand) -> None:
    assert await translate(masked, "the train leaves at 6:45 pm") == "THE TRAIN LEAVES AT 18:45 Uhr"
    assert list_texts(masked) == ["the train leaves at \ue000 pm"]


async def test_sentence_whose_times_all_hypotheses_lose_is_read_in_halves(start: MakeStand) -> None:
    def lose(sequence: TokenSequence) -> Result:
        text = read(sequence)
        kept = text if text.count("\ue001") == 0 else text.replace("\ue001", "\ue000")
        return [Hypothesis(TOKENIZER.encode(kept.upper()), -0.1)]

    masked = await serve_masks(await start(translate=lose))

    assert await translate(masked, "monday at 10 am, or friday at 3 pm") == (
        "MONDAY AT 10 Uhr, OR FRIDAY AT 15 Uhr"
    )
    assert list_texts(masked)[1:] == ["monday at \ue000 am,", "or friday at \ue000 pm"]


async def test_ordinals_in_english_get_their_endings(start: MakeStand) -> None:
    stand = await start(translate=lambda _: [Hypothesis(TOKENIZER.encode("the 2th floor"), -0.1)])

    assert await translate(stand, "im 2. Stock", TranslateOptions("de", "en")) == "the 2nd floor"


async def test_model_without_masks_reads_times_as_they_are(stand: Stand) -> None:
    assert await translate(stand, "at 3 pm") == "AT 3 PM"


async def test_answer_without_letters_is_replaced_by_the_text(start: MakeStand) -> None:
    masked = await serve_masks(await start(translate=lambda _: answer(".", "", "!")))

    assert await translate(masked, "hello") == "hello"


async def test_first_hypothesis_with_letters_is_taken(start: MakeStand) -> None:
    masked = await serve_masks(await start(translate=lambda _: answer(".", "", "Wasser.")))

    assert await translate(masked, "water") == "Wasser"


async def test_stream_gives_what_the_answer_has(start: MakeStand) -> None:
    def lose(sequence: TokenSequence) -> Result:
        return answer(read(sequence).upper().replace("\ue000", ""))

    masked = await serve_masks(await start(translate=lose))
    pipeline: TranslatePipeline = masked.translators
    job = await pipeline.open_job(["hello you. it is 12:30 now. bye!"], TO_GERMAN, soon())

    items = [item async for item in pipeline.stream_job(job)]

    text = "".join(item.text for item in items if isinstance(item, Delta))
    assert text == "HELLO YOU. IT IS 12:30 NOW. BYE!"
    assert isinstance(items[-1], TranslateAnswer)
    assert items[-1].translations[0].text == text


async def test_terms_are_given_or_kept(masked: Stand) -> None:
    terms = {"dog": "Mops", "Foo": "Foo"}
    options = replace(TO_GERMAN, terms=terms)

    assert await translate(masked, "the dog of Foo", options) == "THE Mops OF Foo"
    assert await translate(masked, "Dog", options) == "Mops"
    assert await translate(masked, "dogs", options) == "DOGS"


@pytest.mark.parametrize(
    ("text", "expected", "read"),
    [
        ("pls call u", "PLEASE CALL YOU", ["please call you"]),
        ("<b>pls</b> go", "<b>PLEASE</b> GO", ["please go"]),
        ("go to pls.org pls", "GO TO pls.org PLEASE", ["go to \ue008 please"]),
        ("open Mon-Fri", "OPEN Mo-Fr", ["open \ue008"]),
    ],
)
async def test_abbreviations_are_read_in_full(
    masked: Stand, text: str, expected: str, read: list[str]
) -> None:
    assert await translate(masked, text, HTML) == expected
    assert list_texts(masked) == read


async def test_set_phrase_has_its_translation_beside_sentences_of_the_model(masked: Stand) -> None:
    assert await translate(masked, "Sign in. hello.") == "Anmelden. HELLO."
    assert await translate(masked, "<p>Sign in</p><p><b>Sign</b> in</p>", HTML) == (
        "<p>Anmelden</p><p><b>SIGN</b> IN</p>"
    )
    options = replace(TO_GERMAN, terms={"sign": "Zeichen"})
    assert await translate(masked, "Sign in", options) == "Zeichen IN"


@pytest.mark.parametrize(
    ("text", "formality", "expected"),
    [
        ("You have a new follower.", "more", "Sie haben einen neuen Follower."),
        ("You have a new follower.", "less", "Du hast einen neuen Follower."),
        ("Your cart is empty.", "less", "Ihr Warenkorb ist leer."),  # the table has this one alone
    ],
)
async def test_set_phrase_is_at_the_level_asked_for(
    start: MakeStand, text: str, formality: str, expected: str
) -> None:
    ids = SpecialIds(
        pad_id=PAD_ID, eos_id=EOS_ID, start_ids={"en": 3, "de": 4}, level_ids=LEVEL_IDS
    )
    stand = await serve_masks(await start(), ids=ids)
    options = replace(TO_GERMAN, formality=formality)

    assert await translate(stand, text, options) == expected


async def test_terms_hold_without_masks(stand: Stand) -> None:
    options = replace(TO_GERMAN, terms={"dog": "Mops"})

    assert await translate(stand, "the dog runs", options) == "THE Mops RUNS"


def add_glossary(stand: Stand) -> None:
    """Terms from English to German."""
    terms = {("en", "de"): Terms({"dog": "Mops", "cat": "Katze"})}
    stand.registry.glossaries = Glossaries([Glossary("animals", terms)])


async def test_terms_of_a_named_glossary_are_given(masked: Stand) -> None:
    add_glossary(masked)
    options = replace(TO_GERMAN, source="en-US", glossary="animals")

    assert await translate(masked, "the dog", options) == "THE Mops"
    own = replace(options, terms={"dog": "dog", "ox": "Ochse"})
    assert await translate(masked, "dog, cat and ox", own) == "dog, Katze AND Ochse"
    assert await translate(masked, "the dog") == "THE DOG"


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"glossary": "plants"}, GlossaryNotFound, "no glossary is called 'plants'"),
        ({"source": "de", "target": "en"}, GlossaryNotFound, "from de to en; it has en-de"),
        ({"source": "auto"}, InvalidInput, "name the source"),
    ],
)
async def test_glossary_that_does_not_fit_is_refused(
    fields: dict[str, str], error: type[Exception], message: str, stand: Stand
) -> None:
    add_glossary(stand)
    options = replace(TO_GERMAN, **{"glossary": "animals", **fields})  # type: ignore[arg-type]

    with pytest.raises(error, match=message):
        await translate(stand, "the dog", options)


async def test_too_many_terms_are_refused(start: MakeStand) -> None:
    stand = await start(max_terms=1)
    options = replace(TO_GERMAN, terms={"a": "b", "c": "d"})

    with pytest.raises(InvalidInput, match="2 terms, above the limit of 1"):
        await translate(stand, "a", options)


@pytest.mark.parametrize(
    ("formality", "start_id"),
    [("default", 4), ("more", 6), ("less", 7), ("prefer_more", 6), ("prefer_less", 7)],
)
async def test_formality_chooses_the_start_token(
    start: MakeStand, formality: str, start_id: int
) -> None:
    ids = SpecialIds(
        pad_id=PAD_ID, eos_id=EOS_ID, start_ids={"en": 3, "de": 4}, level_ids=LEVEL_IDS
    )
    masked = await serve_masks(await start(), ids=ids)

    await translate(masked, "hello", replace(TO_GERMAN, formality=formality))

    assert [each.start_id for batch in masked.translator.batches for each in batch] == [start_id]


@pytest.mark.parametrize(
    ("formality", "found", "expected"),
    [
        ("more", ["Kannst du das?", "Können Sie das?"], "Können Sie das?"),
        ("prefer_less", ["Können Sie das?", "Kannst du das?"], "Kannst du das?"),
        ("default", ["Kannst du das?", "Können Sie das?"], "Kannst du das?"),
        ("more", ["Geht das?", "Können Sie das?"], "Geht das?"),  # tells no level
        ("more", ["Kannst du das?", "Willst du das?"], "Kannst du das?"),
    ],
)
async def test_hypotheses_at_the_level_asked_for_come_first(
    start: MakeStand, formality: str, found: list[str], expected: str
) -> None:
    ids = SpecialIds(
        pad_id=PAD_ID, eos_id=EOS_ID, start_ids={"en": 3, "de": 4}, level_ids=LEVEL_IDS
    )
    stand = await serve_masks(await start(translate=lambda _: answer(*found)), ids=ids)
    options = replace(TO_GERMAN, formality=formality, alternatives=1)

    result = await stand.translators.translate(["can you?"], options, soon())

    (translation,) = result.translations
    assert translation.text == expected
    assert translation.alternatives == [each for each in found if each != expected]


def address(sequence: TokenSequence) -> Result:
    """A translation at the level that is asked for; without one, as the text says."""
    text = read(sequence)
    is_casual = sequence.start_id == 7 or (sequence.start_id != 6 and "buddy" in text)
    return answer(("bist du da? " if is_casual else "sind Sie da? ") + text)


async def serve_levels(start: MakeStand) -> Stand:
    ids = SpecialIds(
        pad_id=PAD_ID, eos_id=EOS_ID, start_ids={"en": 3, "de": 4}, level_ids=LEVEL_IDS
    )
    return await serve_masks(await start(translate=address), ids=ids)


@pytest.mark.parametrize(
    ("text", "expected", "num_read"),
    [
        # most sentences say Sie
        ("one. buddy! two.", "sind Sie da? one. sind Sie da? buddy! sind Sie da? two.", 4),
        # the text asks for one of them
        ("Hey! one. two.", "bist du da? Hey! bist du da? one. bist du da? two.", 6),
        ("Dear Sir,\none buddy.", "sind Sie da? Dear Sir,\nsind Sie da? one buddy.", 3),
        # there is nothing to choose
        ("one. two.", "sind Sie da? one. sind Sie da? two.", 2),
        ("one buddy.", "bist du da? one buddy.", 1),
    ],
)
async def test_sentences_of_a_text_are_at_one_level(
    start: MakeStand, text: str, expected: str, num_read: int
) -> None:
    stand = await serve_levels(start)

    assert await translate(stand, text) == expected
    assert len(list_texts(stand)) == num_read


async def test_level_that_is_asked_for_counts_more_than_the_text(start: MakeStand) -> None:
    stand = await serve_levels(start)
    options = replace(TO_GERMAN, formality="less")

    assert await translate(stand, "Dear Sir,\none.", options) == (
        "bist du da? Dear Sir,\nbist du da? one."
    )
    assert len(list_texts(stand)) == 2


async def test_stream_is_at_the_level_that_its_text_asks_for(start: MakeStand) -> None:
    stand = await serve_levels(start)
    job = await stand.translators.open_job(["Hey! one."], TO_GERMAN, soon())

    items = [item async for item in stand.translators.stream_job(job)]

    text = "".join(item.text for item in items if isinstance(item, Delta))
    assert text == "bist du da? Hey! bist du da? one."


async def test_formality_is_refused_where_a_language_has_none(stand: Stand) -> None:
    with pytest.raises(InvalidInput, match="formality is more, but model words"):
        await translate(stand, "hello", replace(TO_GERMAN, formality="more"))
    assert await translate(stand, "hello", replace(TO_GERMAN, formality="prefer_more")) == "HELLO"


@pytest.mark.parametrize(
    ("setting", "wish", "source_start_id"),
    [(True, None, 5), (True, False, None), (False, None, None), (False, True, 5)],
)
async def test_translations_are_reranked_unless_said_otherwise(
    start: MakeStand, setting: bool, wish: bool | None, source_start_id: int | None
) -> None:
    ids = SpecialIds(
        pad_id=PAD_ID,
        eos_id=EOS_ID,
        start_ids={"en": 3, "de": 4},
        neutral_ids={"en": 5, "de": 4},
    )
    masked = await serve_masks(await start(rerank=setting), ids=ids)

    await translate(masked, "hello", replace(TO_GERMAN, rerank=wish))

    ((sequence,),) = masked.translator.batches
    assert sequence.search is not None
    assert sequence.search.source_start_id == source_start_id


async def test_reranking_is_refused_where_a_model_cannot(stand: Stand) -> None:
    with pytest.raises(InvalidInput, match="rerank is true, but model words has no graph"):
        await translate(stand, "hello", replace(TO_GERMAN, rerank=True))
    assert await translate(stand, "hello", replace(TO_GERMAN, rerank=False)) == "HELLO"


FIT = ScoreFit(
    pair="en-de", slope=1.0, intercept=0.0, data="made up", num_sentences=9, threshold=45, auc=0.9
)


async def test_score_is_that_of_the_worst_sentence(start: MakeStand) -> None:
    def doubt(sequence: TokenSequence) -> Result:
        (first, *_) = shout(sequence)
        return [replace(first, score=-2.0 if "bad" in read(sequence) else 0.0)]

    masked = await serve_masks(await start(translate=doubt), score_fits=(FIT,))

    found = await masked.translators.translate(
        ["good.", "good. bad.", "12:30"], replace(TO_GERMAN, min_score=0.3), soon()
    )

    assert [each.score for each in found.translations] == pytest.approx(
        [0.5, 0.1192, 1.0], abs=1e-4
    )
    assert [each.text for each in found.translations] == ["GOOD.", "good. bad.", "12:30"]
    assert [each.is_unsure for each in found.translations] == [False, True, False]


async def test_sentence_that_is_too_long_is_cut_between_clauses(short: Stand) -> None:
    assert await translate(short, "a b c, d e f") == "A B C, D E F"
    assert list_texts(short) == ["a b c,", "d e f"]


async def test_word_alone_is_read_as_an_utterance_if_the_model_doubts_it(start: MakeStand) -> None:
    scores = {"hello": -2.0, "Hello.": -0.1, "cat": -0.5, "Cat.": -9.0, "dog": 3.0}

    def doubt(sequence: TokenSequence) -> Result:
        (first, *_) = shout(sequence)
        return [replace(first, score=scores[read(sequence)])]

    masked = await serve_masks(await start(translate=doubt), score_fits=(FIT,))

    assert [await translate(masked, text) for text in ("hello", "cat", "dog")] == [
        "HELLO",
        "CAT",
        "DOG",
    ]
    assert list_texts(masked) == ["hello", "Hello.", "cat", "Cat.", "dog"]


async def test_word_alone_with_a_capital_is_read_in_small_letters_if_the_model_doubts_it(
    start: MakeStand,
) -> None:
    scores = {"Onion": -2.0, "onion": -0.1, "Cat": -0.5, "cat": -9.0, "Dog": 3.0}

    def doubt(sequence: TokenSequence) -> Result:
        text = read(sequence)
        return [Hypothesis(TOKENIZER.encode(f"{text[:2]}-{text[2:]}"), scores[text])]

    masked = await serve_masks(await start(translate=doubt), score_fits=(FIT,))

    texts = ("Onion", "Cat", "Dog")
    assert [await translate(masked, text) for text in texts] == ["On-ion", "Ca-t", "Do-g"]
    assert list_texts(masked) == ["Onion", "onion", "Cat", "cat", "Dog"]


async def test_a_few_words_in_title_case_are_read_in_small_letters_if_the_model_doubts_them(
    start: MakeStand,
) -> None:
    scores = {"My P": -2.0, "My p": -0.1, "Go B C": -0.5, "Go b c": -9.0, "Do X": 3.0, "My Dog": -9}

    def doubt(sequence: TokenSequence) -> Result:
        text = read(sequence)
        return [Hypothesis(TOKENIZER.encode(f"{text[:2]}-{text[2:]}"), scores[text])]

    masked = await serve_masks(await start(translate=doubt), score_fits=(FIT,))

    texts = ("My P", "Go B C", "Do X", "My Dog")
    assert [await translate(masked, text) for text in texts] == [
        "My- p",
        "Go- B C",
        "Do- X",
        "My- Dog",
    ]
    # single letters are a token in either case, as names are not
    assert list_texts(masked) == ["My P", "My p", "Go B C", "Go b c", "Do X", "My Dog"]


async def test_noun_alone_is_read_as_it_is(start: MakeStand) -> None:
    fit = FIT.model_copy(update={"pair": "de-en"})
    masked = await serve_masks(
        await start(translate=lambda _: [Hypothesis(TOKENIZER.encode("onion"), -9.0)]),
        score_fits=(fit,),
    )

    assert await translate(masked, "Zwiebel", TranslateOptions("de", "en")) == "onion"
    assert list_texts(masked) == ["Zwiebel"]
