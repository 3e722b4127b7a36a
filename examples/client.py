"""Classifies, translates and streams with the standard library alone.

python examples/client.py http://localhost:8000 [API_KEY]
"""

import json
import sys
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any
from urllib.error import HTTPError


class Client:
    """A client of one seqserve server.

    Raises:
        RuntimeError: from every method, if the server refuses; the message is the server's.
    """

    def __init__(self, url: str, api_key: str = "", timeout_seconds: float = 30.0) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["X-API-Key"] = api_key
        self._timeout_seconds = timeout_seconds

    def classify(self, texts: list[str]) -> list[list[dict[str, Any]]]:
        """Labels with scores for each text, best first."""
        with self._post("/classify", {"inputs": texts}) as response:
            labels: list[list[dict[str, Any]]] = json.load(response)
        return labels

    def translate(self, text: str, target: str, source: str = "auto") -> str:
        body = {"q": text, "source": source, "target": target}
        with self._post("/translate", body) as response:
            return str(json.load(response)["translatedText"])

    def stream(self, text: str, target: str, source: str = "auto") -> Iterator[str]:
        """Parts of the translation as soon as they are certain."""
        body = {"q": text, "source": source, "target": target, "stream": True}
        with self._post("/translate", body) as response:
            for name, data in read_events(response):
                if name == "error":
                    raise RuntimeError(data["detail"])
                if name == "token":
                    yield data["text"]

    def _post(self, path: str, body: dict[str, Any]) -> HTTPResponse:
        request = urllib.request.Request(self._url + path, json.dumps(body).encode(), self._headers)
        try:
            response: HTTPResponse = urllib.request.urlopen(request, timeout=self._timeout_seconds)
        except HTTPError as error:
            # 429 names in Retry-After the seconds after which a retry makes sense
            raise RuntimeError(f"{error.code}: {json.load(error)['detail']}") from error
        return response


def read_events(response: HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and data of each server-sent event."""
    name = ""
    for line in response:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def main() -> None:
    given = dict(enumerate(sys.argv))
    client = Client(given.get(1, "http://localhost:8000"), given.get(2, ""))
    texts = ["a delight from start to finish", "a waste of two hours"]
    for text, labels in zip(texts, client.classify(texts), strict=True):
        print(f"{text}: {labels[0]['label']} {labels[0]['score']:.2f}")
    sentence = "A man is riding a bicycle down the street."
    print(client.translate(sentence, target="de"))
    for part in client.stream(sentence, target="de", source="en"):
        print(part, end="", flush=True)
    print()


if __name__ == "__main__":
    main()
