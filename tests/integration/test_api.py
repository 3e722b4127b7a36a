"""The shipped models behind a real server process, over a real socket."""

import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.repository.versions import find_versions
from tests.integration.server import MODELS_DIR, Server, read_metric, run_server

JSON = {"content-type": "application/json"}
ENGLISH = "A man is riding a bicycle down the street."
STAGES = {"tokenize", "queue", "inference", "total"}

# Captions and verdicts are what the shipped models were made for.
SUBJECTS: tuple[str, ...] = (
    "A man",
    "A woman",
    "Two dogs",
    "A little girl",
    "Three children",
    "An old man",
)
SUBJECTS += ("A group of people", "A player")
DOINGS: tuple[str, ...] = (
    "riding a bicycle",
    "walking down the street",
    "playing in the snow",
    "on a bench",
)
DOINGS += ("in the water", "in front of a building", "on the beach", "looking at the camera")
CAPTIONS = [f"{subject} {doing}." for subject in SUBJECTS for doing in DOINGS]
VERDICTS = [
    f"{subject} {verdict}."
    for subject in ("The film", "This movie", "The story", "The acting", "The plot", "The cast")
    for verdict in (
        "is wonderful",
        "is a delight",
        "is terrible",
        "is boring",
        "is a waste of time",
    )
]


@pytest.fixture(scope="module")
def models_dir() -> Path:
    return MODELS_DIR


