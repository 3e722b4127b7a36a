"""Korean verb forms and numbers: regular and irregular stems, speech levels.

A verb is named by its dictionary form. Irregular stems are recognized: by lists if a class is small
(걷다, 짓다), and by lists of the regular exceptions if it is large (춥다, 모르다, 빨갛다). Of
homographs the more common one is meant (묻다 asks, 걷다 walks, 굽다 bakes, 이르다 is early), unless
the class of the other is named: 묻다 buries, 걷다 rolls up, 굽다 is bent, 이르다 arrives.
Source of the classes: 한글 맞춤법 (rules of Hangul spelling), articles 16, 18 and 34 to 39.
"""

from dataclasses import dataclass
from typing import Literal

from service.text.korean.hangul import join_syllable, split_syllable
from service.text.korean.particles import choose_particle

Level = Literal["해요", "합니다", "해", "한다", "네요", "음"]
Tense = Literal["present", "past", "future"]
Negation = Literal["", "안", "못", "지 않다"]
Irregularity = Literal["", "ㅂ", "ㄷ", "ㅅ", "ㅎ", "르", "러", "우"]

BRIGHT = "ㅏㅑㅗ"  # are followed by 아, all others by 어
CONTRACTIONS = {"ㅗ": "ㅘ", "ㅜ": "ㅝ", "ㅣ": "ㅕ", "ㅚ": "ㅙ"}
SILENT = "ㅏㅓㅐㅔㅕ"  # swallow 아 and 어

# endings of stems
IRREGULAR_D = ("듣", "걷", "묻", "깨닫", "싣", "긷", "일컫")
REGULAR_D = ("파묻",)
IRREGULAR_S = ("짓", "낫", "붓", "잇", "긋", "젓")
IRREGULAR_REO = ("푸르",)
REGULAR_B = ("입", "잡", "씹", "뽑", "좁", "접", "업", "꼽", "집", "뵙", "수줍")
REGULAR_REU = ("따르", "치르", "들르", "다다르", "우러르")
REGULAR_H = ("좋", "놓", "넣", "낳", "쌓", "닿", "찧", "땋", "빻")
DEMONSTRATIVES = ("이렇", "그렇", "저렇", "어떻")  # 그래, but 퍼렇다: 퍼레

# With 아 or 어. 비다 is not contracted, 머물다 is short for 머무르다, 뵙다 stands for 뵈다.
INFINITIVES = {
    **{"비": "비어", "머물": "머물러", "서툴": "서툴러", "뵙": "봬", "찾아뵙": "찾아봬"},
    **{"그러": "그래", "이러": "이래", "저러": "저래", "어쩌": "어째"},
}

HONORIFICS = {"먹": "드시", "마시": "드시", "자": "주무시", "있": "계시", "말하": "말씀하시"}
OPPOSITES = {"있": "없", "알": "모르"}  # are said instead of 안 있다, 안 알다


