import re

import pytest

from service.text.ratings import find_ratings, restore_spans, spell_ratings


def spell(text: str, language: str) -> str:
    return spell_ratings(text, find_ratings(text, language))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("★★★★★", "excellent"),
        ("★★★★☆", "very good"),
        ("★★★☆☆", "mediocre"),
        ("★★☆☆☆", "bad"),
        ("★☆☆☆☆", "awful"),
        ("★ ★ ★ ☆ ☆", "mediocre"),
        ("★★★½☆", "very good"),
        ("★★☆", "very good"),
        ("⭐⭐⭐⭐", "very good"),
        ("⭐\ufe0f⭐\ufe0f⭐\ufe0f⭐\ufe0f⭐\ufe0f", "excellent"),
        ("⭐", "awful"),
        (" ★\n", " awful\n"),
        ("🌟🌟🌟🌟🌟 What a film!", "excellent What a film!"),
        ("Great acting ★☆☆☆☆", "Great acting awful"),
        ("Food ★★★★☆, service ★☆☆☆☆", "Food very good, service awful"),
        ("5/5", "excellent"),
        ("0/5", "awful"),
        ("4.5/5", "excellent"),
        ("2,5/5", "mediocre"),
        ("1/10", "awful"),
        ("95/100", "excellent"),
        ("2 out of 5 stars", "bad"),
        ("5 stars", "excellent"),
        ("One star.", "awful."),
        ("I liked it. 8/10", "I liked it. very good"),
        ("Rating: 4/5\nCould be shorter.", "Rating: very good\nCould be shorter."),
    ],
)
def test_rating_becomes_a_word(text: str, words: str) -> None:
    assert spell(text, "en") == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("★★★★★", "최고예요"),
        ("별점 1점", "최악이에요"),
        ("별점 5점", "최고예요"),
        ("별점 3점", "그저 그래요"),
        ("별점 10점", "최고예요"),
        ("별점: 3.5/5", "좋아요"),
        ("평점 4점", "별로예요"),
        ("5점 만점에 5점", "최고예요"),
        ("10점 만점에 1점이다", "최악이에요"),
        ("별 다섯 개", "최고예요"),
        ("별 하나", "최악이에요"),
        ("재미없다. 별 두 개 드립니다.", "재미없다. 별로예요."),
        ("배우는 좋았다 ★☆☆☆☆", "배우는 좋았다 최악이에요"),
    ],
)
def test_rating_becomes_a_korean_word(text: str, words: str) -> None:
    assert spell(text, "ko") == words


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("7/5", "more than all"),
        ("24/7", "not a scale"),
        ("5/5/2024", "a date"),
        ("We met on 5/10 in Berlin.", "a date"),
        ("1/2 cup of milk", "a quantity"),
        ("film stars", "not a number"),
        ("Who gave this 5 stars?!", "not the writer's rating"),
        ("★★ sale ★★", "an ornament"),
        ("I love it!!! ★", "an ornament"),
        ("★ First item", "a bullet"),
        ("☆★☆★☆", "an ornament"),
        ("★" * 11, "an ornament"),
        ("☆☆☆☆☆", "none or an ornament"),
        ("별점 1점도 아까워요", "part of a sentence"),
        ("평점 9.18 짜리는 아닌 듯", "part of a sentence"),
        ("특별 한 개", "the end of a word"),
        ("", "nothing"),
    ],
)
def test_other_text_is_unchanged(text: str, reason: str) -> None:
    assert spell(text, "en") == text, reason
    assert spell(text, "ko") == text, reason


def test_language_without_verdicts_is_unchanged() -> None:
    assert spell("★★★★★ 5/5", "xx") == "★★★★★ 5/5"


@pytest.mark.parametrize(
    ("text", "language"),
    [("Acting ★☆☆☆☆, plot ★★★★★. I liked it. 8/10", "en"), ("★★★ 별점 5점", "ko"), ("plain", "en")],
)
def test_words_of_the_spelled_text_are_found_in_the_text(text: str, language: str) -> None:
    ratings = find_ratings(text, language)
    spelled = spell_ratings(text, ratings)
    verdicts = {rating.verdict: text[rating.start : rating.end] for rating in ratings}
    spans = [(match.start(), match.end()) for match in re.finditer(r"\w+", spelled)]

    for (start, end), (first, last) in zip(spans, restore_spans(spans, ratings), strict=True):
        word = spelled[start:end]
        rated = [rating for verdict, rating in verdicts.items() if word in verdict.split()]
        assert text[first:last] == (rated[0] if rated else word)
