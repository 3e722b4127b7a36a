"""Detects the language of a text, and names languages.

The script decides first (Hangul can only be Korean), then a statistical detector ranks all the
languages that share it. Independent of models: the caller passes the languages that are served,
which are likelier than others to be what a client sends.
"""

import copy
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import regex
from py3langid.langid import MODEL_FILE, LanguageIdentifier

# Enough to be sure; detection is linear in the length, and texts may be long.
SAMPLE_CHARS = 2000
LETTER = re.compile(r"[^\W\d_]")

# Detection is sampled further, since it costs more than finding the script.
RANKED_CHARS = 300

# How much likelier a text is in a language that is served than in one that is not, before it is
# looked at: a few letters ("ok") tell nothing else.
SERVED_WEIGHT = 10
# When a text is certainly in a language that is not served. By these rules none of 33,000 English
# and German texts (reviews, captions, chats, text messages, interface strings) is in another
# language, and 32 of 33 short sentences in 17 other languages are.
MIN_FOREIGN_LETTERS = 20
MIN_FOREIGN_CONFIDENCE = 90.0  # of all languages that are not served together
MIN_BEST_CONFIDENCE = 50.0  # of one of them
# Likelihood below which a language that is not served is left out.
NEGLIGIBLE = 0.001

# Texts with fewer letters are judged with their neighbours; LibreTranslate does so below as many
# characters. The share tells how readily a short text may differ from its neighbours.
SHORT_LETTERS = 40
DISSENT = 0.05

# A syllable or an ideogram carries as much as about three letters: a Korean sentence that contains
# an English brand name remains Korean.
SCRIPT_WEIGHTS = {"hangul": 3, "han": 3, "kana": 2}

# Scripts of the languages that are not usually written in Latin letters; all others are.
SCRIPTS = {
    "am": ("ethiopic",),
    "ar": ("arabic",),
    "be": ("cyrillic",),
    "bg": ("cyrillic",),
    "bn": ("bengali",),
    "el": ("greek",),
    "fa": ("arabic",),
    "gu": ("gujarati",),
    "he": ("hebrew",),
    "hi": ("devanagari",),
    "hy": ("armenian",),
    "ja": ("kana", "han"),
    "ka": ("georgian",),
    "kk": ("cyrillic",),
    "km": ("khmer",),
    "kn": ("kannada",),
    "ko": ("hangul",),
    "lo": ("lao",),
    "mk": ("cyrillic",),
    "ml": ("malayalam",),
    "mn": ("cyrillic",),
    "mr": ("devanagari",),
    "my": ("myanmar",),
    "ne": ("devanagari",),
    "pa": ("gurmukhi",),
    "ps": ("arabic",),
    "ru": ("cyrillic",),
    "si": ("sinhala",),
    "sr": ("cyrillic", "latin"),
    "ta": ("tamil",),
    "te": ("telugu",),
    "th": ("thai",),
    "uk": ("cyrillic",),
    "ur": ("arabic",),
    "zh": ("han",),
}
LATIN = ("latin",)

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
    "af": "Afrikaans",
    "am": "Amharic",
    "ar": "Arabic",
    "az": "Azerbaijani",
    "be": "Belarusian",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "ca": "Catalan",
    "cs": "Czech",
    "cy": "Welsh",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "eo": "Esperanto",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "ga": "Irish",
    "gl": "Galician",
    "gu": "Gujarati",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "ht": "Haitian Creole",
    "hu": "Hungarian",
    "hy": "Armenian",
    "id": "Indonesian",
    "is": "Icelandic",
    "it": "Italian",
    "ja": "Japanese",
    "ka": "Georgian",
    "kk": "Kazakh",
    "km": "Khmer",
    "kn": "Kannada",
    "ko": "Korean",
    "lo": "Lao",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "mk": "Macedonian",
    "ml": "Malayalam",
    "mn": "Mongolian",
    "mr": "Marathi",
    "ms": "Malay",
    "my": "Burmese",
    "nb": "Norwegian Bokmål",
    "ne": "Nepali",
    "nl": "Dutch",
    "no": "Norwegian",
    "pa": "Punjabi",
    "pl": "Polish",
    "ps": "Pashto",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "si": "Sinhala",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sq": "Albanian",
    "sr": "Serbian",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "tl": "Tagalog",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "uz": "Uzbek",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
# Codes that the detector spells otherwise.
DETECTOR_LABELS = {"nb": "no"}


def display_name(code: str) -> str:
    """Returns the English name of a language code, or the code itself if it is unknown."""
    return NAMES.get(code, code)


# A language with its confidence, 0..100.
Detected = tuple[str, float]
# Languages with their shares, 0..1.
Ranking = dict[str, float]


def scripts_of(code: str) -> tuple[str, ...]:
    """Returns the scripts that a language is usually written in."""
    return SCRIPTS.get(code, LATIN)


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
    return SCRIPT_CODES.get(subtag) in scripts_of(language)


def dominant_script(text: str) -> str:
    """Names the script of most letters in a sample, like "latin"; "" without letters."""
    script, _ = find_script(take_sample(text))
    return script


def detect(text: str, served: Sequence[str]) -> list[Detected]:
    """Ranks the languages by likelihood, the most likely first.

    Args:
        text: of any length; only a sample of it is examined.
        served: codes of the languages that are served; ties keep their order.

    Returns:
        Each language with its confidence, 0..100: all that are served, and the others that it may
        be. All are 0 if the text has no letters.
    """
    (found,) = detect_all([text], served)
    return found