@dataclass(frozen=True)
class Verb:
    """A verb or an adjective.

    Attributes:
        stem: the dictionary form without 다.
        noun: what 안 and 못 follow rather than precede: 공부 안 해요.
        named: the irregularity of a homograph that the stem does not tell; empty if it is regular.
    """

    stem: str
    is_adjective: bool = False
    noun: str = ""
    named: Irregularity | None = None

    @classmethod
    def parse(
        cls, form: str, *, is_adjective: bool = False, named: Irregularity | None = None
    ) -> "Verb":
        """Reads a dictionary form such as 먹다; 공부+하다 for a verb that 안 divides.

        Raises:
            ValueError: the form does not end in 다, or is nothing but it.
        """
        noun, _, verb = form.rpartition("+")
        if not verb.endswith("다") or len(verb) < 2:
            raise ValueError(f"{form!r} is not a dictionary form, which ends in 다")
        return cls(verb[:-1], is_adjective, noun, named)

    @property
    def irregularity(self) -> Irregularity:
        """Empty if the stem is regular."""
        if self.named is not None:
            return self.named
        stem = self.stem
        found: dict[Irregularity, bool] = {
            "ㅂ": not stem.endswith(REGULAR_B),
            "ㄷ": stem.endswith(IRREGULAR_D) and stem not in REGULAR_D,
            "ㅅ": stem.endswith(IRREGULAR_S),
            "ㅎ": not stem.endswith(REGULAR_H),
        }
        final = split_syllable(stem[-1])[2]
        for irregularity, is_irregular in found.items():
            if final == irregularity and is_irregular:
                return irregularity
        if stem.endswith(IRREGULAR_REO):
            return "러"
        if stem.endswith("르") and len(stem) > 1 and not stem.endswith(REGULAR_REU):
            return "르"
        return "우" if stem == "푸" else ""

    @property
    def infinitive(self) -> str:
        """With 아 or 어: 먹어, 가, 해, 도와, 몰라."""
        stem = self.stem
        if stem in INFINITIVES:
            return INFINITIVES[stem]
        _, vowel, final = split_syllable(stem[-1])
        ending = "아" if vowel in BRIGHT and final != "ㅆ" else "어"  # 앉아, but 갔어 and 먹어
        match self.irregularity:
            case "ㅂ":
                return drop_final(stem) + ("와" if stem in ("돕", "곱") else "워")
            case "ㄷ" | "ㅅ":
                return self.eu_stem[:-1] + ending
            case "ㅎ":
                return contract_hieut(stem)
            case "르":
                before = split_syllable(stem[-2])[1]
                return put_final(stem[:-1], "ㄹ") + ("라" if before in BRIGHT else "러")
            case "러":
                return stem + "러"
            case "우":
                return "퍼"
        return stem + ending if final else contract_vowel(stem)

    @property
    def eu_stem(self) -> str:
        """What endings with 으 are joined to: 먹으, 가, 만들, 도우, 걸으, 지으, 빨가."""
        stem = self.stem
        if stem.endswith("뵙"):
            return stem[:-1] + "뵈"
        match self.irregularity:
            case "ㅂ":
                return drop_final(stem) + "우"
            case "ㄷ":
                return put_final(stem, "ㄹ") + "으"
            case "ㅅ":
                return drop_final(stem) + "으"
            case "ㅎ":
                return drop_final(stem)
        return stem if split_syllable(stem[-1])[2] in ("", "ㄹ") else stem + "으"

    @property
    def past(self) -> "Verb":
        """The stem of the past: 먹었, 갔, 했."""
        return Verb(put_final(self.infinitive, "ㅆ"), is_adjective=True, noun=self.noun)

    @property
    def is_past(self) -> bool:
        """Whether it is a stem of the past."""
        return split_syllable(self.stem[-1])[2] == "ㅆ" and self.stem != "있"

    @property
    def honorific(self) -> "Verb":
        """The stem that honours the subject: 가시, 읽으시, 드시."""
        stem = HONORIFICS.get(self.stem) or without_rieul(self.eu_stem) + "시"
        return Verb(stem, self.is_adjective, self.noun)

    def with_final(self, final: str) -> str:
        """Joins ㄴ, ㄹ or ㅂ to the stem or its 으: 간, 먹은, 만들, 추울."""
        return put_final(self.eu_stem, final)

    def attach(self, ending: str) -> str:
        """Joins an ending: 고, 지, 지만, 는 and 세요, 면, 려고, 러, 니까, 시 with 으 if needed."""
        if ending[0] in "면려러":
            return self.eu_stem + ending
        if ending[0] in "세시니":
            return without_rieul(self.eu_stem) + ending
        return without_rieul(self.stem) + ending if ending[0] == "는" else self.stem + ending

    @property
    def adnominal(self) -> str:
        """What describes a noun in the present: 가는, 추운, 있는."""
        if self.is_adjective and not self.stem.endswith(("있", "없")):
            return self.with_final("ㄴ")
        return self.attach("는")