@pytest.fixture(scope="module")
def server(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(models_dir, tmp_path_factory.mktemp("server") / "log") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with server.open_client() as opened:
        yield opened


def translate(client: httpx.Client, text: str | list[str], **fields: Any) -> dict[str, Any]:
    body = {"q": text, "source": "en", "target": "de"} | fields
    response = client.post("/translate", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def classify(client: httpx.Client, inputs: str | list[str], **parameters: Any) -> list[Any]:
    body = {"inputs": inputs, "parameters": parameters}
    response = client.post("/classify", json=body)
    assert response.status_code == 200, response.text
    answer: list[Any] = response.json()
    return answer


def best_labels(answer: list[Any]) -> list[str]:
    return [max(scores, key=lambda score: float(score["score"]))["label"] for scores in answer]


# --- the four calls of the README ---


def test_a_korean_review_is_positive(client: httpx.Client) -> None:
    answer = classify(client, "이 영화 정말 재미있어요")
    assert best_labels(answer) == ["positive"]
    assert sum(score["score"] for score in answer[0]) == pytest.approx(1.0, abs=1e-4)


def test_english_reviews_are_told_apart(client: httpx.Client) -> None:
    texts = ["a delight from start to finish", "a waste of two hours"]
    assert best_labels(classify(client, texts)) == ["positive", "negative"]


def test_an_english_caption_becomes_german(client: httpx.Client) -> None:
    text = translate(client, ENGLISH)["translatedText"]
    assert "Mann" in text
    assert re.search(r"[Ff]ahrrad|Rad", text)


def test_an_english_question_becomes_korean(client: httpx.Client) -> None:
    text = translate(client, "Where is the subway station?", target="ko")["translatedText"]
    assert re.search("지하철|역", text)


# --- what comes with an answer ---


@pytest.mark.parametrize(
    ("route", "body", "model"),
    [
        ("/classify", {"inputs": "재미있어요"}, "sentiment-ko"),
        ("/classify", {"inputs": "a delight"}, "sentiment-en"),
        ("/translate", {"q": "Hello.", "source": "en", "target": "de"}, "translation-en-de"),
        ("/translate", {"q": "Hello.", "source": "en", "target": "ko"}, "translation-en-ko"),
        ("/translate", {"q": "안녕하세요.", "source": "ko", "target": "en"}, "translation-en-ko"),
    ],
)
def test_headers_name_the_model_and_the_times(
    route: str, body: dict[str, str], model: str, client: httpx.Client
) -> None:
    headers = client.post(route, json=body).headers
    assert headers["x-model-name"] == model
    assert int(headers["x-model-version"]) >= 1
    assert headers["x-request-id"]
    found = re.findall(r"(\w+);dur=([\d.]+)(?:, |$)", headers["server-timing"])
    times = {stage: float(milliseconds) for stage, milliseconds in found}
    assert set(times) == STAGES
    assert 0 < times["inference"] <= times["total"]


def test_the_id_of_a_request_is_kept(client: httpx.Client) -> None:
    body = {"inputs": "a delight"}
    response = client.post("/classify", json=body, headers={"X-Request-ID": "from-outside.1"})
    assert response.headers["x-request-id"] == "from-outside.1"
    ids = {client.post("/classify", json=body).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


# --- LibreTranslate's and Hugging Face's ways to ask ---


def test_forms_answer_as_json_does(client: httpx.Client) -> None:
    fields = {"q": ENGLISH, "source": "en", "target": "de"}
    expected = translate(client, ENGLISH)
    assert client.post("/translate", data=fields).json() == expected
    parts = {name: (None, value) for name, value in fields.items()}
    assert client.post("/translate", files=parts).json() == expected


def test_curl_without_a_header_sends_json_called_a_form(client: httpx.Client) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    response = client.post("/classify", content=b'{"inputs": "a delight"}', headers=headers)
    assert best_labels(response.json()) == ["positive"]


@pytest.mark.parametrize(
    ("text", "source", "target"),
    [
        (ENGLISH, "en", "de"),
        ("Ein Mann fährt mit dem Fahrrad auf der Straße.", "de", "en"),
        ("지하철역이 어디예요?", "ko", "en"),
    ],
)
def test_the_source_is_detected(text: str, source: str, target: str, client: httpx.Client) -> None:
    detected = translate(client, text, source="auto", target=target)
    assert detected["detectedLanguage"]["language"] == source
    assert 0 < detected["detectedLanguage"]["confidence"] <= 100
    told = translate(client, text, source=source, target=target)
    del detected["detectedLanguage"]
    assert told == detected


def test_detection_has_a_route_of_its_own(client: httpx.Client) -> None:
    found = client.post("/detect", data={"q": "Guten Morgen, wie geht es Ihnen heute?"}).json()
    assert found[0]["language"] == "de"


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("spam-en", {"inputs": "Win a FREE prize now! Text WIN to 80086"}),
        ("spacing-ko", {"inputs": "아버지가방에들어가신다"}),
        ("chatbot-ko", {"inputs": "안녕하세요", "parameters": {"max_new_tokens": 5}}),
    ],
)
def test_a_model_has_an_address_of_its_own(
    name: str, fields: dict[str, Any], client: httpx.Client
) -> None:
    response = client.post(f"/models/{name}", json=fields)

    assert response.status_code == 200
    assert response.headers["x-model-name"] == name
    requests = f'seqserve_requests_total{{model="{name}",outcome="ok"'
    assert requests in client.get("/metrics").text


@pytest.mark.parametrize("name", ["translation-en-de", "nothing", "x%20y"])
def test_other_names_have_no_address(name: str, client: httpx.Client) -> None:
    response = client.post(f"/models/{name}", json={"inputs": "hello"})

    assert response.status_code == 404
    assert "spam-en" in response.json()["error"]


def test_markup_is_kept(client: httpx.Client) -> None:
    text = f'<p class="a&amp;b">{ENGLISH}</p><br/><pre>x &lt; y</pre>'
    answer = translate(client, text, format="html")["translatedText"]
    assert answer.startswith('<p class="a&amp;b">')
    assert "Mann" in answer
    assert "</p><br/><pre>" in answer


@pytest.mark.parametrize(
    ("source", "target", "text"),
    [("de", "ko", "Zwei Hunde spielen."), ("ko", "de", "개 두 마리가 놀고 있어요.")],
)
def test_directions_without_a_model_go_through_english(
    client: httpx.Client, source: str, target: str, text: str
) -> None:
    response = client.post("/translate", json={"q": text, "source": source, "target": target})
    assert response.status_code == 200
    names = response.headers["x-model-name"].split(",")
    assert sorted(names) == ["translation-en-de", "translation-en-ko"]
    assert len(response.headers["x-model-version"].split(",")) == len(names)
    english = translate(client, text, source=source, target="en")["translatedText"]
    expected = translate(client, english, source="en", target=target)
    assert response.json()["translatedText"] == expected["translatedText"]
    targets = {each["code"]: each["targets"] for each in client.get("/languages").json()}
    assert target in targets[source]


def test_paragraphs_and_spaces_are_kept(client: httpx.Client) -> None:
    answer = translate(client, f"{ENGLISH}  {ENGLISH}\n\n{ENGLISH}")["translatedText"]
    assert re.fullmatch(r"\S.*\S {2}\S.*\S\n\n\S.*\S", answer)


def test_capitals_are_translated_like_other_text(client: httpx.Client) -> None:
    expected = translate(client, ENGLISH)["translatedText"]
    assert translate(client, ENGLISH.upper())["translatedText"] == expected.upper()


@pytest.mark.parametrize("target", ["de", "ko"])
def test_headlines_are_translated_like_other_text(client: httpx.Client, target: str) -> None:
    expected = translate(client, "Two dogs are playing in the snow", target=target)
    answer = translate(client, "Two Dogs Are Playing In The Snow", target=target)
    assert answer == expected


def test_a_beam_gives_alternatives(client: httpx.Client) -> None:
    answer = translate(client, ENGLISH, beam_size=4, alternatives=3)
    assert 1 <= len(answer["alternatives"]) <= 3
    assert len({answer["translatedText"], *answer["alternatives"]}) > len(answer["alternatives"])


def test_alternatives_of_an_array_are_nested(client: httpx.Client) -> None:
    answer = translate(client, [ENGLISH, "Two dogs."], alternatives=1)
    assert [len(group) for group in (answer["translatedText"], answer["alternatives"])] == [2, 2]
    assert all(isinstance(each, list) for each in answer["alternatives"])


def test_attention_aligns_tokens(client: httpx.Client) -> None:
    (sentence,) = translate(client, ENGLISH, attention=True)["attention"]
    width = len(sentence["source_tokens"])
    assert all(len(row) == width for row in sentence["weights"])
    assert [sum(row) for row in sentence["weights"]] == pytest.approx(
        [1.0] * len(sentence["weights"]), abs=0.02
    )


def test_new_tokens_are_limited(client: httpx.Client) -> None:
    short = translate(client, ENGLISH, max_new_tokens=2)["translatedText"]
    assert len(short) < len(translate(client, ENGLISH)["translatedText"])


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("★☆☆☆☆", "★★★★★"),
        ("별점 1점", "별점 5점"),
        ("1/5", "5/5"),
        ("0/10", "10/10"),
        ("2/5", "4/5"),
    ],
)
def test_ratings_are_read_the_right_way_round(client: httpx.Client, low: str, high: str) -> None:
    best = [labels[0]["label"] for labels in classify(client, [low, high])]
    assert best == ["negative", "positive"]


