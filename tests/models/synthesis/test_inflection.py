import pytest

from models.synthesis.inflection import inflect
from models.synthesis.korean import Level


@pytest.mark.parametrize(
    ("text", "level", "expected"),
    [
        ("서비스[이] <좋다 adj 않다>.", "음", "서비스가 좋지 않음."),
        ("정말 <지루하다 adj past>.", "네요", "정말 지루했네요."),
        ("<만들다>.", "음", "만듦."),
        ("<아깝다 adj>.", "음", "아까움."),
        ("명작<이다>.", "네요", "명작이네요."),
        ("영화<이다>.", "음", "영화임."),
        ("명작<이다 아니 past>.", "음", "명작이 아니었음."),
        ("<마음에 들다 안 past>.", "해요", "마음에 안 들었어요."),
        ("<기대에 못 미치다 past 는데>", "한다", "기대에 못 미쳤는데"),
        ("<재미있다 adj 는데>", "한다", "재미있는데"),
        ("<재미있다 adj 다고> 할 수 <없다 adj>.", "합니다", "재미있다고 할 수 없습니다."),
        ("<추천+하다 다고>", "해", "추천한다고"),
        ("<맛있다 adj past 던>", "해", "맛있었던"),
        ("<춥다 adj 지만> <가볍다 adj 기>", "해", "춥지만 가볍기"),
        ("<좋아하다 ㄴ> 책", "해", "좋아한 책"),
        ("<감동적이다 adj past>. <보통이다 adj>.", "해요", "감동적이었어요. 보통이에요."),
        ("<감동적이다 adj 지만> <최고이다 adj past 는데>", "해", "감동적이지만 최고였는데"),
        ("<인상적이다 adj 않다 past>.", "해", "인상적이지 않았어."),
        ("<추천+하다 안 ㄹ> 수, <박수를 치다 안 는>", "해", "추천 안 할 수, 박수를 안 치는"),
        ("<좋다 adj 않다 past 지만>", "해", "좋지 않았지만"),
        (
            "<나무 밑에 묻다 규칙 past 고> <산에 이르다 러 past>.",
            "해",
            "나무 밑에 묻었고 산에 이르렀어.",
        ),
        ("<3 and [brackets] stay", "해요", "<3 and [brackets] stay"),
    ],
)
def test_marks_become_particles_and_predicates(text: str, level: Level, expected: str) -> None:
    assert inflect(text, level) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [("<좋아요 adj>", "<좋아요 adj>: not a dictionary form"), ("<좋다 adv>", "unknown option adv")],
)
def test_faulty_marks_are_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inflect(text, "해요")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("제가 저도 저를 <보다>.", "내가 나도 나를 봐."),
        ("저는 <가다 고> 제 동생은 안 가요.", "저는 가고 제 동생은 안 가요."),
        ("저희는 저한테 <좋다 adj>.", "우리는 나한테 좋아."),
    ],
)
def test_the_speaker_is_familiar_where_the_predicate_is(text: str, expected: str) -> None:
    assert inflect(text, "해") == expected
