"""Rewrites polite Korean sentences (해요체) in another speech level, where a rule is sure of it."""

import re

END = re.compile(r"^(?P<body>.*?)(?P<marks>[.!?~…]*)$", re.DOTALL)
HUMBLE = (
    (
        re.compile(r"(?<![가-힣])저(는|도|를|와|한테|에게|만|희|희는|랑|까지|부터)(?![가-힣])"),
        r"나\1",
    ),
    (re.compile(r"(?<![가-힣])제(?=가(?![가-힣]))"), "내"),
    (re.compile(r"(?<![가-힣])제(?= )"), "내"),
    (re.compile(r"(?<![가-힣])전(?= )"), "난"),
)
# By the last syllables; the first that fits.
CASUAL = (
    ("이에요", "이야"),
    ("예요", "야"),
    ("에요", "야"),
    ("죠", "지"),
)
HONORIFIC = re.compile(r"께서|(?:주|하|오|가|보|으|계|드|아|되|쓰|리|이)(?:시|실|신|셨|셔|세|십)")
FINAL_PARTICLE = "요"
FORMAL = (
    ("이에요", "입니"),
    ("예요", "입니"),
    ("했어요", "했습니"),
    ("겠어요", "겠습니"),
    ("있어요", "있습니"),
    ("없어요", "없습니"),
    ("해요", "합니"),
    ("돼요", "됩니"),
)
# Hangul syllables: final consonants 0 (none) to 27; 8 is ㄹ, 17 ㅂ, 19 ㅅ, 20 ㅆ, 27 ㅎ.
FIRST_SYLLABLE, NUM_FINALS = 0xAC00, 28
RIEUL = 8


def final_of(syllable: str) -> int:
    """The index of a syllable's final consonant; 0 if it has none."""
    return (ord(syllable) - FIRST_SYLLABLE) % NUM_FINALS


def make_casual(text: str) -> str | None:
    """해요체 as 반말; None if the sentence is no single polite one, or honours its subject."""
    body, marks = split_end(text)
    if not body.endswith(("요", "죠")) or HONORIFIC.search(body) or has_inner_end(body):
        return None
    for polite, casual in CASUAL:
        if body.endswith(polite):
            body = body.removesuffix(polite) + casual
            break
    else:
        body = body.removesuffix(FINAL_PARTICLE)
    for humble, plain in HUMBLE:
        body = humble.sub(plain, body)
    return None if re.search(r"(?<![가-힣])저희", body) else body + marks


def make_formal(text: str) -> str | None:
    """해요체 as 합니다체; None where the verb's stem cannot be told from its polite form."""
    body, marks = split_end(text)
    if has_inner_end(body):
        return None
    end = "까" if "?" in marks else "다"
    if body.endswith("세요") and "?" not in marks:
        return body.removesuffix("세요") + "십시오" + marks
    if body.endswith("세요"):
        return body.removesuffix("세요") + "십니까" + marks
    for polite, formal in FORMAL:
        if body.endswith(polite):
            return body.removesuffix(polite) + formal + end + marks
    match = re.search(r"([가-힣])[아어]요$", body)
    # ㄹ may be that of 듣다, whose stem changes
    if match and final_of(match[1]) not in (0, RIEUL):
        return body[: match.end(1)] + "습니" + end + marks
    return None


def split_end(text: str) -> tuple[str, str]:
    match = END.match(text.strip())
    assert match is not None
    return match["body"], match["marks"]


def has_inner_end(body: str) -> bool:
    """Whether there are several sentences, each with a level of its own."""
    return bool(re.search(r"[.!?]\s|(요|다|죠),\s", body))