def test_parameters_of_a_classification(client: httpx.Client) -> None:
    (best,) = classify(client, "a delight", top_k=1, model="sentiment-en")
    assert [score["label"] for score in best] == ["positive"]
    (raw,) = classify(client, "a delight", function_to_apply="none")
    assert sum(score["score"] for score in raw) != pytest.approx(1.0, abs=1e-4)


def test_languages_and_models_are_listed(client: httpx.Client) -> None:
    targets = {each["code"]: set(each["targets"]) for each in client.get("/languages").json()}
    assert {"de", "ko"} <= targets["en"]
    models = {each["name"]: each for each in client.get("/models").json()}
    assert set(models) >= {"sentiment-ko", "sentiment-en", "translation-en-de", "translation-en-ko"}
    assert all(each["licences"] and each["quality"] for each in models.values())


@pytest.mark.parametrize("route", ["/", "/docs", "/openapi.json", "/livez", "/readyz", "/metrics"])
def test_pages_and_probes_answer(route: str, client: httpx.Client) -> None:
    response = client.get(route)
    assert response.status_code == 200
    assert response.content


# --- batches and neighbours ---


def test_a_batch_of_translations_equals_singles(client: httpx.Client) -> None:
    together = translate(client, CAPTIONS)["translatedText"]
    singles = [translate(client, text)["translatedText"] for text in CAPTIONS]
    assert len(together) == len(CAPTIONS) == 64
    # int8 rounds activations on a scale of the whole batch, which may turn a near tie
    equal = sum(one == other for one, other in zip(together, singles, strict=True))
    assert equal >= 0.9 * len(CAPTIONS)


