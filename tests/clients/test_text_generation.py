"""huggingface_hub's and OpenAI's own clients, unchanged, against a server with language models."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import close_session
from openai import AsyncOpenAI, NotFoundError, OpenAI, UnprocessableEntityError

from tests.integration.server import ROOT, Server, run_server

LANGUAGES = ROOT / "tests" / "service" / "tiny_languages"
MODEL = "tiny-language-lstm"
PROMPT = "the cat"


@pytest.fixture(scope="module", autouse=True)
def _closed_connections() -> Iterator[None]:
    yield
    close_session()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(LANGUAGES, tmp_path_factory.mktemp("languages") / "log") as server:
        yield server


@pytest.fixture
def hugging_face(server: Server) -> InferenceClient:
    return InferenceClient(model=server.url)


@pytest.fixture
def openai(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.url + "/v1", api_key="none") as client:
        yield client


# --- huggingface_hub ---


@pytest.mark.parametrize("path", ["", "/", "/generate"])
def test_hugging_faces_client_gets_a_text(path: str, server: Server) -> None:
    client = InferenceClient(model=server.url + path)

    first = client.text_generation(PROMPT, max_new_tokens=20, temperature=0.8, seed=7)
    again = client.text_generation(PROMPT, max_new_tokens=20, temperature=0.8, seed=7)
    whole = client.text_generation(
        PROMPT, max_new_tokens=20, temperature=0.8, seed=7, return_full_text=True
    )

    assert first == again
    assert whole == PROMPT + first


def test_hugging_faces_client_gets_details(hugging_face: InferenceClient) -> None:
    asked = {"max_new_tokens": 20, "do_sample": True, "seed": 7, "top_k": 10, "top_p": 0.9}
    plain = hugging_face.text_generation(PROMPT, **asked, repetition_penalty=1.1)
    found = hugging_face.text_generation(PROMPT, **asked, repetition_penalty=1.1, details=True)

    assert found.generated_text == plain
    assert found.details is not None
    assert "".join(token.text for token in found.details.tokens) == plain
    assert found.details.finish_reason in ("length", "eos_token")
    assert found.details.seed == 7


def test_hugging_faces_client_streams(hugging_face: InferenceClient) -> None:
    asked = {"max_new_tokens": 20, "temperature": 0.8, "seed": 7}
    whole = hugging_face.text_generation(PROMPT, **asked)

    pieces = list(hugging_face.text_generation(PROMPT, **asked, stream=True))
    events = list(hugging_face.text_generation(PROMPT, **asked, stream=True, details=True))

    assert "".join(pieces) == whole
    assert len(pieces) > 5
    assert events[-1].generated_text == whole
    assert events[-1].details is not None
    assert events[-1].details.generated_tokens == len(events)


def test_hugging_faces_client_stops(hugging_face: InferenceClient) -> None:
    asked = {"max_new_tokens": 20, "temperature": 0.8, "seed": 7}
    whole = hugging_face.text_generation(PROMPT, **asked)
    stop = whole[4:6]

    found = hugging_face.text_generation(PROMPT, **asked, stop=[stop], details=True)

    assert found.generated_text == whole[: whole.index(stop) + 2]
    assert found.details is not None
    assert found.details.finish_reason == "stop_sequence"


async def test_hugging_faces_asynchronous_client_streams(server: Server) -> None:
    async with AsyncInferenceClient(model=server.url) as client:
        asked = {"max_new_tokens": 20, "temperature": 0.8, "seed": 7}
        whole = await client.text_generation(PROMPT, **asked)
        stream = await client.text_generation(PROMPT, **asked, stream=True)
        pieces = [piece async for piece in stream]

    assert "".join(pieces) == whole


def test_hugging_faces_client_shows_what_was_wrong(hugging_face: InferenceClient) -> None:
    with pytest.raises(HfHubHTTPError, match="typical_p"):
        hugging_face.text_generation(PROMPT, typical_p=0.5)


# --- openai ---


def test_openais_client_gets_a_completion(openai: OpenAI) -> None:
    asked = {"model": MODEL, "prompt": PROMPT, "max_tokens": 20, "temperature": 0.8, "seed": 7}

    first = openai.completions.create(**asked)
    again = openai.completions.create(**asked, echo=True)

    assert first.object == "text_completion"
    assert first.model == MODEL
    assert again.choices[0].text == PROMPT + first.choices[0].text
    assert first.choices[0].finish_reason in ("length", "stop")
    assert first.usage is not None
    assert first.usage.prompt_tokens == 5


def test_openais_client_gets_several(openai: OpenAI) -> None:
    found = openai.completions.create(
        model=MODEL, prompt=[PROMPT, "A"], n=3, max_tokens=20, seed=7, stop=["\n", "!"]
    )

    assert [choice.index for choice in found.choices] == list(range(6))
    assert len({choice.text for choice in found.choices}) == 6
    assert not any("\n" in choice.text or "!" in choice.text for choice in found.choices)


def test_openais_client_streams(openai: OpenAI) -> None:
    asked = {"model": MODEL, "prompt": PROMPT, "max_tokens": 20, "temperature": 0.8, "seed": 7}
    whole = openai.completions.create(**asked)

    chunks = list(
        openai.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )

    *deltas, usage = chunks
    assert "".join(chunk.choices[0].text for chunk in deltas) == whole.choices[0].text
    assert deltas[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert usage.usage == whole.usage


async def test_openais_asynchronous_client_streams(server: Server) -> None:
    async with AsyncOpenAI(base_url=server.url + "/v1", api_key="none") as client:
        stream = await client.completions.create(
            model=MODEL, prompt=PROMPT, max_tokens=20, seed=7, stream=True
        )
        text = "".join([chunk.choices[0].text async for chunk in stream])
        whole = await client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=20, seed=7)

    assert text == whole.choices[0].text


def test_openais_client_lists_models(openai: OpenAI) -> None:
    assert [model.id for model in openai.models.list()] == ["tiny-language-gru", MODEL]
    assert openai.models.retrieve(MODEL).object == "model"


def test_openais_client_shows_what_was_wrong(openai: OpenAI) -> None:
    with pytest.raises(NotFoundError, match=MODEL):
        openai.completions.create(model="gpt", prompt=PROMPT)
    with pytest.raises(UnprocessableEntityError, match="limit of 200"):
        openai.completions.create(model=MODEL, prompt=PROMPT, max_tokens=5000)
    with pytest.raises(UnprocessableEntityError, match="logprobs"):
        openai.completions.create(model=MODEL, prompt=PROMPT, logprobs=3)


def test_a_seed_outlives_the_server(openai: OpenAI, tmp_path: Path) -> None:
    asked = {"model": MODEL, "prompt": PROMPT, "max_tokens": 40, "seed": 11}
    before = openai.completions.create(**asked).choices[0].text

    with (
        run_server(LANGUAGES, tmp_path / "log") as other,
        OpenAI(base_url=other.url + "/v1", api_key="none") as client,
    ):
        assert client.completions.create(**asked).choices[0].text == before
