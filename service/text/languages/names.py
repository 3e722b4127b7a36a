"""Names languages, and finds those that clients mean by their codes. Independent of models."""

from collections.abc import Sequence

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


def display_name(code: str) -> str:
    """Returns the English name of a language code, or the code itself if it is unknown."""
    return NAMES.get(code, code)


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