def test_a_batch_of_classifications_equals_singles(client: httpx.Client) -> None:
    texts = (VERDICTS * 3)[:64]
    together = classify(client, texts)
    singles = {text: classify(client, text)[0] for text in VERDICTS}
    assert len(together) == 64
    for text, scores in zip(texts, together, strict=True):
        found = {score["label"]: score["score"] for score in scores}
        alone = {score["label"]: score["score"] for score in singles[text]}
        assert found == pytest.approx(alone, abs=0.05)


def test_verdicts_in_both_languages_can_share_a_request(client: httpx.Client) -> None:
    texts = ["a delight from start to finish", "정말 재미있어요", "최악의 영화"]
    response = client.post("/classify", json={"inputs": texts})
    assert best_labels(response.json()) == ["positive", "positive", "negative"]
    assert set(response.headers["x-model-name"].split(",")) == {"sentiment-en", "sentiment-ko"}


def test_concurrent_requests_get_their_own_answers(client: httpx.Client) -> None:
    texts = CAPTIONS[:32]
    expected = translate(client, texts)["translatedText"]
    with ThreadPoolExecutor(max_workers=16) as threads:
        translations = threads.map(lambda text: translate(client, text)["translatedText"], texts)
        labels = threads.map(lambda text: best_labels(classify(client, text))[0], VERDICTS)
        found, found_labels = list(translations), list(labels)
    equal = sum(one == other for one, other in zip(found, expected, strict=True))
    assert equal >= 0.9 * len(texts)
    assert found_labels == best_labels(classify(client, VERDICTS))


def test_concurrent_requests_share_batches(client: httpx.Client) -> None:
    def count(name: str) -> float:
        return read_metric(client, f"seqserve_batch_rows_{name}", model="sentiment-en")

    batches, rows = count("count"), count("sum")
    with ThreadPoolExecutor(max_workers=16) as threads:
        list(threads.map(lambda text: classify(client, text), VERDICTS * 4))
    assert count("sum") - rows == len(VERDICTS) * 4
    assert count("count") - batches < len(VERDICTS) * 4


# --- translations that are cut or loop ---

KNOCKS = "knock knock knock knock knock knock knock"
WORDS = "Brr zrr grr krr drr trr prr frr srr hrr mrr nrr"
ROWS = "Hjkl hjkl ghjk fghj dfgh sdfg asdf lkjh kjhg jhgf hgfd gfds fdsa asdf sdfg dfgh fghj ghjk"


@pytest.mark.parametrize("beam_size", [1, 2, 4])
@pytest.mark.parametrize(
    ("target", "text"),
    [("ko", WORDS), ("ko", ROWS), ("de", WORDS), ("de", ROWS)],
)
def test_a_loop_is_not_passed_off_as_a_translation(
    target: str, text: str, beam_size: int, client: httpx.Client
) -> None:
    answer = translate(client, text, target=target, beam_size=beam_size)
    assert answer["complete"] is False
    assert answer["translatedText"]


