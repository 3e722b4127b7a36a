"""Rewrites polite Korean sentences (해요체) in another speech level, where a rule is sure of it."""

import re

from service.text.korean.hangul import is_syllable, split_syllable

END = re.compile(r"^(?P<body>.*?)(?P<marks>[.!?~…]*)$", re.DOTALL)
# What a speaker says politely, and what in a casual sentence.
HUMBLE = (
    (
        re.compile(r"(?<![가-힣])저(?=(?:는|도|를|와|한테|에게|만|랑|까지|부터)(?![가-힣])|야?$)"),
        "나",
    ),
    (re.compile(r"(?<![가-힣])저희"), "우리"),
    (re.compile(r"(?<![가-힣])제(?=가(?![가-힣])| (?!\d))"), "내"),
    (re.compile(r"^전(?= )"), "난"),
    (re.compile(r"^(?:네|예)(?=,)"), "응"),
)
# "Whole", "former" or "ago", unless it is "I" at the start.
OTHER_JEON = re.compile(r"(?<=[^가-힣])전 |^전 [세국직여남아회대총]")
# By the last syllables; the first that fits.
CASUAL = (
    ("이에요", "이야"),
    ("예요", "야"),
    ("에요", "야"),
    ("죠", "지"),
)
HONORIFIC = re.compile(
    r"께서|(?:주|하|오|가|보|으|계|드|아|되|쓰|리|이)(?:시|실|신|셨|셔|세|십)"
    r"|세요$|[가-힣](?:셨|시(?=[죠겠네는나군면고]))"
)
FINAL_PARTICLE = "요"
# Behind a verb; others are nouns like 필요.
VERB_ENDINGS = frozenset("군걸든지고")
VERB_VOWELS = frozenset("ㅏㅐㅓㅔㅕㅖㅘㅙㅝㅞ")  # without a final
# Statements about somebody rather than requests.
IS_ABOUT = re.compile(
    r"[가-힣](?:이|가|께서) |(?:이|좋으|예쁘|바쁘|크|많으|있으|없으|친절하|대단하|아프|젊으|피곤하|"
    r"훌륭하|아름다우|귀여우|멋지|(?<!안녕히 )계)세요$"
)
FORMAL = (
    ("아니에요", "아닙니"),
    ("거예요", "겁니"),
    ("이에요", "입니"),
    ("예요", "입니"),
    ("했어요", "했습니"),
    ("겠어요", "겠습니"),
    ("있어요", "있습니"),
    ("없어요", "없습니"),
    ("해요", "합니"),
    ("돼요", "됩니"),
)


def is_verb_ending(syllable: str) -> bool:
    """Whether the particle of politeness may follow it in a sentence."""
    if syllable in VERB_ENDINGS or not is_syllable(syllable):
        return syllable in VERB_ENDINGS
    _, vowel, final = split_syllable(syllable)
    return not final and vowel in VERB_VOWELS


def make_casual(text: str) -> str | None:
    """해요체 as 반말; None unless it is one polite sentence that does not honour its subject."""
    body, marks = split_end(text)
    is_polite = body.endswith("죠") or (body.endswith("요") and is_verb_ending(body[-2:-1]))
    if not is_polite or HONORIFIC.search(body) or OTHER_JEON.search(body) or has_inner_end(body):
        return None
    for polite, casual in CASUAL:
        if body.endswith(polite):
            body = body.removesuffix(polite) + casual
            break
    else:
        body = body.removesuffix(FINAL_PARTICLE)
    for humble, plain in HUMBLE:
        body = humble.sub(plain, body)
    return body + marks


def make_formal(text: str) -> str | None:
    """해요체 as 합니다체; None where the verb's stem cannot be told from its polite form."""
    body, marks = split_end(text)
    if has_inner_end(body):
        return None
    end = "까" if "?" in marks else "다"
    for polite, formal in FORMAL:
        if body.endswith(polite):
            return body.removesuffix(polite) + formal + end + marks
    if body.endswith("세요") and ("?" in marks or body == "안녕하세요"):
        return body.removesuffix("세요") + "십니까" + marks
    if body.endswith("세요"):
        return None if IS_ABOUT.search(body) else body.removesuffix("세요") + "십시오" + marks
    match = re.search(r"([가-힣])[아어]요$", body)
    # ㄹ may be that of 듣다, whose stem changes
    if match and split_syllable(match[1])[2] not in ("", "ㄹ"):
        return body[: match.end(1)] + "습니" + end + marks
    return None


def split_end(text: str) -> tuple[str, str]:
    match = END.match(text.strip())
    assert match is not None
    return match["body"], match["marks"]


def has_inner_end(body: str) -> bool:
    """Whether there are several sentences, each with a level of its own."""
    return bool(re.search(r"[.!?]\s|(요|다|죠),\s", body))
