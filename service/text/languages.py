"""Detects the language of a text, and names languages.

The script decides first (Hangul can only be Korean), then a statistical detector chooses among the
languages that share it. Independent of models: the caller passes the candidates.
"""

import copy
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import regex
from py3langid.langid import MODEL_FILE, LanguageIdentifier

# Enough to be sure; detection is linear in the length, and texts may be long.
SAMPLE_CHARS = 2000
LETTER = re.compile(r"[^\W\d_]")

# A syllable or an ideogram carries as much as about three letters: a Korean sentence that contains
# an English brand name remains Korean.
SCRIPT_WEIGHTS = {"hangul": 3, "han": 3, "kana": 2}

# Scripts of the languages that are not usually written in Latin letters; all others are.
SCRIPTS = {
    "ar": ("arabic",),
    "be": ("cyrillic",),
    "bg": ("cyrillic",),
    "bn": ("bengali",),
    "el": ("greek",),
    "fa": ("arabic",),
    "he": ("hebrew",),
    "hi": ("devanagari",),
    "ja": ("kana", "han"),
    "ka": ("georgian",),
    "ko": ("hangul",),
    "ru": ("cyrillic",),
    "sr": ("cyrillic", "latin"),
    "th": ("thai",),
    "uk": ("cyrillic",),
    "zh": ("han",),
}

SCRIPT_SUBTAG_CHARS = 4
# Scripts by their codes (ISO 15924), as language tags name them. Traditional characters (Hant) are
# missing on purpose: models of Chinese are of simplified ones unless their code says otherwise.
SCRIPT_CODES = {
    "arab": "arabic",
    "beng": "bengali",
    "cyrl": "cyrillic",
    "deva": "devanagari",
    "geor": "georgian",
    "grek": "greek",
    "hang": "hangul",
    "hani": "han",
    "hans": "han",
    "hebr": "hebrew",
    "jpan": "kana",
    "kore": "hangul",
    "latn": "latin",
    "thai": "thai",
}

# The other scripts in everyday use (Unicode Standard Annex 31, table 5) besides the two of kana.
SCRIPT_NAMES = (
    *("Latin", "Cyrillic", "Greek", "Armenian", "Georgian", "Hebrew", "Arabic", "Thaana"),
    *("Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil", "Telugu", "Kannada"),
    *("Malayalam", "Sinhala", "Thai", "Lao", "Tibetan", "Myanmar", "Khmer", "Ethiopic"),
    *("Hangul", "Han", "Bopomofo"),
)


def compile_scripts() -> "regex.Pattern[str]":
    """Compiles a pattern for one letter, in which the group that matches is named by the script."""
    groups = [
        r"(?P<kana>[\p{Script=Hiragana}\p{Script=Katakana}])",
        *(rf"(?P<{name.lower()}>\p{{Script={name}}})" for name in SCRIPT_NAMES),
        # Common letters belong to several scripts or to formulas: the long-vowel mark of kana, µ.
        r"(?P<unknown>[^\p{Script=Common}\p{Script=Inherited}])",
    ]
    letter = r"[\p{L}--[ªº\p{Lm}]]"  # ordinals and modifiers (5º, xⁿ) do not tell the script
    return regex.compile(f"(?={letter})(?:{'|'.join(groups)})", regex.VERSION1)


SCRIPT = compile_scripts()

NAMES = {
    "ar": "Arabic",
    "be": "Belarusian",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ka": "Georgian",
    "ko": "Korean",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "nb": "Norwegian Bokmål",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sr": "Serbian",
    "sv": "Swedish",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}


def display_name(code: str) -> str:
    """Returns the English name of a language code, or the code itself if it is unknown."""
    return NAMES.get(code, code)