def test_a_loop_that_ends_by_itself_is_not_complete_either(client: httpx.Client) -> None:
    assert translate(client, KNOCKS, target="ko")["complete"] is False


@pytest.mark.parametrize("beam_size", [1, 2, 4])
@pytest.mark.parametrize("target", ["de", "ko"])
def test_plain_sentences_are_complete(target: str, beam_size: int, client: httpx.Client) -> None:
    answer = translate(client, CAPTIONS, target=target, beam_size=beam_size, alternatives=1)
    assert set(answer) == {"translatedText", "alternatives", "score"}


@pytest.mark.parametrize("target", ["de", "ko"])
def test_a_translation_cut_by_the_client_is_not_complete(target: str, client: httpx.Client) -> None:
    answer = translate(client, ENGLISH, target=target, max_new_tokens=3)
    assert answer["complete"] is False


@pytest.mark.parametrize("extra", [{"format": "html"}, {"alternatives": 1}, {"attention": True}])
def test_each_text_of_an_array_says_whether_it_is_complete(
    extra: dict[str, Any], client: httpx.Client
) -> None:
    texts = [ENGLISH, f"{ENGLISH} {ROWS}"]
    assert translate(client, texts, **extra)["complete"] == [True, False]


def test_loops_and_cut_sentences_are_counted(client: httpx.Client) -> None:
    def count(reason: str) -> float:
        labels = {"model": "translation-en-de", "reason": reason}
        return read_metric(client, "seqserve_incomplete_translations_total", **labels)

    loops, cut = count("loop"), count("length")
    translate(client, [WORDS, ENGLISH, ROWS])
    translate(client, ENGLISH, max_new_tokens=3)

    assert (count("loop"), count("length")) == (loops + 2, cut + 1)


# --- metrics ---


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("seqserve_requests_total", {"outcome": "ok"}),
        ("seqserve_request_duration_seconds_count", {}),
        ("seqserve_stage_duration_seconds_count", {"stage": "inference"}),
        ("seqserve_tokens_total", {"direction": "input"}),
        ("seqserve_tokens_total", {"direction": "output"}),
    ],
)
def test_a_translation_moves_the_counters(
    name: str, labels: dict[str, str], client: httpx.Client
) -> None:
    labels = {"model": "translation-en-de"} | labels
    before = read_metric(client, name, **labels)
    translate(client, ENGLISH)
    assert read_metric(client, name, **labels) > before


def test_a_refusal_is_counted_as_one(client: httpx.Client) -> None:
    before = read_metric(client, "seqserve_requests_total", outcome="invalid")
    client.post("/classify", json={"inputs": None})
    assert read_metric(client, "seqserve_requests_total", outcome="invalid") == before + 1


def test_loaded_models_are_told(client: httpx.Client) -> None:
    assert read_metric(client, "seqserve_model_info", task="translation") == 2
    assert read_metric(client, "seqserve_model_info", device="cpu") == len(
        find_versions(MODELS_DIR)
    )


# --- bad input: a 4xx that names what is wrong, and a server that goes on ---


