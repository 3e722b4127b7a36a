import pytest

from service.text.languages.names import display_name, match_code


@pytest.mark.parametrize(("code", "name"), [("de", "German"), ("ko", "Korean"), ("tlh", "tlh")])
def test_languages_have_english_names(code: str, name: str) -> None:
    assert display_name(code) == name


@pytest.mark.parametrize(
    ("code", "served", "found"),
    [
        ("de", ("en", "de"), "de"),
        ("DE", ("en", "de"), "de"),
        ("en-US", ("en", "de"), "en"),
        ("de_DE", ("en", "de"), "de"),
        ("DE_at", ("en", "de"), "de"),
        ("de-DE-1996", ("en", "de"), "de"),
        ("AUTO", ("auto", "en"), "auto"),
        ("ko-Kore-KR", ("en", "ko"), "ko"),
        ("sr-Latn", ("sr",), "sr"),
        ("sr_Cyrl_RS", ("sr",), "sr"),
        ("pt_br", ("pt", "pt-BR"), "pt-BR"),
        ("pt-PT", ("pt", "pt-BR"), "pt"),
        ("zh-Hans-CN", ("zh",), "zh"),
        ("zh-hant", ("zh", "zh-Hant"), "zh-Hant"),
        ("zh_Hant_TW", ("zh", "zh-Hant"), "zh-Hant"),
    ],
)
def test_code_means_the_closest_language_served(
    code: str, served: tuple[str, ...], found: str
) -> None:
    assert match_code(code, served) == found


@pytest.mark.parametrize("code", ["zh-Hant", "de-Cyrl", "ger", "d", "", "-", "e-n", "deu_DE", "😀"])
def test_code_of_no_language_served_is_left_as_it_is(code: str) -> None:
    assert match_code(code, ("en", "de", "zh")) == code
