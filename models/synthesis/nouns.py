"""Forms of everyday nouns, read from nouns.toml: articles, cases and plurals.

A form's key is the language, or language_field as a pattern asks for it by {noun.field}. The fields
of English are `a` (an apple) and `many` (apples). Those of German are named by the masculine form
of the word before the noun: `der`, `den` and `dem`; the same cases of ein, kein, mein, dein and
dieser; `zum` and `im`, which are joined to the article; `er`, the pronoun; `many`, the plural.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

NOUNS = Path(__file__).with_name("nouns.toml")
SEPARATOR = " | "
WEAK = "*"

# nominative, accusative and dative by gender, which the article in the nominative names
ARTICLES: Mapping[str, Sequence[str]] = {
    "der": ("der", "den", "dem"),
    "die": ("die", "die", "der"),
    "das": ("das", "das", "dem"),
}
ENDINGS: Mapping[str, Sequence[str]] = {  # of ein, kein, mein
    "der": ("", "en", "em"),
    "die": ("e", "e", "er"),
    "das": ("", "", "em"),
}
DEMONSTRATIVES: Mapping[str, Sequence[str]] = {
    "der": ("dieser", "diesen", "diesem"),
    "die": ("diese", "diese", "dieser"),
    "das": ("dieses", "dieses", "diesem"),
}
LIKE_EIN = ("kein", "mein", "dein")
PRONOUNS = {"der": "er", "die": "sie", "das": "es"}
CONSONANT_SOUND = ("uni", "eu", "one")  # a university


def read_nouns(path: Path = NOUNS) -> dict[str, list[dict[str, str]]]:
    """Reads the nouns by topic, each with its forms.

    Raises:
        ValueError: the file is not TOML, or an entry does not have three or five parts.
        OSError: the file cannot be read.
    """
    topics: dict[str, list[str]] = tomllib.loads(path.read_text(encoding="utf-8"))
    return {topic: [make_forms(entry) for entry in entries] for topic, entries in topics.items()}


def make_forms(entry: str) -> dict[str, str]:
    """Makes the forms of "English | plural | Korean | German with its article | plural".

    An entry without the plurals has no `a`, `ein` and `many`; without a German article, it has
    none of the German fields.

    Raises:
        ValueError: there are other than three or five parts.
    """
    match entry.split(SEPARATOR):
        case [english, korean, german]:
            return {"en": english, "ko": korean, **_german_forms(german, "")}
        case [english, plural, korean, german, german_plural]:
            article = "an" if _begins_with_vowel(english) else "a"
            return {
                "en": english,
                "en_a": f"{article} {english}",
                "en_many": plural,
                "ko": korean,
                **_german_forms(german, german_plural),
            }
    raise ValueError(f"{entry!r} does not have three or five parts with {SEPARATOR!r} between")


def _german_forms(german: str, plural: str) -> dict[str, str]:
    article, _, noun = german.partition(" ")
    if article not in ARTICLES:
        return {"de": german}
    is_weak = noun.endswith(WEAK)
    noun = noun.removesuffix(WEAK)
    cases = (noun, plural, plural) if is_weak else (noun, noun, noun)
    forms = {"de": noun, "de_er": PRONOUNS[article]}
    determiners = [ARTICLES, DEMONSTRATIVES, *map(_inflect_like_ein, LIKE_EIN)]
    if plural:
        determiners.append(_inflect_like_ein("ein"))
    for determiner in determiners:
        for name, form, case in zip(determiner["der"], determiner[article], cases, strict=True):
            forms[f"de_{name}"] = f"{form} {case}"
    dative = cases[2]
    forms["de_zum"] = f"zur {dative}" if article == "die" else f"zum {dative}"
    forms["de_im"] = f"in der {dative}" if article == "die" else f"im {dative}"
    if plural:
        forms["de_many"] = plural
    return forms


def _inflect_like_ein(stem: str) -> Mapping[str, Sequence[str]]:
    return {gender: [stem + ending for ending in endings] for gender, endings in ENDINGS.items()}


def _begins_with_vowel(english: str) -> bool:
    return bool(re.match("[aeiou]", english, re.IGNORECASE)) and not english.startswith(
        CONSONANT_SOUND
    )