def send_chunks(num_bytes: int) -> Iterator[bytes]:
    yield b'{"inputs": "'
    for _ in range(num_bytes // 65536):
        yield b"x" * 65536
    yield b'"}'


TEN_MEGABYTES = 10 * 1024 * 1024
BAD_CLASSIFICATIONS: dict[str, tuple[dict[str, Any], int, str]] = {
    "empty body": ({"content": b"", "headers": JSON}, 422, "body is empty"),
    "no fields": ({"json": {}}, 422, "`inputs` is missing"),
    "null": ({"json": {"inputs": None}}, 422, "`inputs` is missing or null"),
    "number": ({"json": {"inputs": 3}}, 422, "`inputs` must be a string .* got a number"),
    "boolean": ({"json": {"inputs": True}}, 422, "`inputs` must be a string .* got true or false"),
    "object": ({"json": {"inputs": {}}}, 422, "`inputs` must be a string .* got an object"),
    "number inside": ({"json": {"inputs": ["a", 3]}}, 422, "`inputs` has a number at index 1"),
    "null inside": ({"json": {"inputs": [None]}}, 422, "`inputs` has null at index 0"),
    "empty text": ({"json": {"inputs": ""}}, 422, "`inputs` is empty"),
    "blank text": ({"json": {"inputs": " \n\t"}}, 422, "text 0 is empty"),
    "empty array": ({"json": {"inputs": []}}, 422, "`inputs` is an empty array"),
    "blank inside": ({"json": {"inputs": ["good", " "]}}, 422, "text 1 is empty"),
    "too many": ({"json": {"inputs": ["a"] * 257}}, 413, "257 texts .* limit of 256"),
    "too many characters": ({"json": {"inputs": "a" * 100_001}}, 413, "100001 characters"),
    "too many tokens": ({"json": {"inputs": "word " * 19_000}}, 413, r"\d+ tokens, above the"),
    "invalid JSON": ({"content": b'{"inputs": ', "headers": JSON}, 422, "not valid JSON"),
    "text, not JSON": ({"content": b"good film", "headers": JSON}, 422, "not valid JSON"),
    "NaN": ({"content": b'{"inputs": NaN}', "headers": JSON}, 422, "not valid JSON"),
    "deep": ({"content": b"[" * 100_000, "headers": JSON}, 422, "recursion limit"),
    "array": ({"content": b"[1]", "headers": JSON}, 422, "must be a JSON object, got an array"),
    "invalid UTF-8": (
        {"content": b'{"inputs": "\xff\xfe"}', "headers": JSON},
        422,
        "not valid JSON in UTF-8",
    ),
    "lone surrogate": ({"content": b'{"inputs": "\\ud800"}', "headers": JSON}, 422, "not valid"),
    "10 MB": ({"content": b"x" * TEN_MEGABYTES, "headers": JSON}, 413, "limit of 1048576 bytes"),
    "10 MB form": ({"data": {"inputs": "x" * TEN_MEGABYTES}}, 413, "limit of 1048576 bytes"),
    "unknown model": (
        {"json": {"inputs": "a", "parameters": {"model": "other"}}},
        404,
        "no classification model is called 'other'; there are .*sentiment-en",
    ),
    "a translator": (
        {"json": {"inputs": "a", "parameters": {"model": "translation-en-de"}}},
        404,
        "no classification model is called",
    ),
    "unknown parameter": (
        {"json": {"inputs": "a", "parameters": {"topk": 1}}},
        422,
        "`parameters.topk` is not known; known are top_k",
    ),
    "top_k of zero": (
        {"json": {"inputs": "a", "parameters": {"top_k": 0}}},
        422,
        "`parameters.top_k` must be at least 1",
    ),
    "unknown function": (
        {"json": {"inputs": "a", "parameters": {"function_to_apply": "relu"}}},
        422,
        "`parameters.function_to_apply` must be",
    ),
    "timeout of zero": ({"json": {"inputs": "a", "timeout_ms": 0}}, 422, "`timeout_ms` must be"),
    "timeout in words": (
        {"json": {"inputs": "a"}, "headers": {"X-Request-Timeout-Ms": "soon"}},
        422,
        "X-Request-Timeout-Ms must be a whole number",
    ),
}
BAD_TRANSLATIONS: dict[str, tuple[dict[str, Any], int, str]] = {
    "null": ({"q": None}, 422, "`q` is missing or null"),
    "empty": ({"q": ""}, 422, "`q` is empty"),
    "object": ({"q": {}}, 422, "`q` must be a string .* got an object"),
    "no target": ({"target": None}, 422, "`target` is missing or null"),
    "unknown source": (
        {"source": "xx"},
        404,
        "no model translates from xx to de; there are .*en-de",
    ),
    "unknown target": (
        {"target": "tlh"},
        404,
        "no model translates from en to tlh; there are .*en-de",
    ),
    "source of a wrong type": ({"source": 3}, 422, "`source` must be a string, got a number"),
    "script that no model reads": ({"q": "สวัสดีครับ", "source": "auto"}, 422, "thai script"),
    "beam of zero": ({"beam_size": 0}, 422, "`beam_size` must be at least 1"),
    "beam too wide": ({"beam_size": 99}, 422, "beam_size is 99, above the limit of 8"),
    "too many alternatives": ({"alternatives": 99}, 422, "alternatives is 99, above the limit"),
    "too many new tokens": ({"max_new_tokens": 10**6}, 422, "max_new_tokens is 1000000, above"),
    "unknown format": ({"format": "pdf"}, 422, "`format` must be 'text' or 'html'"),
    "sentence too long": ({"q": "é" * 400}, 413, "a sentence has .* tokens, above the limit"),
}


def check_problem(response: httpx.Response, status: int, reason: str) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert re.search(reason, problem["detail"], re.DOTALL)
    assert (problem["status"], problem["error"]) == (status, problem["detail"])
    assert problem["title"]
    assert response.headers["x-request-id"]


@pytest.fixture
def alive(client: httpx.Client) -> Iterator[None]:
    """Afterwards the server is ready and answers."""
    yield
    assert client.get("/readyz").status_code == 200
    assert len(classify(client, "a delight from start to finish")[0]) == 2


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize("case", BAD_CLASSIFICATIONS)
def test_a_bad_classification_is_refused(case: str, client: httpx.Client) -> None:
    request, status, reason = BAD_CLASSIFICATIONS[case]
    check_problem(client.post("/classify", **request), status, reason)


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize("case", BAD_TRANSLATIONS)
def test_a_bad_translation_is_refused(case: str, client: httpx.Client) -> None:
    fields, status, reason = BAD_TRANSLATIONS[case]
    body = {"q": "Hello.", "source": "en", "target": "de"} | fields
    check_problem(client.post("/translate", json=body), status, reason)


@pytest.mark.usefixtures("alive")
def test_a_long_body_of_unknown_length_is_refused(client: httpx.Client) -> None:
    response = client.post("/classify", content=send_chunks(TEN_MEGABYTES), headers=JSON)
    check_problem(response, 413, "limit of 1048576 bytes")


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"inputs=%FF%FE", "application/x-www-form-urlencoded"),
        (b"inputs=%ED%A0%80", "application/x-www-form-urlencoded"),
        (b"no parts", "multipart/form-data; boundary=b"),
        (b"no boundary", "multipart/form-data"),
    ],
)
def test_a_bad_form_is_refused(content: bytes, kind: str, client: httpx.Client) -> None:
    response = client.post("/classify", content=content, headers={"content-type": kind})
    check_problem(response, 422, "form|`inputs` is missing")


