"""Users of the service: `make load`, or `locust -f loadtests/locustfile.py --host http://...`.

Queue and inference time are read from Server-Timing, the numbers the dashboards show too, and
listed as requests of type STAGE beside the request they belong to.
"""

import random
from collections.abc import Iterator
from typing import Any

from locust import FastHttpUser, between, task
from locust.exception import StopUser
from texts import REVIEWS, SENTENCES, choose_text

STAGES = ("queue", "inference")


class ServiceUser(FastHttpUser):
    """Posts JSON and takes the server's own timings along."""

    abstract = True
    wait_time = between(0.0, 0.2)

    def ask(
        self, path: str, name: str, body: dict[str, Any], answer_key: str | None = None
    ) -> None:
        """One request; an answer without content is a failure even when its status is 200."""
        with self.client.post(path, json=body, name=name, catch_response=True) as response:
            if response.status_code != 200:
                response.failure(f"HTTP {response.status_code}")
                return
            answer = response.json()
            if not (answer[answer_key] if answer_key else answer):
                response.failure("empty answer")
                return
            for stage, milliseconds in read_timings(response.headers.get("Server-Timing") or ""):
                self.environment.events.request.fire(
                    request_type="STAGE",
                    name=f"{name} {stage}",
                    response_time=milliseconds,
                    response_length=0,
                    exception=None,
                    context={},
                )


class ClassifyUser(ServiceUser):
    """Reviews, one at a time as a rule and sometimes a page of them."""

    weight = 3

    @task(9)
    def classify_one(self) -> None:
        language = random.choice(list(REVIEWS))
        self.ask("/classify", "/classify", {"inputs": choose_text(REVIEWS[language])})

    @task(1)
    def classify_page(self) -> None:
        language = random.choice(list(REVIEWS))
        inputs = [choose_text(REVIEWS[language]) for _ in range(16)]
        self.ask("/classify", "/classify [16]", {"inputs": inputs})


class TranslateUser(ServiceUser):
    """Sentences in every direction that the service says it has."""

    weight = 2

    def on_start(self) -> None:
        served = {item["code"]: item["targets"] for item in self.client.get("/languages").json()}
        self.pairs = [
            (source, target)
            for source in SENTENCES
            for target in served.get(source, [])
            if target != source
        ]
        if not self.pairs:
            raise StopUser("the service translates none of " + ", ".join(SENTENCES))

    @task(9)
    def translate_text(self) -> None:
        source, target = random.choice(self.pairs)
        body = {"q": choose_text(SENTENCES[source]), "source": source, "target": target}
        self.ask("/translate", f"/translate {source}-{target}", body, "translatedText")

    @task(1)
    def translate_with_beam(self) -> None:
        source, target = random.choice(self.pairs)
        body = {"q": choose_text(SENTENCES[source]), "source": source, "target": target}
        name = f"/translate {source}-{target} beam 4"
        self.ask("/translate", name, body | {"beam_size": 4}, "translatedText")


def read_timings(header: str) -> Iterator[tuple[str, float]]:
    """Stage and milliseconds out of `tokenize;dur=0.1, queue;dur=2.0, ...`."""
    for entry in header.split(","):
        name, _, duration = entry.strip().partition(";dur=")
        if name in STAGES and duration:
            yield name, float(duration)
