"""Forms of Korean words that a grammar leaves open: particles, and predicates.

A text marks a particle by brackets, 영화[은], and a predicate by angle brackets around a dictionary
form and its options: <좋다 adj past>. The words before a dictionary form stay as they are, and 안
stands behind them: <마음에 들다 안>. The options are

- adj: an adjective; without it, a verb,
- past, future, ?, 시, and 안, 못 or 않다 for the negation: see `korean.conjugate`,
- a connective, such as 고: the sentence goes on.

<이다> is the copula, negated by 아니.
"""

import re
from collections.abc import Callable, Mapping

from models.synthesis.korean import Level, Negation, Tense, Verb, conjugate, end_plain, join_copula
from service.text.particles import choose_particle

PARTICLE = re.compile(r"\[([가-힣]+)\]")
PREDICATE = re.compile(r"<([가-힣][^<>]*)>")
FORM = re.compile(r"(?:(.*?) )??(\S*다)((?: \S+)*)")
FAMILIAR = {"제": "내", "저는": "나는"}

NEGATIONS: Mapping[str, Negation] = {"안": "안", "못": "못", "않다": "지 않다"}
TENSES: Mapping[str, Tense] = {"past": "past", "future": "future"}
MARKS = {"?", "시", "adj", "아니"}
CONNECTIVES: Mapping[str, Callable[[Verb], str]] = {
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

    Raises:
        ValueError: a predicate has no dictionary form, or an unknown option.
    """
    while marked := re.search(f"{PARTICLE.pattern}|{PREDICATE.pattern}", text):
        before, after = text[: marked.start()], text[marked.end() :]
        if marked[1]:
            text = before + choose_particle(before, marked[1]) + after
        else:
            text = form_predicate(before, marked[2], level) + after
    if level in ("해", "한다"):
        return " ".join(FAMILIAR.get(word, word) for word in text.split(" "))
    return text


def form_predicate(before: str, predicate: str, level: Level) -> str:
    """Joins a predicate, a dictionary form and its options, to the text before it.

    Raises:
        ValueError: there is no dictionary form, or an option is unknown.
    """
    if not (parts := FORM.fullmatch(predicate)):
        raise ValueError(f"<{predicate}>: not a dictionary form, which ends in 다")
    words, form, options = parts[1], parts[2], parts[3].split()
    if unknown := set(options) - NEGATIONS.keys() - TENSES.keys() - MARKS - CONNECTIVES.keys():
        raise ValueError(f"<{predicate}>: unknown option {', '.join(sorted(unknown))}")
    before += f"{words} " if words else ""
    if form == "이다":
        return join_copula(
            before,
            level=level,
            tense="past" if "past" in options else "present",
            negated="아니" in options,
            question="?" in options,
        )
    verb = Verb.parse(form, is_adjective="adj" in options)
    for name in options:
        if name in CONNECTIVES:
            return before + verb.noun + CONNECTIVES[name](verb.past if "past" in options else verb)
    return before + conjugate(
        verb,
        level=level,
        tense=next((TENSES[name] for name in options if name in TENSES), "present"),
        negation=next((NEGATIONS[name] for name in options if name in NEGATIONS), ""),
        question="?" in options,
        honorific="시" in options,
    )
