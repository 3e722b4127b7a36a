"""Polite Korean sentences at other speech levels."""

import pytest

from models.training.data.relevel import make_casual, make_formal

# polite, casual, formal
SENTENCES: list[tuple[str, str | None, str | None]] = [
    ("학교에 가요.", "학교에 가.", None),
    ("밥을 먹어요.", "밥을 먹어.", "밥을 먹습니다."),
    ("밥을 먹었어요", "밥을 먹었어", "밥을 먹었습니다"),
    ("저는 학생이에요.", "나는 학생이야.", "저는 학생입니다."),
    ("그건 사과예요!", "그건 사과야!", "그건 사과입니다!"),
    ("아니에요.", "아니야.", "아닙니다."),
    ("뭐 해요?", "뭐 해?", "뭐 합니까?"),
    ("정말 좋아해요!", "정말 좋아해!", "정말 좋아합니다!"),
    ("비가 와요…", "비가 와…", None),
    ("같이 가죠.", "같이 가지.", None),
    ("집에 있어요.", "집에 있어.", "집에 있습니다."),
    ("돈이 없어요.", "돈이 없어.", "돈이 없습니다."),
    ("어제 갔어요?", "어제 갔어?", "어제 갔습니까?"),
    ("공부했어요.", "공부했어.", "공부했습니다."),
    ("네, 알겠어요.", "응, 알겠어.", "네, 알겠습니다."),
    ("이게 돼요?", "이게 돼?", "이게 됩니까?"),
    ("제가 할게요.", "내가 할게.", None),
    ("제 이름은 민수예요.", "내 이름은 민수야.", "제 이름은 민수입니다."),
    ("제 거예요.", "내 거야.", "제 겁니다."),
    ("제 2차 회의예요.", "제 2차 회의야.", "제 2차 회의입니다."),
    ("저도 가요.", "나도 가.", None),
    ("저 사람을 알아요.", "저 사람을 알아.", None),
    ("저희 집이에요.", "우리 집이야.", "저희 집입니다."),
    ("저희는 괜찮아요.", "우리는 괜찮아.", "저희는 괜찮습니다."),
    ("저예요.", "나야.", "저입니다."),
    ("저요?", "나?", None),
    ("전 괜찮아요.", "난 괜찮아.", "전 괜찮습니다."),
    ("전 세계가 알아요.", None, None),
    ("3일 전 왔어요.", None, "3일 전 왔습니다."),
    ("문을 닫아요.", "문을 닫아.", "문을 닫습니다."),
    ("책을 읽어요.", "책을 읽어.", "책을 읽습니다."),
    # the stem of these verbs is not that of their polite form
    ("노래를 들어요.", "노래를 들어.", None),
    ("길을 걸어요.", "길을 걸어.", None),
    ("추워요.", "추워.", None),
    ("몰라요.", "몰라.", None),
    ("도와줘요.", "도와줘.", None),
    ("물을 마셔요.", "물을 마셔.", None),
    ("먹을까요?", "먹을까?", None),
    ("가네요.", "가네.", None),
    ("그렇군요.", "그렇군.", None),
    ("가거든요.", "가거든.", None),
    ("왜요?", "왜?", None),
    # requests, and subjects that are honoured
    ("앉으세요.", None, "앉으십시오."),
    ("하지 마세요!", None, "하지 마십시오!"),
    ("좋은 하루 되세요!", None, "좋은 하루 되십시오!"),
    ("안녕히 계세요.", None, "안녕히 계십시오."),
    ("안녕하세요.", None, "안녕하십니까."),
    ("어디 가세요?", None, "어디 가십니까?"),
    ("누구세요?", None, "누구십니까?"),
    ("쉬셨어요?", None, "쉬셨습니까?"),
    ("할머니께서 오셨어요.", None, "할머니께서 오셨습니다."),
    ("선생님이 오세요.", None, None),
    ("선생님이세요.", None, None),
    ("집에 계세요.", None, None),
    ("정말 친절하세요.", None, None),
    ("가시죠.", None, None),
    # no single polite sentence
    ("좋아요. 가요.", None, None),
    ("좋아요, 가요.", None, None),
    ("필요", None, None),
    ("중요", None, None),
    ("커피요.", None, None),
    ("간다.", None, None),
    ("갑니다.", None, None),
    ("먹어.", None, None),
    ("Hello.", None, None),
    ("요", None, None),
    ("", None, None),
    ("!?", None, None),
]


@pytest.mark.parametrize(("polite", "casual", "formal"), SENTENCES)
def test_polite_sentence_is_rewritten_where_a_rule_is_sure(
    polite: str, casual: str | None, formal: str | None
) -> None:
    assert make_casual(polite) == casual
    assert make_formal(polite) == formal
