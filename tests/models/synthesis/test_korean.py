import pytest

from models.synthesis.korean import (
    Irregularity,
    Verb,
    conjugate,
    join_copula,
    read_native,
    read_sino,
)

# dictionary form: 해요, past 해요, 합니다, future stem, adnominal, 면, 세요
VERBS = """
가다 가요 갔어요 갑니다 갈 가는 가면 가세요
오다 와요 왔어요 옵니다 올 오는 오면 오세요
보다 봐요 봤어요 봅니다 볼 보는 보면 보세요
먹다 먹어요 먹었어요 먹습니다 먹을 먹는 먹으면 먹으세요
읽다 읽어요 읽었어요 읽습니다 읽을 읽는 읽으면 읽으세요
앉다 앉아요 앉았어요 앉습니다 앉을 앉는 앉으면 앉으세요
찾다 찾아요 찾았어요 찾습니다 찾을 찾는 찾으면 찾으세요
마시다 마셔요 마셨어요 마십니다 마실 마시는 마시면 마시세요
들이마시다 들이마셔요 들이마셨어요 들이마십니다 들이마실 들이마시는 들이마시면 들이마시세요
모시다 모셔요 모셨어요 모십니다 모실 모시는 모시면 모시세요
피다 펴요 폈어요 핍니다 필 피는 피면 피세요
지다 져요 졌어요 집니다 질 지는 지면 지세요
치다 쳐요 쳤어요 칩니다 칠 치는 치면 치세요
기다리다 기다려요 기다렸어요 기다립니다 기다릴 기다리는 기다리면 기다리세요
배우다 배워요 배웠어요 배웁니다 배울 배우는 배우면 배우세요
주다 줘요 줬어요 줍니다 줄 주는 주면 주세요
보내다 보내요 보냈어요 보냅니다 보낼 보내는 보내면 보내세요
켜다 켜요 켰어요 켭니다 켤 켜는 켜면 켜세요
서다 서요 섰어요 섭니다 설 서는 서면 서세요
쉬다 쉬어요 쉬었어요 쉽니다 쉴 쉬는 쉬면 쉬세요
되다 돼요 됐어요 됩니다 될 되는 되면 되세요
하다 해요 했어요 합니다 할 하는 하면 하세요
일하다 일해요 일했어요 일합니다 일할 일하는 일하면 일하세요
만들다 만들어요 만들었어요 만듭니다 만들 만드는 만들면 만드세요
살다 살아요 살았어요 삽니다 살 사는 살면 사세요
알다 알아요 알았어요 압니다 알 아는 알면 아세요
돕다 도와요 도왔어요 돕습니다 도울 돕는 도우면 도우세요
굽다 구워요 구웠어요 굽습니다 구울 굽는 구우면 구우세요
줍다 주워요 주웠어요 줍습니다 주울 줍는 주우면 주우세요
입다 입어요 입었어요 입습니다 입을 입는 입으면 입으세요
잡다 잡아요 잡았어요 잡습니다 잡을 잡는 잡으면 잡으세요
뽑다 뽑아요 뽑았어요 뽑습니다 뽑을 뽑는 뽑으면 뽑으세요
듣다 들어요 들었어요 듣습니다 들을 듣는 들으면 들으세요
걷다 걸어요 걸었어요 걷습니다 걸을 걷는 걸으면 걸으세요
묻다 물어요 물었어요 묻습니다 물을 묻는 물으면 물으세요
싣다 실어요 실었어요 싣습니다 실을 싣는 실으면 실으세요
쏟다 쏟아요 쏟았어요 쏟습니다 쏟을 쏟는 쏟으면 쏟으세요
파묻다 파묻어요 파묻었어요 파묻습니다 파묻을 파묻는 파묻으면 파묻으세요
비다 비어요 비었어요 빕니다 빌 비는 비면 비세요
머물다 머물러요 머물렀어요 머뭅니다 머물 머무는 머물면 머무세요
서툴다 서툴러요 서툴렀어요 서툽니다 서툴 서투는 서툴면 서투세요
뵙다 봬요 뵀어요 뵙습니다 뵐 뵙는 뵈면 뵈세요
그러다 그래요 그랬어요 그럽니다 그럴 그러는 그러면 그러세요
어쩌다 어째요 어쨌어요 어쩝니다 어쩔 어쩌는 어쩌면 어쩌세요
깨닫다 깨달아요 깨달았어요 깨닫습니다 깨달을 깨닫는 깨달으면 깨달으세요
닫다 닫아요 닫았어요 닫습니다 닫을 닫는 닫으면 닫으세요
받다 받아요 받았어요 받습니다 받을 받는 받으면 받으세요
믿다 믿어요 믿었어요 믿습니다 믿을 믿는 믿으면 믿으세요
짓다 지어요 지었어요 짓습니다 지을 짓는 지으면 지으세요
낫다 나아요 나았어요 낫습니다 나을 낫는 나으면 나으세요
씻다 씻어요 씻었어요 씻습니다 씻을 씻는 씻으면 씻으세요
웃다 웃어요 웃었어요 웃습니다 웃을 웃는 웃으면 웃으세요
벗다 벗어요 벗었어요 벗습니다 벗을 벗는 벗으면 벗으세요
모르다 몰라요 몰랐어요 모릅니다 모를 모르는 모르면 모르세요
고르다 골라요 골랐어요 고릅니다 고를 고르는 고르면 고르세요
부르다 불러요 불렀어요 부릅니다 부를 부르는 부르면 부르세요
누르다 눌러요 눌렀어요 누릅니다 누를 누르는 누르면 누르세요
서두르다 서둘러요 서둘렀어요 서두릅니다 서두를 서두르는 서두르면 서두르세요
따르다 따라요 따랐어요 따릅니다 따를 따르는 따르면 따르세요
치르다 치러요 치렀어요 치릅니다 치를 치르는 치르면 치르세요
들르다 들러요 들렀어요 들릅니다 들를 들르는 들르면 들르세요
쓰다 써요 썼어요 씁니다 쓸 쓰는 쓰면 쓰세요
끄다 꺼요 껐어요 끕니다 끌 끄는 끄면 끄세요
모으다 모아요 모았어요 모읍니다 모을 모으는 모으면 모으세요
잠그다 잠가요 잠갔어요 잠급니다 잠글 잠그는 잠그면 잠그세요
놓다 놓아요 놓았어요 놓습니다 놓을 놓는 놓으면 놓으세요
넣다 넣어요 넣었어요 넣습니다 넣을 넣는 넣으면 넣으세요
푸다 퍼요 펐어요 풉니다 풀 푸는 푸면 푸세요
"""
ADJECTIVES = """
크다 커요 컸어요 큽니다 클 큰 크면 크세요
작다 작아요 작았어요 작습니다 작을 작은 작으면 작으세요
바쁘다 바빠요 바빴어요 바쁩니다 바쁠 바쁜 바쁘면 바쁘세요
예쁘다 예뻐요 예뻤어요 예쁩니다 예쁠 예쁜 예쁘면 예쁘세요
아프다 아파요 아팠어요 아픕니다 아플 아픈 아프면 아프세요
춥다 추워요 추웠어요 춥습니다 추울 추운 추우면 추우세요
곱다 고와요 고왔어요 곱습니다 고울 고운 고우면 고우세요
어렵다 어려워요 어려웠어요 어렵습니다 어려울 어려운 어려우면 어려우세요
가깝다 가까워요 가까웠어요 가깝습니다 가까울 가까운 가까우면 가까우세요
무겁다 무거워요 무거웠어요 무겁습니다 무거울 무거운 무거우면 무거우세요
즐겁다 즐거워요 즐거웠어요 즐겁습니다 즐거울 즐거운 즐거우면 즐거우세요
좁다 좁아요 좁았어요 좁습니다 좁을 좁은 좁으면 좁으세요
넓다 넓어요 넓었어요 넓습니다 넓을 넓은 넓으면 넓으세요
빨갛다 빨개요 빨갰어요 빨갛습니다 빨갈 빨간 빨가면 빨가세요
하얗다 하얘요 하얬어요 하얗습니다 하얄 하얀 하야면 하야세요
퍼렇다 퍼레요 퍼렜어요 퍼렇습니다 퍼럴 퍼런 퍼러면 퍼러세요
그렇다 그래요 그랬어요 그렇습니다 그럴 그런 그러면 그러세요
어떻다 어때요 어땠어요 어떻습니다 어떨 어떤 어떠면 어떠세요
좋다 좋아요 좋았어요 좋습니다 좋을 좋은 좋으면 좋으세요
많다 많아요 많았어요 많습니다 많을 많은 많으면 많으세요
싫다 싫어요 싫었어요 싫습니다 싫을 싫은 싫으면 싫으세요
길다 길어요 길었어요 깁니다 길 긴 길면 기세요
멀다 멀어요 멀었어요 멉니다 멀 먼 멀면 머세요
다르다 달라요 달랐어요 다릅니다 다를 다른 다르면 다르세요
빠르다 빨라요 빨랐어요 빠릅니다 빠를 빠른 빠르면 빠르세요
이르다 일러요 일렀어요 이릅니다 이를 이른 이르면 이르세요
푸르다 푸르러요 푸르렀어요 푸릅니다 푸를 푸른 푸르면 푸르세요
깨끗하다 깨끗해요 깨끗했어요 깨끗합니다 깨끗할 깨끗한 깨끗하면 깨끗하세요
희다 희어요 희었어요 흽니다 흴 흰 희면 희세요
시다 셔요 셨어요 십니다 실 신 시면 시세요
눈부시다 눈부셔요 눈부셨어요 눈부십니다 눈부실 눈부신 눈부시면 눈부시세요
파랗다 파래요 파랬어요 파랗습니다 파랄 파란 파라면 파라세요
"""
REGULAR = """
묻다 묻어요 묻었어요 묻습니다 묻을 묻는 묻으면 묻으세요
걷다 걷어요 걷었어요 걷습니다 걷을 걷는 걷으면 걷으세요
굽다 굽어요 굽었어요 굽습니다 굽을 굽는 굽으면 굽으세요
"""
WITH_REO = """
이르다 이르러요 이르렀어요 이릅니다 이를 이르는 이르면 이르세요
누르다 누르러요 누르렀어요 누릅니다 누를 누르는 누르면 누르세요
"""


