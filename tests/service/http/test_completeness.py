"""How `complete` looks on the wire: there where something is missing, absent elsewhere."""

import json
from typing import Any

import pytest

from tests.service.http.fakes import FakePipeline, connect, make_app


async def post(q: str | list[str], **fields: Any) -> str:
    app = make_app(FakePipeline(incomplete=frozenset({"loop", "cut"})))
    async with connect(app) as client:
        response = await client.post("/translate", json={"q": q, "target": "de"} | fields)
    assert response.status_code == 200
    return response.text


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("whole", None),
        ("loop", False),
        (["whole", "well"], None),
        (["cut"], [False]),
        (["whole", "loop", "well"], [True, False, True]),
    ],
)
async def test_a_translation_says_that_it_is_incomplete(
    q: str | list[str], expected: bool | list[bool] | None
) -> None:
    answer = json.loads(await post(q))
    done = (await post(q, stream=True)).rstrip().rpartition("data: ")[2]

    assert answer.get("complete") == expected
    assert ("complete" in answer) == (expected is not None)
    assert json.loads(done) == answer


async def test_it_stands_beside_what_was_asked_for() -> None:
    answer = json.loads(await post("cut", alternatives=1, attention=True))

    assert set(answer) == {
        "translatedText",
        "detectedLanguage",
        "alternatives",
        "attention",
        "complete",
    }
