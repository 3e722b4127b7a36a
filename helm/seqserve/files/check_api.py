"""`helm test`: asks every task of a release, with whatever models it has; 1 if one fails.

usage: check_api.py URL; API_KEYS in the environment is the comma list that the server has.
Runs in the service's image with the standard library alone.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

TIMEOUT_SECONDS = 30


def main(url: str) -> None:
    models = ask(url, "/models")
    # a model that writes what a condition asks for would have to be told one
    names = {model["task"]: model["name"] for model in models if not model.get("condition")}
    if not models:
        raise SystemExit("no model is loaded")
    if name := names.get("classification"):
        body = {"inputs": "a delight from start to finish", "parameters": {"model": name}}
        (labels,) = ask(url, "/classify", body)
        total = sum(label["score"] for label in labels)
        expect(len(labels) > 1 and abs(total - 1) < 0.01, "/classify", labels)
    if name := names.get("tagging"):
        body = {"inputs": "a", "parameters": {"model": name, "render": True}}
        expect("text" in ask(url, "/tag", body), "/tag", body)
    if name := names.get("language"):
        body = {"inputs": "a", "parameters": {"model": name, "max_new_tokens": 4}}
        expect("generated_text" in ask(url, "/generate", body), "/generate", body)
    if "translation" in names:
        source, target = find_pair(ask(url, "/languages"))
        body = {"q": "A man is riding a bicycle.", "source": source, "target": target}
        expect(bool(ask(url, "/translate", body)["translatedText"]), "/translate", body)
    print(f"{url} answers with {', '.join(sorted(model['name'] for model in models))}")


def find_pair(languages: list[dict[str, Any]]) -> tuple[str, str]:
    pairs = [
        (language["code"], target)
        for language in languages
        for target in language["targets"]
        if target != language["code"]
    ]
    # from English where there is a choice, since that is what the test's sentence is in
    return next((pair for pair in pairs if pair[0] == "en"), pairs[0])


def ask(url: str, path: str, body: dict[str, Any] | None = None) -> Any:
    headers = {"Content-Type": "application/json"}
    if keys := os.environ.get("API_KEYS", ""):
        headers["X-API-Key"] = keys.split(",")[0].strip()
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, content, headers)
    # The proxy of an environment is not for a service of the cluster.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
            return json.load(response)
    except urllib.error.HTTPError as exc:
        raise SystemExit(f"{path}: HTTP {exc.code}: {exc.read().decode()}") from None
    except OSError as exc:
        raise SystemExit(f"{path}: {exc}") from None


def expect(holds: bool, path: str, found: object) -> None:
    if not holds:
        raise SystemExit(f"{path}: unexpected answer {found}")


if __name__ == "__main__":
    main(*sys.argv[1:])
