from collections.abc import Sequence

import pytest

from service.pipeline.generation.growing_text import GrowingText
from service.text.tokenizer import Tokenizer
from tests.fakes import ByteTokenizer


class PieceTokenizer(Tokenizer):
    """Each piece of a text is a token."""

    def __init__(self, *pieces: str) -> None:
        """Needs no backend."""
        self.pieces = pieces

    def decode(self, token_ids: Sequence[int]) -> str:
        return "".join(self.pieces[token_id] for token_id in token_ids)

    def tokens(self, token_ids: Sequence[int]) -> list[str]:
        return [self.pieces[token_id] for token_id in token_ids]


def grow(text: str, stop: tuple[str, ...], *, keeps_stop: bool = False) -> tuple[list[str], str]:
    """What each piece, separated by |, gives; and what the rest gives in the end."""
    pieces = text.split("|")
    growing = GrowingText(PieceTokenizer(*pieces), stop, keeps_stop=keeps_stop)
    given = []
    for token_id in range(len(pieces)):
        given.append(growing.add(token_id))
        if growing.is_stopped:
            break
    rest = growing.finish(range(len(given)))
    assert growing.text == "".join([*given, rest])
    return given, rest


@pytest.mark.parametrize(
    ("text", "stop", "given", "rest"),
    [
        ("one |two", (), ["one ", "two"], ""),
        # over the border of tokens
        ("say E|N|D now", ("END",), ["say ", "", ""], ""),
        # it may have begun, and had not
        ("say E|N|ough", ("END",), ["say ", "", "ENough"], ""),
        ("aab|aac", ("aabaab",), ["", "aabaac"], ""),
        ("a|a|a|b", ("aab",), ["", "", "a", ""], ""),
        # within a token
        ("so|me text. More", (". ",), ["so", "me text"], ""),
        # the first that is complete, whatever the order
        ("x abc", ("abc", "b"), ["x a"], ""),
        ("x abc", ("b", "abc"), ["x a"], ""),
        ("x abc", ("bc", "abc"), ["x "], ""),
        # what is held back is text if no more comes
        ("the en|d", ("end.",), ["the ", ""], "end"),
        ("\n", ("\n\n",), [""], "\n"),
        ("a\n|\nb", ("\n\n",), ["a", ""], ""),
    ],
)
def test_a_stop_string_is_left_out_wherever_tokens_end(
    text: str, stop: tuple[str, ...], given: list[str], rest: str
) -> None:
    assert grow(text, stop) == (given, rest)


@pytest.mark.parametrize(
    ("text", "stop", "given"),
    [
        ("say E|N|D now", ("END",), ["say E", "N", "D"]),
        ("x abc", ("b", "abc"), ["x ab"]),
        ("a|b|c", ("z",), ["a", "b", "c"]),
    ],
)
def test_a_stop_string_that_is_kept_ends_the_text(
    text: str, stop: tuple[str, ...], given: list[str]
) -> None:
    assert grow(text, stop, keeps_stop=True) == (given, "")


@pytest.mark.parametrize("text", ["Ünï, 한국어 text", "plain", "한"])
def test_a_character_of_several_tokens_is_given_whole(text: str) -> None:
    tokenizer = ByteTokenizer()
    token_ids = tokenizer.encode(text)
    growing = GrowingText(tokenizer, keeps_stop=False)

    given = [growing.add(token_id) for token_id in token_ids]

    assert "\ufffd" not in "".join(given)
    assert "".join([*given, growing.finish(token_ids)]) == text


def test_a_text_that_nobody_followed_is_cut_all_the_same() -> None:
    tokenizer = ByteTokenizer()
    growing = GrowingText(tokenizer, ("stop",), keeps_stop=False)

    assert growing.finish(tokenizer.encode("before stop after")) == "before "
    assert growing.is_stopped