def conjugate(
    verb: Verb,
    *,
    level: Level = "해요",
    tense: Tense = "present",
    negation: Negation = "",
    question: bool = False,
    honorific: bool = False,
) -> str:
    """Returns the form that ends a sentence, without punctuation.

    Args:
        verb: the verb or adjective.
        level: 해요, 합니다 (polite and formal), 해 (familiar), 한다 (written), 네요 (exclaims)
            or 음 (notes).
        tense: the future is the one with 거예요.
        negation: 안 and 못 precede the verb, or follow its noun; 지 않다 follows it.
        question: whether the form asks; 해요 and 해 do not show it.
        honorific: whether the subject is honoured.
    """
    before = f"{verb.noun} " if verb.noun and negation in ("안", "못") else verb.noun
    if negation in ("안", "못"):
        opposite = OPPOSITES.get(verb.stem) if negation == "안" else None
        verb = Verb(opposite, verb.is_adjective) if opposite else verb
        before += "" if opposite else f"{negation} "
    if honorific:
        verb = verb.honorific
    if negation == "지 않다":
        before, verb = f"{before}{verb.attach('지')} ", Verb("않", verb.is_adjective)
    if tense == "future":
        return f"{before}{verb.with_final('ㄹ')} {end_future(level, question)}"
    return before + end_sentence(verb.past if tense == "past" else verb, level, question)


def end_sentence(verb: Verb, level: Level, question: bool) -> str:
    match level:
        case "해요":
            if verb.stem.endswith("시"):
                return verb.stem[:-1] + "세요" if is_honorific(verb) else verb.infinitive + "요"
            return verb.infinitive + "요"
        case "해":
            return verb.infinitive
        case "합니다":
            return join_formal(verb) + ("니까" if question else "니다")
        case "네요":
            return without_rieul(verb.stem) + "네요"
        case "음":
            return verb.with_final("ㄻ" if verb.stem != without_rieul(verb.stem) else "ㅁ")
    return end_question(verb) if question else end_plain(verb)


def end_question(verb: Verb) -> str:
    is_past = split_syllable(verb.stem[-1])[2] == "ㅆ"
    return (verb.attach("는") if is_past else verb.adnominal) + "가"


def end_plain(verb: Verb) -> str:
    """The written form: 좋다, 먹는다."""
    if verb.is_adjective or verb.stem.endswith(("있", "없")):
        return verb.stem + "다"
    if split_syllable(verb.stem[-1])[2] in ("", "ㄹ"):
        return put_final(verb.stem, "ㄴ") + "다"
    return verb.stem + "는다"


def is_honorific(verb: Verb) -> bool:
    """Tells 시 of an honorific from that of a stem such as 시, 마시 and 눈부시."""
    return verb.stem != "시" and not verb.stem.endswith(("마시", "모시", "부시", "쑤시"))


def end_future(level: Level, question: bool) -> str:
    endings = {"해요": "거예요", "합니다": "겁니다", "해": "거야", "한다": "것이다"}
    endings |= {"네요": "거네요", "음": "것임"}
    questions = {"합니다": "겁니까", "한다": "것인가"}
    return questions.get(level, endings[level]) if question else endings[level]


def join_copula(
    noun: str,
    *,
    level: Level = "해요",
    tense: Literal["present", "past"] = "present",
    negated: bool = False,
    question: bool = False,
) -> str:
    """Returns the noun with 이다 or, negated, 아니다: 책이에요, 의사예요, 책이 아니에요."""
    if negated:
        return f"{noun}{choose_particle(noun, '이')} {end_negated(level, tense, question)}"
    is_short = choose_particle(noun, "이야") == "야"
    if tense == "past":
        past = Verb("였" if is_short else "이었", is_adjective=True)
        return noun + end_sentence(past, level, question)
    endings: dict[Level, str] = {
        "해요": choose_particle(noun, "이에요"),
        "해": choose_particle(noun, "이야"),
        "합니다": "입니까" if question else "입니다",
        "한다": "인가" if question else "다" if is_short else "이다",
        "네요": "네요" if is_short else "이네요",
        "음": "임",
    }
    return noun + endings[level]