def detect_all(texts: Sequence[str], served: Sequence[str]) -> list[list[Detected]]:
    """Ranks the languages of each text as `detect` does; short ones are judged with the others."""
    samples = [take_sample(text) for text in texts]
    rankings = [rank_languages(sample, served) for sample in samples]
    if len(texts) > 1:
        rankings = judge_together(rankings, [count_letters(sample) for sample in samples])
    return [sort_ranking(ranking, served) for ranking in rankings]


def sort_ranking(ranking: Ranking, served: Sequence[str]) -> list[Detected]:
    codes = {**dict.fromkeys(served, 0.0), **ranking}
    ordered = sorted(codes.items(), key=lambda pair: -pair[1])  # stable
    return [(code, round(100 * share, 1)) for code, share in ordered]


def find_foreign(text: str, found: Sequence[Detected], served: Sequence[str]) -> str:
    """Names the language of a text that is certainly in none that is served; "" otherwise.

    Args:
        text: as it was detected.
        found: what `detect` found.
        served: codes.
    """
    best, confidence = found[0]
    if best in served or confidence < MIN_BEST_CONFIDENCE:
        return ""
    is_sure = sum(share for code, share in found if code not in served) >= MIN_FOREIGN_CONFIDENCE
    has_letters = count_letters(take_sample(text)) >= MIN_FOREIGN_LETTERS
    return best if is_sure and has_letters else ""


def judge_together(rankings: Sequence[Ranking], num_letters: Sequence[int]) -> list[Ranking]:
    """Weighs the languages of short texts by how much of the other texts is in them."""
    totals: defaultdict[str, float] = defaultdict(float)
    for ranking, count in zip(rankings, num_letters, strict=True):
        for code, share in ranking.items():
            totals[code] += share * count
    num_all = sum(num_letters)

    def weigh(ranking: Ranking, count: int) -> Ranking:
        if count >= SHORT_LETTERS or count == num_all:
            return ranking
        weighted = {
            code: share * (DISSENT + (totals[code] - share * count) / (num_all - count))
            for code, share in ranking.items()
        }
        return scale_ranking(weighted, sum(ranking.values()))

    return [weigh(ranking, count) for ranking, count in zip(rankings, num_letters, strict=True)]


def scale_ranking(ranking: Ranking, total: float) -> Ranking:
    """Scales shares so that they add up to the total; all stay 0 if they are."""
    scale = total / (sum(ranking.values()) or 1.0)
    return {code: share * scale for code, share in ranking.items()}


def count_letters(text: str) -> int:
    return sum(map(str.isalpha, text))


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


def rank_languages(sample: str, served: Sequence[str]) -> Ranking:
    """Estimates how likely each language is, 0..1; together they make up the script's share."""
    script, script_share = find_script(sample)
    fitting = [code for code in served if script in scripts_of(code)]
    likelihoods = estimate_likelihoods(sample[:RANKED_CHARS], script)
    # a language that the detector does not know may be what any text is in
    unknown = max(likelihoods.values(), default=1.0)
    labels = {code: DETECTOR_LABELS.get(code, code) for code in fitting}
    ranking = {
        label: likelihood for label, likelihood in likelihoods.items() if likelihood > NEGLIGIBLE
    }
    for code, label in labels.items():
        ranking.pop(label, None)
        ranking[code] = SERVED_WEIGHT * likelihoods.get(label, unknown)
    return scale_ranking(ranking, script_share)


def estimate_likelihoods(text: str, script: str) -> Ranking:
    """Estimates the likelihood (0..1) of each language that is known and written in the script."""
    known = list_known(script)
    if len(known) < 2:
        return dict.fromkeys(known, 1.0)
    return dict(restrict_detector(known).rank(text))


@lru_cache(maxsize=64)
def list_known(script: str) -> tuple[str, ...]:
    """Lists the languages of a script that the detector knows and that have a name here.

    The detector's others are dialects and small languages: they take likelihood from their
    relatives, so that hardly a sentence would certainly be Spanish.
    """
    codes = [code for code in NAMES if script in scripts_of(code)]
    if len(codes) < 2:
        return tuple(codes)  # needs no detector
    return tuple(code for code in codes if code in load_detector().labels)


@lru_cache(maxsize=1)
def load_detector() -> LanguageIdentifier:
    """Loads the detector on first use, about a second and 80 MB; `warm_up` does it at the start."""
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@lru_cache(maxsize=64)
def restrict_detector(languages: tuple[str, ...]) -> LanguageIdentifier:
    # A shallow copy shares the big tables; set_languages replaces what differs, so that the
    # identifiers are read-only afterwards and safe to use from any thread.
    detector = copy.copy(load_detector())
    detector.set_languages(languages)
    # as the columns lie in the full table, a text costs three times as much
    detector.nb_ptc = np.ascontiguousarray(detector.nb_ptc, dtype=np.float32)
    return detector


def warm_up(served: Sequence[str]) -> None:
    """Loads the detector now if these languages need it, so that no request has to wait for it."""
    for script in dict.fromkeys(script for code in served for script in scripts_of(code)):
        estimate_likelihoods("warm up", script)
