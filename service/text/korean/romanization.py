"""Korean names in Latin letters and back.

Syllables follow the Revised Romanization (Ministry of Culture and Tourism, Notification 2000-8),
which joins those of a given name with a hyphen and leaves their sounds as they are; family names,
as people have them in their passports. What reads names takes the usual other spellings, too.
"""

from functools import lru_cache
from typing import Final

from service.text.korean.hangul import split_syllable


def read_table(text: str) -> dict[str, str]:
    """A table of pairs, as "김=Kim"."""
    return dict(pair.split("=") for pair in text.split())


INITIALS_LATIN: Final = read_table(
    """
    ㄱ=g ㄲ=kk ㄴ=n ㄷ=d ㄸ=tt ㄹ=r ㅁ=m ㅂ=b ㅃ=pp ㅅ=s ㅆ=ss ㅇ=
    ㅈ=j ㅉ=jj ㅊ=ch ㅋ=k ㅌ=t ㅍ=p ㅎ=h
    """
)
VOWELS_LATIN: Final = read_table(
    """
    ㅏ=a ㅐ=ae ㅑ=ya ㅒ=yae ㅓ=eo ㅔ=e ㅕ=yeo ㅖ=ye ㅗ=o ㅘ=wa ㅙ=wae ㅚ=oe ㅛ=yo
    ㅜ=u ㅝ=wo ㅞ=we ㅟ=wi ㅠ=yu ㅡ=eu ㅢ=ui ㅣ=i
    """
)
FINALS_LATIN: Final = read_table(
    """
    ㄱ=k ㄲ=k ㄳ=k ㄴ=n ㄵ=n ㄶ=n ㄷ=t ㄹ=l ㄺ=k ㄻ=m ㄼ=l ㄽ=l ㄾ=l ㄿ=p ㅀ=l ㅁ=m ㅂ=p
    ㅄ=p ㅅ=t ㅆ=t ㅇ=ng ㅈ=t ㅊ=t ㅋ=k ㅌ=t ㅍ=p ㅎ=t
    """
)

FAMILY_NAMES: Final = read_table(
    """
    김=Kim 이=Lee 박=Park 최=Choi 정=Jung 강=Kang 조=Cho 윤=Yoon 장=Jang 임=Lim 한=Han 오=Oh
    서=Seo 신=Shin 권=Kwon 황=Hwang 안=Ahn 송=Song 유=Yoo 류=Ryu 홍=Hong 전=Jeon 고=Ko 문=Moon
    양=Yang 손=Son 배=Bae 백=Baek 허=Heo 남=Nam 심=Shim 노=Noh 하=Ha 곽=Kwak 성=Sung 차=Cha
    주=Joo 우=Woo 구=Koo 민=Min 진=Jin 지=Ji 엄=Eom 원=Won 채=Chae 천=Cheon 방=Bang 공=Gong
    변=Byun 여=Yeo 추=Choo 도=Do 석=Seok 선=Sun 설=Seol 길=Gil 위=Wi 표=Pyo 명=Myung 반=Ban
    탁=Tak 함=Ham 염=Yeom
    """
)
# Of given names; few others occur in them.
SYLLABLES: Final = frozenset(
    "가강건겸경고관광교구국권규균근기길나남늘다단담대덕도동두라란람래련령로롬루름리림만명모무문미민"
    "범별병보복봉빈빛상새서석선설섭성세소솔솜송수숙순슬승시식신아안애양언여연열영예오옥온완용우욱운"
    "웅원월유윤율은의이익인일임자재정제조종주준중지진찬창채천철초춘충치태택하학한해향헌혁현형혜호홍"
    "화환효훈휘희"
)
# Other spellings that are usual, of names that a passport may have.
FAMILY_SPELLINGS: Final = read_table(
    """
    rhee=이 yi=이 pak=박 choe=최 jeong=정 chung=정 chong=정 gang=강 jo=조 yun=윤 chang=장 im=임
    rim=임 suh=서 sin=신 sheen=신 gwon=권 an=안 you=유 yu=유 ryoo=류 jun=전 chun=전 go=고 koh=고
    mun=문 sohn=손 pae=배 paik=백 paek=백 hur=허 huh=허 nahm=남 sim=심 ro=노 roh=노 no=노 gwak=곽
    seong=성 ju=주 wu=우 gu=구 chin=진 chi=지 um=엄 weon=원 pang=방 kong=공 byeon=변 yuh=여
    chu=추 sok=석 seon=선 sol=설 kil=길 myeong=명 pan=반 yum=염
    """
)
GIVEN_SPELLINGS: Final = read_table(
    """
    young=영 yung=영 jung=정 joung=정 chung=정 sung=성 hyun=현 sun=선 soon=순 hee=희 woo=우 joo=주
    soo=수 joon=준 june=준 hoon=훈 kyung=경 kyoung=경 kyu=규 keun=근 yoon=윤 chul=철
    myung=명 byung=병 suk=석 sook=숙 duk=덕 hyuk=혁 wook=욱 kook=국 shin=신 shik=식 sup=섭
    sub=섭 koo=구 doo=두 moon=문 moo=무 kwang=광 kwan=관 ki=기 kil=길 kang=강 kyo=교 kwon=권 keon=건
    gun=건 eui=의 rin=린 lee=이 ryung=령 shi=시 ah=아 un=은 oh=오 jee=지 jean=진 teak=택
    tai=태 weon=원 bum=범 bom=범 pil=필 hyung=형 pyo=표
    """
)
# Whose spelling says another name than it does in most.
WELL_KNOWN: Final = read_table(
    "kim_dae-jung=김대중 kim_jong-il=김정일 kim_jong-un=김정은 yi_sun-shin=이순신 yi_sun-sin=이순신"
)