ODD_TEXTS = {
    "NUL": "\x00",
    "NUL inside": "good\x00film",
    "zero width space": "\u200b",
    "noncharacter": "\ufffe",
    "emoji": "🎬" * 10,
    "combining marks": "e\u0301\u0323" * 10,
    "right to left": "\u202egood",
    "a special token": "<eos> <pad> <2de>",
}


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize("kind", ODD_TEXTS)
def test_odd_characters_are_text_like_any_other(kind: str, client: httpx.Client) -> None:
    text = ODD_TEXTS[kind]
    assert best_labels(classify(client, text, model="sentiment-en"))
    assert isinstance(translate(client, text)["translatedText"], str)


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize("route", ["/classify", "/translate", "/detect"])
def test_the_wrong_method_is_refused(route: str, client: httpx.Client) -> None:
    response = client.get(route)
    check_problem(response, 405, "does not take this method")
    assert response.headers["allow"] == "POST"


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize(
    "route", ["/nowhere", "/translate/x", "/classify/", "/%00", "/../etc/passwd"]
)
def test_an_unknown_route_is_refused(route: str, client: httpx.Client) -> None:
    check_problem(client.post(route, json={"inputs": "a"}), 404, "no such route")


def test_a_deadline_that_cannot_be_kept_is_said(client: httpx.Client) -> None:
    body = {"q": CAPTIONS * 4, "source": "en", "target": "de", "beam_size": 8, "timeout_ms": 1}
    check_problem(client.post("/translate", json=body), 504, "deadline")


