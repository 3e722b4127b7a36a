"""Forms of Korean words that a grammar leaves open: particles, and predicates.

A text marks a particle by brackets, 영화[은], and a predicate by angle brackets around a dictionary
form and its options: <좋다 adj past>. The words before a dictionary form stay as they are, and 안
stands behind them: <마음에 들다 안>. The options are

- adj: an adjective; without it, a verb,
- past, future, ?, 시, and 안, 못 or 않다 for the negation: see `korean.conjugate`,
- 규칙 or 러: the class of a homograph, see `korean`: <나무 밑에 묻다 규칙>, <산에 이르다 러>,
- a connective, such as 고: the sentence goes on.

<이다> is the copula, negated by 아니; with adj, so is the end of a word: <감동적이다 adj>.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from models.synthesis.korean import (
    Irregularity,
    Level,
    Negation,
    Tense,
    Verb,
    conjugate,
    end_plain,
    join_copula,
)
from service.text.korean.particles import choose_particle

PARTICLE = re.compile(r"\[([가-힣]+)\]")
PREDICATE = re.compile(r"<([가-힣][^<>]*)>")
FORM = re.compile(r"(?:(.*?) )??(\S*다)((?: \S+)*)")
POLITE_LEVELS = ("해요", "합니다")
FAMILIAR = {
    "제": "내",
    "제가": "내가",
    "저는": "나는",
    "저도": "나도",
    "저를": "나를",
    "저한테": "나한테",
    "저에게": "나에게",
    "저희": "우리",
    "저희는": "우리는",
    "저희가": "우리가",
}

NEGATIONS: Mapping[str, Negation] = {"안": "안", "못": "못", "않다": "지 않다"}
TENSES: Mapping[str, Tense] = {"past": "past", "future": "future"}
CLASSES: Mapping[str, Irregularity] = {"규칙": "", "러": "러"}
MARKS = {"?", "시", "adj", "아니", *CLASSES}
Connective = Callable[[Verb], str]
CONNECTIVES: Mapping[str, Connective] = {
    "고": lambda verb: verb.attach("고"),
    "지": lambda verb: verb.attach("지"),
    "지만": lambda verb: verb.attach("지만"),
    "면": lambda verb: verb.attach("면"),
    "려고": lambda verb: verb.attach("려고"),
    "기": lambda verb: verb.attach("기"),
    "다고": lambda verb: end_plain(verb) + "고",
    "는": lambda verb: verb.adnominal,
    "는데": lambda verb: (verb.attach("는") if verb.is_past else verb.adnominal) + "데",
    "던": lambda verb: verb.attach("던"),
    "ㄴ": lambda verb: verb.with_final("ㄴ"),
    "ㄹ": lambda verb: verb.with_final("ㄹ"),
    "어": lambda verb: verb.infinitive,
}


def inflect(text: str, level: Level) -> str:
    """Chooses the particles and forms the predicates of a Korean sentence, from the left.

    The speaker of a familiar level says 나, unless the sentence has no predicate to form at the
    end.

    Raises:
        ValueError: a predicate has no dictionary form, or an unknown option.
    """
    has_end = False
    while marked := re.search(f"{PARTICLE.pattern}|{PREDICATE.pattern}", text):
        before, after = text[: marked.start()], text[marked.end() :]
        if marked[1]:
            text = before + choose_particle(before, marked[1]) + after
        else:
            has_end |= CONNECTIVES.keys().isdisjoint(marked[2].split())
            text = form_predicate(before, marked[2], level) + after
    if has_end and level not in POLITE_LEVELS:
        return " ".join(FAMILIAR.get(word, word) for word in text.split(" "))
    return text


def form_predicate(before: str, predicate: str, level: Level) -> str:
    """Joins a predicate, a dictionary form and its options, to the text before it.

    Raises:
        ValueError: the dictionary form is missing, or an option is unknown.
    """
    if not (parts := FORM.fullmatch(predicate)):
        raise ValueError(f"<{predicate}>: not a dictionary form, which ends in 다")
    words, form, options = parts[1], parts[2], parts[3].split()
    if unknown := set(options) - NEGATIONS.keys() - TENSES.keys() - MARKS - CONNECTIVES.keys():
        raise ValueError(f"<{predicate}>: unknown option {', '.join(sorted(unknown))}")
    before += f"{words} " if words else ""
    connective = next((CONNECTIVES[name] for name in options if name in CONNECTIVES), None)
    if form.endswith("이다") and (form == "이다" or "adj" in options) and "않다" not in options:
        noun = before + form[:-2]
        return (
            connect_copula(noun, options, connective)
            if connective
            else end_copula(noun, options, level)
        )
    named = next((CLASSES[name] for name in options if name in CLASSES), None)
    verb = Verb.parse(form, is_adjective="adj" in options, named=named)
    if connective:
        return before + connect(verb, options, connective)
    return before + conjugate(
        verb,
        level=level,
        tense=next((TENSES[name] for name in options if name in TENSES), "present"),
        negation=next((NEGATIONS[name] for name in options if name in NEGATIONS), ""),
        question="?" in options,
        honorific="시" in options,
    )


def end_copula(noun: str, options: Sequence[str], level: Level) -> str:
    return join_copula(
        noun,
        level=level,
        tense="past" if "past" in options else "present",
        negated="아니" in options,
        question="?" in options,
    )


def connect_copula(noun: str, options: Sequence[str], connective: Connective) -> str:
    is_short = choose_particle(noun, "이야") == "야"
    past = "였" if is_short else "이었"
    return noun + connective(Verb(past if "past" in options else "이", is_adjective=True))


def connect(verb: Verb, options: Sequence[str], connective: Connective) -> str:
    """The form of a predicate after which the sentence goes on: 공부 안 하고, 좋지 않은데."""
    before = verb.noun
    if negation := next((name for name in ("안", "못") if name in options), ""):
        before = f"{before} {negation} ".lstrip()
    if "않다" in options:
        before, verb = f"{before}{verb.attach('지')} ", Verb("않", verb.is_adjective)
    return before + connective(verb.past if "past" in options else verb)