def match_code(code: str, served: Sequence[str]) -> str:
    """Finds the served language that a client's code means; the code itself if there is none.

    An exact code wins, then one that differs in case or in `_` for `-`, then those without the last
    subtag, as in the lookup of RFC 4647: en_US means en. A script is only left out if the language
    is written in it: zh-Hant is not answered by a model of zh.
    """
    if code in served:
        return code
    spellings = {normalize_code(known): known for known in served}
    tag = normalize_code(code)
    while tag not in spellings:
        tag, dash, subtag = tag.rpartition("-")
        if not dash or (is_script(subtag) and not is_usual_script(tag, subtag)):
            return code
    return spellings[tag]


def normalize_code(code: str) -> str:
    return code.strip().replace("_", "-").lower()


def is_script(subtag: str) -> bool:
    return len(subtag) == SCRIPT_SUBTAG_CHARS and subtag.isalpha()


def is_usual_script(tag: str, subtag: str) -> bool:
    language, _, _ = tag.partition("-")
    return SCRIPT_CODES.get(subtag) in SCRIPTS.get(language, ("latin",))


def dominant_script(text: str) -> str:
    """Names the script of most letters in a sample, like "latin"; "" without letters."""
    script, _ = find_script(take_sample(text))
    return script


def detect(text: str, languages: Sequence[str]) -> list[tuple[str, float]]:
    """Ranks the languages by likelihood, the most likely first.

    Args:
        text: of any length; only a sample of it is examined.
        languages: codes to choose among; ties keep their order.

    Returns:
        Each code with its confidence, 0..100. All are 0 if the text has no letters, or is written
        in a script that none of the languages uses.
    """
    sample = take_sample(text)
    script, share = find_script(sample)
    if not script:
        return [(code, 0.0) for code in languages]
    fitting = [code for code in languages if script in SCRIPTS.get(code, ("latin",))]
    likelihoods = rank_languages(sample, fitting)
    scored = [(code, round(100 * share * likelihoods.get(code, 0.0), 1)) for code in languages]
    return sorted(scored, key=lambda pair: -pair[1])  # stable: the caller's order breaks ties


def take_sample(text: str) -> str:
    """Returns the start of the text from its first letter on: pages of figures may precede it."""
    first = LETTER.search(text)
    return text[first.start() : first.start() + SAMPLE_CHARS] if first else ""


def find_script(sample: str) -> tuple[str, float]:
    """Returns the most frequent script and its share (0..1) of the letters; "" without letters."""
    if sample.isascii():  # a sample begins with a letter
        return ("latin", 1.0) if sample else ("", 0.0)
    weights = weigh_scripts(sample)
    if not weights:
        return "", 0.0
    script, weight = weights.most_common(1)[0]
    return script, weight / weights.total()


def weigh_scripts(text: str) -> Counter[str]:
    weights: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if script := script_of(character):
            weights[script] += count * SCRIPT_WEIGHTS.get(script, 1)
    return weights


@lru_cache(maxsize=4096)
def script_of(character: str) -> str:
    """Names the script of a letter; "" for other characters, including ordinals and modifiers."""
    match = SCRIPT.match(character)
    return (match and match.lastgroup) or ""


def rank_languages(text: str, languages: Sequence[str]) -> dict[str, float]:
    """Estimates the likelihood (0..1) of each language, given that the text is in one of them."""
    if len(languages) < 2:
        return dict.fromkeys(languages, 1.0)
    known = tuple(sorted({code for code in languages if code in load_detector().labels}))
    if len(known) < 2:
        return dict.fromkeys(languages, 1.0 / len(languages))
    return dict(restrict_detector(known).rank(text))


@lru_cache(maxsize=1)
def load_detector() -> LanguageIdentifier:
    """Loads the detector on first use, about a second and 80 MB; `warm_up` does it at the start."""
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@lru_cache(maxsize=16)
def restrict_detector(languages: tuple[str, ...]) -> LanguageIdentifier:
    # A shallow copy shares the big tables; set_languages replaces what differs, so that the
    # identifiers are read-only afterwards and safe to use from any thread.
    detector = copy.copy(load_detector())
    detector.set_languages(languages)
    return detector


def warm_up(languages: Sequence[str]) -> None:
    """Loads the detector now if these languages need it, so that no request has to wait for it."""
    detect("warm up", languages)
