"""The page's own functions, run by node, with answers that do not come from the service."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "service" / "http" / "static" / "page.html"
PROGRAM = """
const document = { getElementById: () => ({ value: "", set textContent(text) {} }) };
let answer;
async function fetch() { return new Response(...answer); }
%s
async function say(work) {
  try { await work(); return "ok"; } catch (error) { return error.message; }
}
(async () => {
  for (answer of %s) {
    const said = [await say(() => get("models")), await say(() => post("classify", {}))];
    console.log(JSON.stringify([...said, await say(translate)]));
  }
})();
"""

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="node is not there")


def ask_page(answers: list[tuple[str, int]]) -> list[list[str]]:
    """What the page says to each answer: filling itself, classifying, translating."""
    shown = json.dumps([[body, {"status": status}] for body, status in answers])
    return [json.loads(line) for line in run_node(PROGRAM % (read_functions(), shown)).splitlines()]


def read_functions() -> str:
    """The page's program without its last call, which fills the page."""
    script = PAGE.read_text(encoding="utf-8").partition("<script>")[2].partition("</script>")[0]
    functions = script.replace("\nstart();\n", "\n")
    assert functions != script
    return functions


def run_node(program: str) -> str:
    done = subprocess.run(["node", "-"], input=program, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("status", [413, 502])
def test_error_that_is_not_json_is_shown_by_its_status(status: int) -> None:
    (said,) = ask_page([("<html><h1>Something</h1></html>", status)])
    assert said == [f"The server answers {status}."] * 3


def test_error_of_the_service_is_shown_in_its_words() -> None:
    (said,) = ask_page([('{"error": "The queue is full."}', 429)])
    assert said == ["The queue is full."] * 3


@pytest.mark.parametrize("body", ["null", "[]", '{"message": "no"}'])
def test_error_in_other_json_is_shown_by_its_status(body: str) -> None:
    (said,) = ask_page([(body, 503)])
    assert said == ["The server answers 503."] * 3


def test_page_of_a_portal_is_not_taken_for_an_answer() -> None:
    (said,) = ask_page([("<html>Please log in</html>", 200)])
    assert said[:2] == ["The server answers 200 without JSON."] * 2
    assert said[2] == "The server answers 200 without a stream."


MODELS = [
    {"name": "sentiment-en", "task": "classification", "purpose": "sentiment"},
    {"name": "mine", "task": "classification", "purpose": ""},
    {"name": "spam-en", "task": "classification", "purpose": "spam"},
    {"name": "sentiment-ko", "task": "classification", "purpose": "sentiment"},
    {"name": "translation-en-de", "task": "translation", "purpose": ""},
]


def test_models_are_grouped_by_purpose_or_else_by_task() -> None:
    program = f"console.log(JSON.stringify(groupModels({json.dumps(MODELS)})));"
    groups = json.loads(run_node(f"const document = {{}};\n{read_functions()}\n{program}"))

    assert [(name, [model["name"] for model in models]) for name, models in groups] == [
        ("Sentiment", ["sentiment-en", "sentiment-ko"]),
        ("Classification", ["mine"]),
        ("Spam", ["spam-en"]),
        ("Translation", ["translation-en-de"]),
    ]
