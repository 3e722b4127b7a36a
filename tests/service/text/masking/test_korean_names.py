import pytest

from service.text.masking.korean_names import find_korean_names


def find(text: str, source: str, target: str) -> dict[str, str]:
    found = find_korean_names(text, source, target)
    return {text[each.start : each.end]: each.translation for each in found}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("김민수 씨는 내일 회의에 못 온대요.", "Kim Min-su"),
        ("김민수씨한테 물어봐.", "Kim Min-su"),
        ("이서연님, 3번 창구로 오세요.", "Lee Seo-yeon"),
        ("최유진 과장님은 지금 자리에 안 계세요.", "Choi Yu-jin"),
        ("어제 박지영 선생님을 만났어요.", "Park Ji-yeong"),
        ("제 이름은 박지영입니다.", "Park Ji-yeong"),
        ("저는 이지은이라고 합니다.", "Lee Ji-eun"),
        ("난 김유진이야.", "Kim Yu-jin"),
        ("안녕하세요, 정우성입니다.", "Jung U-seong"),
        ("성함: 홍길동", "Hong Gil-dong"),
        ("감사합니다. 한소희 드림", "Han So-hui"),
        ("어제 박진영이 왔어요.", "Park Jin-yeong"),
        ("김남길, 여기!", "Kim Nam-gil"),
    ],
)
@pytest.mark.parametrize("target", ["en", "de"])
def test_names_in_hangul_are_romanized(text: str, name: str, target: str) -> None:
    assert list(find(text, "ko", target).values()) == [name]


@pytest.mark.parametrize(
    "text",
    [
        "유명한 가수를 봤어요.",
        "한국의 대통령은 누구예요?",
        "한국은 대통령을 뽑았다.",
        "유치원 선생님이에요.",
        "저는 공무원이에요.",
        "나는 이해해.",
        "적어도 하나는 지정해야 합니다.",
        "이름은 고유해야 한다.",
        "두 마리의 양이 서 있어요.",
        "지난번 과장님은 친절했어요.",
        "고추 씨를 뿌렸어요.",
        "아저씨, 여기요!",
        "전문가예요.",
        "김치전 주세요.",
        "이미지가 최고치를 박람회에서 박수도 쳤다.",
        "안녕하세요.",
        "최고의 선수입니다.",
    ],
)
def test_what_may_be_another_word_stays(text: str) -> None:
    assert find(text, "ko", "en") == {}


@pytest.mark.parametrize(
    ("text", "name", "hangul"),
    [
        ("Mr. Kim Min-su can't come.", "Kim Min-su", "김민수"),
        ("I met Lee Seo-Yeon's mother.", "Lee Seo-Yeon", "이서연"),
        ("Min-su Kim, please.", "Min-su Kim", "김민수"),
        ("Minsu Kim and Tom", "Minsu Kim", "김민수"),
        ("Dear Kim Minsu,", "Kim Minsu", "김민수"),
        ("Ich heiße Park Ji-young.", "Park Ji-young", "박지영"),
    ],
)
def test_names_in_latin_letters_are_written_in_hangul(text: str, name: str, hangul: str) -> None:
    source = "de" if text.startswith("Ich") else "en"
    assert find(text, source, "ko") == {name: hangul}
    assert find(text, source, "de" if source == "en" else "en") == {name: name}


@pytest.mark.parametrize(
    "text",
    [
        "Do Minsu and Jihye know?",
        "Han Solo flies.",
        "Choo Choo!",
        "Park Street is a lee-way.",
        "Hong Kong and Kim",
        "Young Park",
        "kim min-su",
        "www.kim Min-su@x.org",
        "Peter Klein lives here.",
        "Ha Long Bay",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert find(text, "en", "ko") == {}