def test_nothing_of_all_that_was_the_servers_fault(server: Server, client: httpx.Client) -> None:
    assert read_metric(client, "seqserve_requests_total", outcome="error") == 0
    assert "Traceback" not in server.read_log()


# --- the end ---


def test_requests_in_flight_are_answered_after_sigterm(models_dir: Path, tmp_path: Path) -> None:
    num_requests, texts = 6, (3 * CAPTIONS)[:96]
    with run_server(models_dir, tmp_path / "log") as server, server.open_client() as client:
        with ThreadPoolExecutor(num_requests) as threads:
            futures = [
                threads.submit(translate, client, texts, beam_size=8) for _ in range(num_requests)
            ]
            wait_busy(client, at_least=len(texts) + 1)
            server.process.send_signal(signal.SIGTERM)
            assert not all(future.done() for future in futures), "nothing was in flight any more"
            answers = [future.result() for future in futures]
        assert server.process.wait(30) == 0
        assert "Traceback" not in server.read_log()
    assert [len(answer["translatedText"]) for answer in answers] == [len(texts)] * num_requests


def wait_busy(client: httpx.Client, at_least: int) -> None:
    """Waits until `count` sentences are in the server, or have had the time to arrive."""
    deadline = time.monotonic() + 1.0
    in_server = 0.0
    while in_server < at_least and time.monotonic() < deadline:
        in_server = sum(
            read_metric(client, f"seqserve_{name}")
            for name in ("queue_requests", "running_sequences")
        )


def test_a_server_that_is_told_to_stop_takes_no_more(models_dir: Path, tmp_path: Path) -> None:
    with run_server(models_dir, tmp_path / "log") as server, server.open_client() as client:
        classify(client, "a delight")
        assert server.stop() == 0
        with pytest.raises(httpx.TransportError):
            client.get("/livez")


def test_a_server_that_stops_is_unready_first_and_goes_on_for_a_while(
    models_dir: Path, tmp_path: Path
) -> None:
    flags = ("--shutdown-delay-ms", "3000")
    with run_server(models_dir, tmp_path / "log", *flags) as server, server.open_client() as client:
        assert "connection" not in client.get("/readyz").headers
        server.process.send_signal(signal.SIGTERM)
        with server.open_client() as newcomer:
            unready = newcomer.get("/readyz")
            answer = newcomer.post("/classify", json={"inputs": "a delight"})

        assert (unready.status_code, answer.status_code) == (503, 200)
        assert unready.headers["connection"] == answer.headers["connection"] == "close"
        assert server.process.wait(30) == 0


def test_an_address_in_use_is_one_clear_sentence(server: Server, models_dir: Path) -> None:
    port = httpx.URL(server.url).port
    with (
        pytest.raises(AssertionError, match=rf"Cannot listen on 127\.0\.0\.1 port {port}"),
        run_server(models_dir, server.log.with_name("second"), "--port", str(port)),
    ):
        pass


def test_a_repository_without_models_is_one_clear_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match=r"seqserve: .*holds no model"),
        run_server(tmp_path, tmp_path / "log"),
    ):
        pass