def romanize(syllables: str) -> str:
    """Hangul, syllable by syllable: 민수 is "minsu".

    Raises:
        ValueError: a character is not a Hangul syllable.
    """
    letters: list[str] = []
    for syllable in syllables:
        initial, vowel, final = split_syllable(syllable)
        letters += [INITIALS_LATIN[initial], VOWELS_LATIN[vowel], FINALS_LATIN.get(final, "")]
    return "".join(letters)


def romanize_name(family: str, given: str) -> str:
    """A name with the family name first, as in Korean: "Kim Min-su".

    Raises:
        KeyError: the family name is not known.
        ValueError: see `romanize`.
    """
    parts = "-".join(romanize(syllable) for syllable in given)
    return f"{FAMILY_NAMES[family]} {parts.capitalize()}"


FAMILY_BY_SPELLING: Final = {
    latin.lower(): hangul for hangul, latin in FAMILY_NAMES.items()
} | FAMILY_SPELLINGS
GIVEN_BY_SPELLING: Final = {romanize(each): each for each in SYLLABLES} | GIVEN_SPELLINGS


VOWEL_LETTERS: Final = "aeiou"


def read_name(family: str, given: str) -> str | None:
    """A name in Latin letters as Hangul; None if it is not Korean, or its syllables are unclear."""
    family, given = family.lower(), given.lower()
    if family not in FAMILY_BY_SPELLING:
        return None
    syllables = read_given_name(given)
    read = syllables and FAMILY_BY_SPELLING[family] + syllables
    return WELL_KNOWN.get(f"{family}_{given}", read)


@lru_cache(1000)
def read_given_name(name: str) -> str | None:
    """The two syllables of a given name in small letters, in Hangul; None if it has others.

    Without a hyphen, a consonant between vowels begins the second syllable: "mina" is 미나.
    """
    first, joint, second = name.partition("-")
    if joint:
        cuts = [(first, second)]
    elif name in GIVEN_BY_SPELLING:
        return None
    else:
        cuts = [
            (name[:end], name[end:])
            for end in range(len(name) - 1, 0, -1)
            if name[end] not in VOWEL_LETTERS
            or (name[end - 1] in VOWEL_LETTERS and name[end - 1] != name[end])
        ]
    for first, second in cuts:
        if first in GIVEN_BY_SPELLING and second in GIVEN_BY_SPELLING:
            return GIVEN_BY_SPELLING[first] + GIVEN_BY_SPELLING[second]
    return None
