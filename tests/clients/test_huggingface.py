"""huggingface_hub's own clients, unchanged, against a server whose address is all they know."""

from collections.abc import Iterator

import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import close_session

from tests.clients.conftest import KEY
from tests.integration.server import Server

ENGLISH, GERMAN = "Two dogs are playing in the snow.", "Zwei Hunde spielen im Schnee."


@pytest.fixture(scope="module", autouse=True)
def _closed_connections() -> Iterator[None]:
    yield
    close_session()


@pytest.mark.parametrize("path", ["", "/", "/classify"])
def test_a_text_is_classified(path: str, locked: Server) -> None:
    client = InferenceClient(model=locked.url + path, token=KEY)

    best, other = client.text_classification("a delight from start to finish")
    (only,) = client.text_classification("a waste of two hours", top_k=1)

    assert (best.label, other.label, only.label) == ("positive", "negative", "negative")
    assert best.score + other.score == pytest.approx(1.0)


@pytest.mark.parametrize("path", ["", "/", "/translate"])
def test_a_text_is_translated(path: str, server: Server) -> None:
    client = InferenceClient(model=server.url + path)

    answer = client.translation(ENGLISH, src_lang="en", tgt_lang="de")

    assert answer.translation_text == GERMAN


async def test_the_asynchronous_client_is_served_as_well(locked: Server, server: Server) -> None:
    generate = {"num_beams": 1}

    async with AsyncInferenceClient(model=locked.url, token=KEY) as client:
        classified = await client.text_classification("a delight")
    async with AsyncInferenceClient(model=server.url) as client:
        translated = await client.translation(
            ENGLISH, src_lang="en", tgt_lang="de", generate_parameters=generate
        )

    assert classified[0].label == "positive"
    assert translated.translation_text == GERMAN


def test_the_client_shows_what_was_wrong(server: Server) -> None:
    client = InferenceClient(model=server.url)

    with pytest.raises(HfHubHTTPError, match="tgt_lang"):
        client.translation(ENGLISH)
