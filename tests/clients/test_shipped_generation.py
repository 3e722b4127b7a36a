"""huggingface_hub's and OpenAI's own clients against the shipped models that write texts."""

from collections.abc import Iterator

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.utils import close_session
from openai import OpenAI

from tests.integration.server import Server

REMARK = "안녕하세요"


@pytest.fixture(scope="module", autouse=True)
def _closed_connections() -> Iterator[None]:
    yield
    close_session()


@pytest.fixture
def openai(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.url + "/v1", api_key="none") as client:
        yield client


def test_hugging_faces_client_talks_to_the_chatbot(server: Server) -> None:
    client = InferenceClient(model=server.url + "/models/chatbot-ko")

    answer = client.text_generation(REMARK, max_new_tokens=30)
    pieces = list(client.text_generation(REMARK, max_new_tokens=30, stream=True))

    assert answer.strip()
    assert not answer.isascii()
    assert "".join(pieces) == answer


def test_hugging_faces_client_asks_any_model_by_its_address(server: Server) -> None:
    def address(name: str) -> InferenceClient:
        return InferenceClient(model=f"{server.url}/models/{name}")

    spam = address("spam-en").text_classification("Win a FREE prize now! Text WIN to 80086")
    spaces = address("spacing-ko").token_classification("아버지가방에들어가신다")

    assert spam[0].label == "spam"
    assert {each.entity for each in spaces} == {"SPACE"}


def test_openais_client_talks_to_the_chatbot(openai: OpenAI, server: Server) -> None:
    asked = {"model": "chatbot-ko", "prompt": REMARK, "max_tokens": 30, "temperature": 0}

    completion = openai.completions.create(**asked)
    chunks = list(openai.completions.create(**asked, stream=True))

    answer = completion.choices[0].text
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == answer
    chatbot = InferenceClient(model=server.url + "/models/chatbot-ko")
    assert answer == chatbot.text_generation(REMARK, max_new_tokens=30)


@pytest.mark.parametrize("label", ["positive", "negative"])
def test_openais_client_asks_for_reviews(openai: OpenAI, label: str) -> None:
    asked = {"model": "review-ko", "prompt": "", "max_tokens": 30, "temperature": 0.8, "seed": 3}

    completion = openai.completions.create(**asked, n=3, extra_body={"label": label})

    texts = [choice.text for choice in completion.choices]
    assert len(set(texts)) == 3
    assert all(not text.isascii() for text in texts)


def test_openais_client_lists_the_models(openai: OpenAI) -> None:
    assert {"chatbot-ko", "review-ko", "shakespeare-en"} <= {
        model.id for model in openai.models.list()
    }
