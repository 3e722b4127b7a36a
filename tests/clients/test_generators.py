"""Clients that generators make of the OpenAPI document, used against a real server."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.server import MODELS_DIR, Server, run_server

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"
TOOLS = Path(sys.executable).parent

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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(MODELS_DIR, tmp_path_factory.mktemp("server") / "log") as running:
        yield running


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [name for name in programs if not shutil.which(name, path=f"{TOOLS}:/usr/bin:/bin")]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def run_program(folder: Path, program: str, server: Server) -> object:
    """What a program that uses the client in a folder prints, as JSON."""
    command = [sys.executable, "-c", program, server.url]
    done = subprocess.run(
        command, cwd=folder, env={}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def generate(program: str, *arguments: str) -> str:
    """Runs a generator and returns what it says; the tools that it calls are beside it."""
    path = f"{TOOLS}:{os.environ['PATH']}"
    done = subprocess.run(
        [program, "generate", *arguments],
        env=dict(os.environ) | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    return done.stdout + done.stderr


@needs("openapi-python-client")
def test_a_client_of_openapi_python_client_works(tmp_path: Path, server: Server) -> None:
    out = tmp_path / "client"

    said = generate(
        str(TOOLS / "openapi-python-client"),
        *("--path", str(DOCUMENT), "--output-path", str(out)),
    )

    assert "warning" not in said.lower()
    assert run_program(out, GENERATED, server) == EXPECTED


@needs("openapi-generator-cli", "java")
def test_a_client_of_openapi_generator_works(tmp_path: Path, server: Server) -> None:
    generate(
        str(TOOLS / "openapi-generator-cli"),
        *("--generator-name", "python", "--package-name", "seqserve_client"),
        *("--input-spec", str(DOCUMENT), "--output", str(tmp_path)),
    )

    assert run_program(tmp_path, GENERATED_BY_JAVA, server) == EXPECTED