def list_forms(verb: Verb) -> list[str]:
    return [
        conjugate(verb),
        conjugate(verb, tense="past"),
        conjugate(verb, level="합니다"),
        verb.with_final("ㄹ"),
        verb.adnominal,
        verb.attach("면"),
        verb.attach("세요"),
    ]


@pytest.mark.parametrize(
    ("row", "is_adjective"),
    [(row, False) for row in VERBS.split("\n")[1:-1]]
    + [(row, True) for row in ADJECTIVES.split("\n")[1:-1]],
)
def test_forms_of_a_stem(row: str, is_adjective: bool) -> None:
    dictionary_form, *forms = row.split()

    assert list_forms(Verb.parse(dictionary_form, is_adjective=is_adjective)) == forms


@pytest.mark.parametrize(
    ("row", "named"),
    [(row, "") for row in REGULAR.split("\n")[1:-1]]
    + [(row, "러") for row in WITH_REO.split("\n")[1:-1]],
)
def test_forms_of_a_homograph_whose_class_is_named(row: str, named: Irregularity) -> None:
    dictionary_form, *forms = row.split()

    assert list_forms(Verb.parse(dictionary_form, named=named)) == forms


@pytest.mark.parametrize(
    ("form", "options", "expected"),
    [
        ("가다", {"level": "해"}, "가"),
        ("가다", {"level": "한다"}, "간다"),
        ("먹다", {"level": "한다"}, "먹는다"),
        ("만들다", {"level": "한다"}, "만든다"),
        ("돕다", {"level": "한다"}, "돕는다"),
        ("있다", {"level": "한다"}, "있다"),
        ("없다", {"level": "한다", "question": True}, "없는가"),
        ("가다", {"level": "한다", "tense": "past"}, "갔다"),
        ("가다", {"level": "한다", "tense": "past", "question": True}, "갔는가"),
        ("가다", {"level": "한다", "question": True}, "가는가"),
        ("가다", {"level": "합니다", "question": True}, "갑니까"),
        ("먹다", {"level": "합니다", "tense": "past", "question": True}, "먹었습니까"),
        ("먹다", {"level": "해", "tense": "past"}, "먹었어"),
        ("먹다", {"tense": "future"}, "먹을 거예요"),
        ("걷다", {"tense": "future", "level": "합니다"}, "걸을 겁니다"),
        ("걷다", {"tense": "future", "level": "합니다", "question": True}, "걸을 겁니까"),
        ("가다", {"tense": "future", "level": "해"}, "갈 거야"),
        ("살다", {"tense": "future", "level": "한다"}, "살 것이다"),
        ("먹다", {"negation": "안"}, "안 먹어요"),
        ("가다", {"negation": "못", "tense": "past"}, "못 갔어요"),
        ("공부+하다", {"negation": "안"}, "공부 안 해요"),
        ("공부+하다", {}, "공부해요"),
        ("전화+하다", {"negation": "못", "tense": "past", "level": "합니다"}, "전화 못 했습니다"),
        ("공부+하다", {"negation": "지 않다", "tense": "past"}, "공부하지 않았어요"),
        ("먹다", {"negation": "지 않다", "level": "한다"}, "먹지 않는다"),
        ("먹다", {"negation": "지 않다", "tense": "future"}, "먹지 않을 거예요"),
        ("있다", {"negation": "안"}, "없어요"),
        ("알다", {"negation": "안", "tense": "past"}, "몰랐어요"),
        ("가다", {"honorific": True}, "가세요"),
        ("가다", {"honorific": True, "tense": "past"}, "가셨어요"),
        ("읽다", {"honorific": True, "level": "합니다"}, "읽으십니다"),
        ("듣다", {"honorific": True, "tense": "past"}, "들으셨어요"),
        ("살다", {"honorific": True, "tense": "future"}, "사실 거예요"),
        ("먹다", {"honorific": True}, "드세요"),
        ("자다", {"honorific": True, "tense": "past"}, "주무셨어요"),
        ("있다", {"honorific": True}, "계세요"),
        ("가다", {"honorific": True, "negation": "지 않다"}, "가시지 않아요"),
        ("오다", {"honorific": True, "negation": "안", "tense": "past"}, "안 오셨어요"),
        ("마시다", {"level": "해"}, "마셔"),
    ],
)
def test_forms_that_end_a_sentence(form: str, options: dict[str, object], expected: str) -> None:
    assert conjugate(Verb.parse(form), **options) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("form", "options", "expected"),
    [
        ("춥다", {"level": "한다"}, "춥다"),
        ("춥다", {"level": "한다", "question": True}, "추운가"),
        ("춥다", {"negation": "지 않다", "level": "한다"}, "춥지 않다"),
        ("비싸다", {"negation": "안", "question": True}, "안 비싸요"),
        ("바쁘다", {"honorific": True, "question": True}, "바쁘세요"),
        ("싶다", {"negation": "지 않다"}, "싶지 않아요"),
        ("좋다", {"tense": "future"}, "좋을 거예요"),
    ],
)
def test_adjectives_end_a_sentence(form: str, options: dict[str, object], expected: str) -> None:
    verb = Verb.parse(form, is_adjective=True)

    assert conjugate(verb, **options) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("noun", "options", "expected"),
    [
        ("책", {}, "책이에요"),
        ("의사", {}, "의사예요"),
        ("3층", {"level": "합니다"}, "3층입니다"),
        ("의사", {"level": "합니다", "question": True}, "의사입니까"),
        ("책", {"level": "해"}, "책이야"),
        ("의사", {"level": "해"}, "의사야"),
        ("책", {"level": "한다"}, "책이다"),
        ("의사", {"level": "한다"}, "의사다"),
        ("책", {"level": "한다", "question": True}, "책인가"),
        ("책", {"tense": "past"}, "책이었어요"),
        ("의사", {"tense": "past"}, "의사였어요"),
        ("의사", {"tense": "past", "level": "한다"}, "의사였다"),
        ("책", {"negated": True}, "책이 아니에요"),
        ("의사", {"negated": True, "level": "합니다"}, "의사가 아닙니다"),
        ("의사", {"negated": True, "level": "해"}, "의사가 아니야"),
        ("책", {"negated": True, "level": "한다"}, "책이 아니다"),
        ("책", {"negated": True, "tense": "past"}, "책이 아니었어요"),
        ("010-0000-0002", {}, "010-0000-0002예요"),
        ("010-0000-0003", {}, "010-0000-0003이에요"),
    ],
)
def test_copula(noun: str, options: dict[str, object], expected: str) -> None:
    assert join_copula(noun, **options) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        *((0, "영"), (7, "칠"), (10, "십"), (15, "십오"), (35, "삼십오"), (100, "백")),
        *((306, "삼백육"), (1200, "천이백"), (10_000, "만"), (12_000, "만 이천")),
        *(
            (35_900, "삼만 오천구백"),
            (210_000, "이십일만"),
            (99_999_999, "구천구백구십구만 구천구백구십구"),
        ),
    ],
)
def test_sino_korean_numbers(number: int, expected: str) -> None:
    assert read_sino(number) == expected


@pytest.mark.parametrize(
    ("number", "expected", "before_counter"),
    [
        *((1, "하나", "한"), (4, "넷", "네"), (5, "다섯", "다섯"), (20, "스물", "스무")),
        *((21, "스물하나", "스물한"), (33, "서른셋", "서른세"), (99, "아흔아홉", "아흔아홉")),
    ],
)
def test_native_numbers(number: int, expected: str, before_counter: str) -> None:
    assert read_native(number) == expected
    assert read_native(number, counts=True) == before_counter


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match="not a dictionary form"):
        Verb.parse("먹어요")
    with pytest.raises(ValueError, match="between 1 and 99"):
        read_native(100)
    with pytest.raises(ValueError, match="99,999,999"):
        read_sino(10**8)
