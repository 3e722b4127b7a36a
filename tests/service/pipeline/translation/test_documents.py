import pytest

from service.answers import (
    TranslateOptions,
)
from service.errors import (
    InputTooLong,
)
from service.pipeline.translation.documents import assemble, parse_text
from tests.fakes import ByteTokenizer, shout
from tests.service.pipeline.stand import (
    ALL,
    HTML,
    TO_GERMAN,
    MakeStand,
    Stand,
    hiss,
    open_document,
    soon,
    translate,
)


@pytest.mark.parametrize(
    "text",
    [
        "one sentence.",
        "First one. Second one!  Third one?\n\n\tAnd a fourth.  \n",
        "  \n leading and trailing \r\n",
        "no full stop\nbut two lines",
        "One.\u00a0Two.\u2003Three\u00a0\n four.",
    ],
)
async def test_white_space_between_sentences_is_kept_exactly(stand: Stand, text: str) -> None:
    assert await translate(stand, text) == text.upper()


@pytest.mark.parametrize("text", ["a\u00a0b c.", "a  b\u2003c."])
async def test_white_space_within_a_sentence_is_one_space(stand: Stand, text: str) -> None:
    assert await translate(stand, text) == "A B C."


async def test_long_text_is_cut_into_sentences_that_share_a_batch(stand: Stand) -> None:
    text = " ".join(f"This is sentence number {number}." for number in range(40))
    greedy = TranslateOptions("en", "de", beam_size=1)

    assert await translate(stand, text, greedy) == text.upper()
    assert sum(map(len, stand.translator.batches)) == 40
    assert max(map(len, stand.translator.batches)) == 8


async def test_html_keeps_its_markup_and_is_escaped_again(stand: Stand) -> None:
    page = '<p class="a">One &amp; Two. three.</p>\n<code>keep me</code><br/> <b>four</b>'
    options = TranslateOptions("en", "de", text_format="html")

    assert await translate(stand, page, options) == (
        '<p class="a">ONE &amp; TWO. THREE.</p>\n<code>keep me</code><br/> <b>FOUR</b>'
    )


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


async def test_translation_of_a_headline_is_not_put_into_capitals(
    start: MakeStand,
) -> None:
    stand = await start(translate=hiss)

    # letters are tokens of the stand's model in either case
    assert await translate(stand, "A B C D go. E F.") == "A b c d go. E F."


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
    assert translation.alternatives == ["ONE <b>TWOO</b>"]
    assert translation.attention is None


async def test_plain_text_keeps_its_tags_and_is_not_escaped(stand: Stand) -> None:
    assert await translate(stand, "<b>A & B</b> < c") == "<b>A & B</b> < C"


async def test_page_without_text_is_copied_without_the_engine(stand: Stand) -> None:
    options = TranslateOptions("en", "de", text_format="html")

    assert await translate(stand, "<hr/> <!-- nothing -->", options) == "<hr/> <!-- nothing -->"
    assert stand.translator.batches == []


async def test_alternatives_are_further_hypotheses_without_repetition(stand: Stand) -> None:
    options = TranslateOptions("en", "de", beam_size=2, alternatives=2)

    answer = await stand.translators.translate(["one. two."], options, soon())

    (translation,) = answer.translations
    assert translation.text == "ONE. TWO."
    assert translation.alternatives == ["ONEE. TWOO.", "ONEEE. TWOOO."]
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


async def test_length_of_a_translation_is_bound_by_its_source(stand: Stand) -> None:
    await translate(stand, "ab")

    ((sequence,),) = stand.translator.batches
    assert sequence.search is not None
    assert sequence.search.max_new_tokens == 16 + 2 * 3


async def test_sentence_without_tokens_is_copied(stand: Stand) -> None:
    assert await translate(stand, "one.\n\u200b\ntwo.") == "ONE.\n\u200b\nTWO."


async def test_too_many_tokens_are_refused_and_never_cut(short: Stand) -> None:
    with pytest.raises(InputTooLong, match="a text has 11 tokens, above the limit of 10 of model"):
        await short.classifiers.classify(["a" * 11], ALL, soon())
    with pytest.raises(InputTooLong, match=r"a sentence has 11 tokens.*; split it"):
        await translate(short, "short. " + "a" * 10)
    assert await translate(short, "a" * 9) == "A" * 9


@pytest.mark.parametrize("text_format", ["text", "html"])
def test_nodes_of_a_text_are_its_source(text_format: str) -> None:
    text = "a <b>b &amp; c</b>"
    nodes = parse_text(text, text_format)

    assert "".join(node.source for node in nodes) == text
    assert [node.text for node in nodes if node.is_text] == [
        text if text_format == "text" else "a b & c"
    ]


def test_text_that_is_known_is_not_rendered_again() -> None:
    document = open_document("one.")
    results = {sequence: shout(sequence) for sequence in document.sequences}

    assert assemble(document, results, TO_GERMAN).text == "ONE."
    assert assemble(document, results, TO_GERMAN, "streamed").text == "streamed"
