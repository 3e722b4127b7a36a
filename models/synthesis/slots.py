"""Values that are computed in three languages: numbers in words, telephone numbers, dates, prices.

A value maps a language to its text. Telephone numbers are ones that belong to nobody.
"""

from collections.abc import Callable, Mapping
from random import Random

from models.synthesis.korean import read_native, read_sino

Value = Mapping[str, str]

ONES_EN, TENS_EN, MONTHS_EN = (
    words.split()
    for words in (
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen",
        "_ _ twenty thirty forty fifty sixty seventy eighty ninety",
        "January February March April May June July August September October November December",
    )
)
ONES_DE, TENS_DE, MONTHS_DE = (
    words.split()
    for words in (
        "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn "
        "fünfzehn sechzehn siebzehn achtzehn neunzehn",
        "_ _ zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig",
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    )
)
ORDINALS = {1: "st", 2: "nd", 3: "rd"}

# ranges that are kept free for fiction, or begin with a digit that no subscriber has
PHONES = (
    "010-0###-####",
    "010-1###-####",
    "02-0###-####",
    "555-01##",
    "030 23125-###",
    "0171 39200##",
)
# English singular and plural, Korean noun and counter, German plural
COUNTED = [
    ("apple", "apples", "사과", "개", "Äpfel"),
    ("egg", "eggs", "달걀", "개", "Eier"),
    ("chair", "chairs", "의자", "개", "Stühle"),
    ("box", "boxes", "상자", "개", "Kisten"),
    ("book", "books", "책", "권", "Bücher"),
    ("notebook", "notebooks", "공책", "권", "Hefte"),
    ("ticket", "tickets", "표", "장", "Karten"),
    ("photo", "photos", "사진", "장", "Fotos"),
    ("stamp", "stamps", "우표", "장", "Briefmarken"),
    ("bottle of water", "bottles of water", "물", "병", "Flaschen Wasser"),
    ("bottle of beer", "bottles of beer", "맥주", "병", "Flaschen Bier"),
    ("cup of coffee", "cups of coffee", "커피", "잔", "Tassen Kaffee"),
    ("cup of tea", "cups of tea", "차", "잔", "Tassen Tee"),
    ("pencil", "pencils", "연필", "자루", "Bleistifte"),
    ("rose", "roses", "장미", "송이", "Rosen"),
    ("pair of socks", "pairs of socks", "양말", "켤레", "Paar Socken"),
    ("pair of shoes", "pairs of shoes", "신발", "켤레", "Paar Schuhe"),
    ("car", "cars", "자동차", "대", "Autos"),
    ("bicycle", "bicycles", "자전거", "대", "Fahrräder"),
    ("bowl of rice", "bowls of rice", "밥", "그릇", "Schüsseln Reis"),
]
ANIMALS = [
    ("cat", "cats", "고양이", "마리", "Katzen"),
    ("dog", "dogs", "개", "마리", "Hunde"),
    ("rabbit", "rabbits", "토끼", "마리", "Kaninchen"),
    ("horse", "horses", "말", "마리", "Pferde"),
    ("chicken", "chickens", "닭", "마리", "Hühner"),
    ("bird", "birds", "새", "마리", "Vögel"),
    ("sheep", "sheep", "양", "마리", "Schafe"),
]
PEOPLE = [
    ("student", "students", "학생", "명", "Schüler"),
    ("child", "children", "아이", "명", "Kinder"),
    ("guest", "guests", "손님", "명", "Gäste"),
    ("doctor", "doctors", "의사", "명", "Ärzte"),
    ("tourist", "tourists", "관광객", "명", "Touristen"),
    ("girl", "girls", "여자아이", "명", "Mädchen"),
]
Counted = tuple[str, str, str, str, str]


def spell_english(number: int) -> str:
    """Spells a number of 0 to 999,999."""
    if number < 20:
        return ONES_EN[number]
    if number < 100:
        tens, one = divmod(number, 10)
        return TENS_EN[tens] + (f"-{ONES_EN[one]}" if one else "")
    size, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    count, rest = divmod(number, size)
    return f"{spell_english(count)} {name}" + (f" {spell_english(rest)}" if rest else "")


def spell_german(number: int) -> str:
    """Spells a number of 0 to 999,999."""
    if number < 20:
        return ONES_DE[number]
    if number < 100:
        tens, one = divmod(number, 10)
        return (f"{_before_noun(ONES_DE[one])}und" if one else "") + TENS_DE[tens]
    size, name = (100, "hundert") if number < 1000 else (1000, "tausend")
    count, rest = divmod(number, size)
    return _before_noun(spell_german(count)) + name + (spell_german(rest) if rest else "")


