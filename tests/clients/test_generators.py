"""Clients that generators make of the OpenAPI document, used against a real server."""

import json
import sys
from pathlib import Path

from tests.clients.programs import needs, run
from tests.integration.server import Server

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"

GENERATED = """
import json, sys
from seqserve_client import Client
from seqserve_client.api.operations import list_models, ready
from seqserve_client.api.tasks import classify, detect, predict, translate
from seqserve_client.models import (
    ClassifyRequest, DetectRequest, PredictRequest, TranslateRequest
)

client = Client(base_url=sys.argv[1])
sentence = "Two dogs are playing in the snow."
(labels,) = classify.sync(client=client, body=ClassifyRequest(inputs="a delight"))
(explained,) = classify.sync(
    client=client, body=ClassifyRequest(inputs=["a delight"], explain=True)
)
print(json.dumps({
    "one": translate.sync(
        client=client, body=TranslateRequest(q=sentence, target="de")
    ).translated_text,
    "several": translate.sync(
        client=client, body=TranslateRequest(q=[sentence], source="en", target="de")
    ).translated_text,
    "label": labels[0].label,
    "tokens": [token.text for token in explained.tokens],
    "predicted": predict.sync(client=client, body=PredictRequest(inputs="a delight"))[0].label,
    "detected": detect.sync(client=client, body=DetectRequest(q="Zwei Hunde spielen."))[0].language,
    "problem": translate.sync(client=client, body=TranslateRequest(q="a", target="xx")).status,
    "status": ready.sync(client=client).status,
    "models": bool(list_models.sync(client=client)),
}))
"""
GENERATED_BY_JAVA = """
import json, sys
import seqserve_client as api

client = api.ApiClient(api.Configuration(host=sys.argv[1]))
tasks, operations = api.TasksApi(client), api.OperationsApi(client)
sentence = "Two dogs are playing in the snow."

def ask(q, target="de"):
    body = api.TranslateRequest(q=api.TranslateRequestQ(q), source="en", target=target)
    return tasks.translate(body).translated_text.actual_instance

def classify(inputs, **fields):
    body = api.ClassifyRequest(inputs=api.ClassifyRequestInputs(inputs), **fields)
    return tasks.classify(body).actual_instance[0]

try:
    problem = ask("a", "xx")
except api.ApiException as error:
    problem = error.data.status
body = api.PredictRequest(inputs=api.PredictRequestInputs("a delight"))
print(json.dumps({
    "one": ask(sentence),
    "several": ask([sentence]),
    "label": classify("a delight")[0].label,
    "tokens": [token.text for token in classify(["a delight"], explain=True).tokens],
    "predicted": tasks.predict(body).actual_instance[0].label,
    "detected": tasks.detect(api.DetectRequest(q="Zwei Hunde spielen."))[0].language,
    "problem": problem,
    "status": operations.ready().status,
    "models": bool(operations.list_models()),
}))
"""
EXPECTED = {
    "one": "Zwei Hunde spielen im Schnee.",
    "several": ["Zwei Hunde spielen im Schnee."],
    "label": "positive",
    "tokens": ["a", "delight"],
    "predicted": "positive",
    "detected": "de",
    "problem": 404,
    "status": "ready",
    "models": True,
}


def use_client(folder: Path, program: str, server: Server) -> object:
    """What a program that uses the client in a folder prints, as JSON."""
    return json.loads(run(sys.executable, "-c", program, server.url, folder=folder))


@needs("openapi-python-client")
def test_a_client_of_openapi_python_client_works(tmp_path: Path, server: Server) -> None:
    out = tmp_path / "client"

    said = run(
        *("openapi-python-client", "generate"),
        *("--path", str(DOCUMENT), "--output-path", str(out)),
    )

    assert "warning" not in said.lower()
    assert use_client(out, GENERATED, server) == EXPECTED


@needs("openapi-generator-cli", "java")
def test_a_client_of_openapi_generator_works(tmp_path: Path, server: Server) -> None:
    run(
        *("openapi-generator-cli", "generate"),
        *("--generator-name", "python", "--package-name", "seqserve_client"),
        *("--input-spec", str(DOCUMENT), "--output", str(tmp_path)),
    )

    assert use_client(tmp_path, GENERATED_BY_JAVA, server) == EXPECTED