def end_negated(level: Level, tense: Literal["present", "past"], question: bool) -> str:
    if tense == "past":
        return end_sentence(Verb("아니었", is_adjective=True), level, question)
    if level in ("해요", "해"):
        return {"해요": "아니에요", "해": "아니야"}[level]
    return end_sentence(Verb("아니", is_adjective=True), level, question)


def put_final(text: str, final: str) -> str:
    """Gives the last syllable this final, in place of its own."""
    initial, vowel, _ = split_syllable(text[-1])
    return text[:-1] + join_syllable(initial, vowel, final)


def drop_final(text: str) -> str:
    return put_final(text, "")


def without_rieul(text: str) -> str:
    """Drops a final ㄹ, as before ㄴ, ㅂ and ㅅ."""
    return drop_final(text) if split_syllable(text[-1])[2] == "ㄹ" else text


def contract_vowel(stem: str) -> str:
    """Joins an open stem with 아 or 어: 봐, 줘, 마셔, 바빠, 쉬어, 해."""
    if stem.endswith("하"):
        return stem[:-1] + "해"
    initial, vowel, _ = split_syllable(stem[-1])
    if vowel == "ㅡ":
        before = split_syllable(stem[-2])[1] if len(stem) > 1 else ""
        return stem[:-1] + join_syllable(initial, "ㅏ" if before and before in BRIGHT else "ㅓ")
    if vowel in CONTRACTIONS:
        return stem[:-1] + join_syllable(initial, CONTRACTIONS[vowel])
    return stem if vowel in SILENT else stem + "어"


def contract_hieut(stem: str) -> str:
    """Joins a stem that loses its ㅎ with 아 or 어: 빨개, 하얘, 퍼레, 그래."""
    initial, vowel, _ = split_syllable(stem[-1])
    bright = vowel in BRIGHT or stem.endswith(DEMONSTRATIVES)
    contracted = {"ㅑ": "ㅒ", "ㅕ": "ㅖ"}.get(vowel, "ㅐ" if bright else "ㅔ")
    return stem[:-1] + join_syllable(initial, contracted)


def join_formal(verb: Verb) -> str:
    if split_syllable(verb.stem[-1])[2] in ("", "ㄹ"):
        return put_final(verb.stem, "ㅂ")
    return verb.stem + "습"


DIGITS = "영일이삼사오육칠팔구"
TENS = ["", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔"]
ONES = ["", "하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉"]
BEFORE_COUNTERS = {"하나": "한", "둘": "두", "셋": "세", "넷": "네"}


def read_sino(number: int) -> str:
    """Spells a number of 0 to 99,999,999 in Sino-Korean words: 만 이천, 삼십오.

    Raises:
        ValueError: the number is out of range.
    """
    if not 0 <= number < 10**8:
        raise ValueError(f"{number} is not between 0 and 99,999,999")
    myriads, rest = divmod(number, 10_000)
    words = [f"{'' if myriads == 1 else _read_block(myriads)}만"] if myriads else []
    words += [_read_block(rest)] if rest else []
    return " ".join(words) or DIGITS[0]


def read_native(number: int, *, counts: bool = False) -> str:
    """Spells a number of 1 to 99 in native words: 스물하나; before a counter: 스물한, 스무.

    Raises:
        ValueError: the number is out of range.
    """
    if not 0 < number < 100:
        raise ValueError(f"{number} is not between 1 and 99")
    if counts and number == 20:
        return "스무"
    one = ONES[number % 10]
    return TENS[number // 10] + (BEFORE_COUNTERS.get(one, one) if counts else one)


def _read_block(number: int) -> str:
    parts = []
    for power, unit in ((1000, "천"), (100, "백"), (10, "십")):
        if digit := number // power % 10:
            parts.append((DIGITS[digit] if digit > 1 else "") + unit)
    return "".join(parts) + (DIGITS[number % 10] if number % 10 else "")