def make_phone(rng: Random) -> Value:
    phone = "".join(str(rng.randrange(10)) if char == "#" else char for char in rng.choice(PHONES))
    return dict.fromkeys(("en", "ko", "de"), phone)


def make_date(rng: Random) -> Value:
    month, day = rng.randrange(12), rng.randint(1, 28)
    ordinal = "th" if 10 < day < 14 else ORDINALS.get(day % 10, "th")
    texts = {
        "en": f"{MONTHS_EN[month]} {day}" + rng.choice(("", ordinal)),
        "ko": f"{month + 1}월 {day}일",
        "de": f"{day}. {MONTHS_DE[month]}",
    }
    if rng.random() < 0.5:
        return texts
    year = rng.randint(1940, 2035)
    return {
        "en": f"{MONTHS_EN[month]} {day}, {year}",
        "ko": f"{year}년 {texts['ko']}",
        "de": f"{texts['de']} {year}",
    }


def make_price(rng: Random) -> Value:
    """A price in words, in won, euros or dollars."""
    if rng.random() < 0.6:
        number = rng.choice((100, 500, 1000, 1000, 10_000)) * rng.randint(2, 95)
        units = ("won", "원", "Won")
    else:
        number = rng.randint(2, 950)
        units = rng.choice((("euros", "유로", "Euro"), ("dollars", "달러", "Dollar")))
    return _spell(number, *units)


def make_time(rng: Random) -> Value:
    hour, is_half = rng.randint(1, 12), rng.random() < 0.5
    korean = f"{read_native(hour, counts=True)} 시"
    if is_half:
        following = ONES_DE[hour % 12 + 1]
        return {
            "en": f"half past {ONES_EN[hour]}",
            "ko": f"{korean} 반",
            "de": f"halb {following}",
        }
    german = f"{_before_noun(ONES_DE[hour])} Uhr"
    return {"en": f"{ONES_EN[hour]} o'clock", "ko": korean, "de": german}


def make_age(rng: Random) -> Value:
    age = _spell_count(rng.randint(2, 99))
    return {
        "en": f"{age['en']} years old",
        "ko": f"{age['ko']} 살",
        "de": f"{age['de']} Jahre alt",
    }


def count_to(limit: int) -> Callable[[Random], Value]:
    """Makes a slot of a number from two to `limit`, in words."""
    return lambda rng: _spell_count(rng.randint(2, limit))


def make_minutes(rng: Random) -> Value:
    return _spell(rng.randint(2, 59), "minutes", "분", "Minuten")


def make_distance(rng: Random) -> Value:
    return _spell(
        rng.choice((1, 1, 10, 100)) * rng.randint(2, 9), "kilometers", "킬로미터", "Kilometer"
    )


def count_from(nouns: list[Counted], limit: int) -> Callable[[Random], Value]:
    """Makes a slot of a noun counted from two to `limit`, in words or digits."""

    def make(rng: Random) -> Value:
        _, plural, korean, counter, german = rng.choice(nouns)
        number = rng.randint(2, limit)
        if rng.random() < 0.35:
            return {
                "en": f"{number} {plural}",
                "ko": f"{korean} {number}{counter}",
                "de": f"{number} {german}",
            }
        words = _spell_count(number)
        return {
            "en": f"{words['en']} {plural}",
            "ko": f"{korean} {words['ko']} {counter}",
            "de": f"{words['de']} {german}",
        }

    return make


SLOTS: Mapping[str, Callable[[Random], Value]] = {
    "phone": make_phone,
    "date": make_date,
    "price": make_price,
    "time": make_time,
    "age": make_age,
    "few": count_to(30),
    "minutes": make_minutes,
    "distance": make_distance,
    "things": count_from(COUNTED, 30),
    "animals": count_from(ANIMALS, 12),
    "people": count_from(PEOPLE, 40),
}


def _before_noun(number: str) -> str:
    return number[:-1] if number.endswith("eins") else number  # ein Uhr, hunderteintausend


def _spell_count(number: int) -> Value:
    """A number in words, in Korean as it stands before a counter."""
    return {
        "en": spell_english(number),
        "ko": read_native(number, counts=True),
        "de": spell_german(number),
    }


def _spell(number: int, english: str, korean: str, german: str) -> Value:
    return {
        "en": f"{spell_english(number)} {english}",
        "ko": f"{read_sino(number)} {korean}",
        "de": f"{spell_german(number)} {german}",
    }
