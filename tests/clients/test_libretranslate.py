"""Clients of LibreTranslate, unchanged: libretranslatepy, libretranslate-aio, deep-translator."""

from urllib.error import HTTPError

import pytest
from deep_translator import LibreTranslator
from deep_translator.exceptions import AuthorizationException
from libretranslate_aio import (
    AsyncLibreTranslate,
    ForbiddenError,
    LibreTranslate,
    LibreTranslateError,
)
from libretranslatepy import LibreTranslateAPI

from tests.clients.conftest import KEY
from tests.integration.server import Server

ENGLISH, GERMAN = "Two dogs are playing in the snow.", "Zwei Hunde spielen im Schnee."
KOREAN = "아이들이 정원에서 놀고 있어요."


def test_libretranslatepy_translates_detects_and_lists_languages(server: Server) -> None:
    client = LibreTranslateAPI(server.url)

    assert client.translate(ENGLISH, "en", "de") == GERMAN
    assert client.translate(ENGLISH, "auto", "de", timeout=60) == GERMAN
    assert client.detect(KOREAN)[0] == {"confidence": 100.0, "language": "ko"}
    assert {language["code"] for language in client.languages()} == {"de", "en", "ko"}


def test_libretranslatepy_sends_its_key(locked: Server) -> None:
    assert LibreTranslateAPI(locked.url, KEY).translate(ENGLISH, "en", "de") == GERMAN
    with pytest.raises(HTTPError) as refused:
        LibreTranslateAPI(locked.url, "another").translate(ENGLISH, "en", "de")
    with refused.value:
        assert refused.value.code == 403


def test_libretranslate_aio_translates_a_text_and_several(server: Server) -> None:
    with LibreTranslate(server.url) as client:
        one = client.translate(ENGLISH, "auto", "de", alternatives=1)
        several = client.translate([ENGLISH, KOREAN], "auto", "de")
        html = client.translate(f"<p>{ENGLISH}</p>", "en", "de", format="html")

    assert (one.translated_text, one.detected_language.language) == (GERMAN, "en")
    assert len(one.alternatives) == 1
    assert several.translated_text[0] == GERMAN
    assert [each.language for each in several.detected_language] == ["en", "ko"]
    assert html.translated_text == f"<p>{GERMAN}</p>"


def test_libretranslate_aio_reads_what_the_server_says_of_itself(server: Server) -> None:
    with LibreTranslate(server.url) as client:
        assert client.health() is True
        assert {each.code: set(each.targets) for each in client.languages()}["en"] >= {"de", "ko"}
        assert client.detect(GERMAN)[0].language == "de"
        settings = client.frontend_settings()

    assert (settings.key_required, settings.language.source.code) == (False, "auto")


async def test_the_asynchronous_libretranslate_aio_is_served_as_well(server: Server) -> None:
    async with AsyncLibreTranslate(server.url) as client:
        assert (await client.translate(ENGLISH, "en", "de")).translated_text == GERMAN
        with pytest.raises(LibreTranslateError, match="xx"):
            await client.translate(ENGLISH, "en", "xx")


def test_libretranslate_aio_knows_a_key_that_is_refused(locked: Server) -> None:
    with LibreTranslate(locked.url, api_key="another") as client, pytest.raises(ForbiddenError):
        client.translate(ENGLISH, "en", "de")


def test_deep_translator_translates_a_text_and_several(server: Server) -> None:
    client = LibreTranslator(source="en", target="de", api_key="none", custom_url=f"{server.url}/")

    assert client.translate(ENGLISH) == GERMAN
    assert client.translate_batch([ENGLISH, "A dog."]) == [GERMAN, "Ein Hund."]


def test_deep_translator_knows_a_key_that_is_refused(locked: Server) -> None:
    client = LibreTranslator("en", "de", api_key="another", custom_url=f"{locked.url}/")

    with pytest.raises(AuthorizationException):
        client.translate(ENGLISH)
