"""The page's own functions, run by node, with answers that do not come from the service."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

STATIC = Path(__file__).parents[2] / "service" / "http" / "static"
# An element of the page that takes whatever it is told.
DOCUMENT = """
globalThis.document = { getElementById: () => ({ value: "", set textContent(text) {} }) };
"""
SAY = """
const { get, post } = await import("./api.js");
const { translate } = await import("./translate.js");
let answer;
globalThis.fetch = async () => new Response(...answer);
async function say(work) {
  try { await work(); return "ok"; } catch (error) { return error.message; }
}
for (answer of %s) {
  const said = [await say(() => get("models")), await say(() => post("classify", {}))];
  console.log(JSON.stringify([...said, await say(translate)]));
}
"""

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="node is not there")


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which node takes the page's files for modules."""
    folder = tmp_path_factory.mktemp("page") / "static"
    shutil.copytree(STATIC, folder)
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    return folder


def run_page(modules: Path, program: str) -> list[Any]:
    """The JSON lines that a program with the page's modules prints."""
    (modules / "program.js").write_text(DOCUMENT + program, encoding="utf-8")
    done = subprocess.run(
        ["node", modules / "program.js"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def ask_page(modules: Path, answers: list[tuple[str, int]]) -> list[list[str]]:
    """What the page says to each answer: filling itself, classifying, translating."""
    shown = json.dumps([[body, {"status": status}] for body, status in answers])
    return run_page(modules, SAY % shown)


@pytest.mark.parametrize("status", [413, 502])
def test_error_that_is_not_json_is_shown_by_its_status(status: int, modules: Path) -> None:
    (said,) = ask_page(modules, [("<html><h1>Something</h1></html>", status)])
    assert said == [f"The server answers {status}."] * 3


def test_error_of_the_service_is_shown_in_its_words(modules: Path) -> None:
    (said,) = ask_page(modules, [('{"error": "The queue is full."}', 429)])
    assert said == ["The queue is full."] * 3


@pytest.mark.parametrize(
    ("refusals", "retry_after", "said", "num_requests"),
    [
        (1, "0.01", "done", 2),
        (3, "0.01", "done", 4),
        (4, "0.01", "busy", 4),
        (1, "60", "busy", 1),
        (1, "soon", "busy", 1),
    ],
)
def test_page_asks_again_when_a_busy_server_says_so(
    refusals: int, retry_after: str, said: str, num_requests: int, modules: Path
) -> None:
    program = f"""
    let count = 0;
    globalThis.fetch = async () => {{
      count += 1;
      if (count > {refusals}) return new Response('"done"', {{ status: 200 }});
      const headers = {{ "Retry-After": "{retry_after}" }};
      return new Response('{{"error": "busy"}}', {{ status: 429, headers }});
    }};
    const {{ post }} = await import("./api.js");
    const posted = post("/translate", {{}});
    const said = await posted.then(({{ answer }}) => answer, ({{ message }}) => message);
    console.log(JSON.stringify([said, count]));
    """
    assert run_page(modules, program) == [[said, num_requests]]


def test_page_that_is_told_to_stop_does_not_wait(modules: Path) -> None:
    program = """
    globalThis.fetch = async (path, { signal }) => {
      signal.throwIfAborted();
      return new Response('{"error": "busy"}', { status: 429, headers: { "Retry-After": "9" } });
    };
    const { send } = await import("./api.js");
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 20);
    const started = performance.now();
    const name = await send("/translate", {}, stop.signal).catch((error) => error.name);
    console.log(JSON.stringify([name, performance.now() - started < 5000]));
    process.exit();
    """
    assert run_page(modules, program) == [["AbortError", True]]


@pytest.mark.parametrize("body", ["null", "[]", '{"message": "no"}'])
def test_error_in_other_json_is_shown_by_its_status(body: str, modules: Path) -> None:
    (said,) = ask_page(modules, [(body, 503)])
    assert said == ["The server answers 503."] * 3


def test_page_of_a_portal_is_not_taken_for_an_answer(modules: Path) -> None:
    (said,) = ask_page(modules, [("<html>Please log in</html>", 200)])
    assert said[:2] == ["The server answers 200 without JSON."] * 2
    assert said[2] == "The server answers 200 without a stream."


MODELS = [
    {"name": "sentiment-en", "task": "classification", "purpose": "sentiment"},
    {"name": "mine", "task": "classification", "purpose": ""},
    {"name": "spam-en", "task": "classification", "purpose": "spam"},
    {"name": "sentiment-ko", "task": "classification", "purpose": "sentiment"},
    {"name": "translation-en-de", "task": "translation", "purpose": ""},
    {"name": "shakespeare-en", "task": "language", "purpose": ""},
]


def test_models_are_grouped_by_purpose_or_else_by_task(modules: Path) -> None:
    program = f"""
    const {{ groupModels }} = await import("./models.js");
    console.log(JSON.stringify(groupModels({json.dumps(MODELS)})));
    """
    (groups,) = run_page(modules, program)

    assert [(name, [model["name"] for model in models]) for name, models in groups] == [
        ("Sentiment", ["sentiment-en", "sentiment-ko"]),
        ("Classification", ["mine"]),
        ("Spam", ["spam-en"]),
        ("Translation", ["translation-en-de"]),
        ("Text generation", ["shakespeare-en"]),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dog = Mops\n\n  the cat=die Katze ", {"dog": "Mops", "the cat": "die Katze"}),
        ("x = a = b", {"x": "a = b"}),
        ("", {}),
        ("dog = Mops\ncat", "Line 2 of the glossary is not “term = translation”."),
        ("= Katze", "Line 1 of the glossary is not “term = translation”."),
    ],
)
def test_a_glossary_has_a_term_and_its_translation_a_line(
    text: str, expected: object, modules: Path
) -> None:
    program = f"""
    const {{ readGlossary }} = await import("./translate.js");
    let read;
    try {{ read = readGlossary({json.dumps(text)}); }} catch (error) {{ read = error.message; }}
    console.log(JSON.stringify(read));
    """
    assert run_page(modules, program) == [expected]


def test_tokens_of_one_name_that_touch_are_an_entity(modules: Path) -> None:
    labels = ["B-PER", "I-PER", "B-PER", "I-LOC", "LOC", "PER"]
    starts = [0, 2, 4, 6, 8, 20]
    tokens = [
        {"entity": label, "start": start, "end": start + 1, "score": 0.9 - start / 100}
        for label, start in zip(labels, starts, strict=True)
    ]
    program = f"""
    const {{ joinTokens }} = await import("./tag.js");
    console.log(JSON.stringify(joinTokens({json.dumps(tokens)})));
    """
    (joined,) = run_page(modules, program)

    spans = [(each["name"], each["start"], each["end"]) for each in joined]
    assert spans == [("PER", 0, 3), ("PER", 4, 5), ("LOC", 6, 9), ("PER", 20, 21)]
    assert joined[0]["score"] == 0.88
