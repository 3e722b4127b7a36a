"""The web page as people use it: a browser, the keyboard, a real server."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, WebSocket, expect, sync_playwright

from tests.clients.conftest import KEY
from tests.clients.programs import PATH, needs
from tests.integration.server import MODELS_DIR, ROOT, Server, run_server

BROWSER = "chromium-headless-shell"
TINY = ROOT / "tests" / "service"
TIMEOUT_MS = 60_000
NARROW = 360
TEXT = "오늘은날씨가좋아서산책을나갔다."

pytestmark = needs(BROWSER)
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as player:
        path = shutil.which(BROWSER, path=PATH)
        with player.chromium.launch(executable_path=path, args=flags) as opened:
            yield opened


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens the page of a server; what the browser complains of fails the test."""
    faults: list[str] = []
    pages: list[Page] = []

    def open_url(url: str, width: int = 1100) -> Page:
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.set_default_timeout(TIMEOUT_MS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: note_message(faults, message.text))
        page.goto(url)
        pages.append(page)
        return page

    expect.set_options(timeout=TIMEOUT_MS)
    yield open_url
    for page in pages:
        page.close()
    assert faults == []


def note_message(faults: list[str], message: str) -> None:
    """A status that is not 2xx is told to the console, too; what the page makes of it is tested."""
    if not message.startswith("Failed to load resource"):
        faults.append(message)


def copy_tagger(source: Path, target: Path) -> None:
    """The same tagger under another name; what was outside of all labels is a name of a person."""
    shutil.copytree(source, target)
    (manifest,) = target.glob("*/manifest.json")
    fields = json.loads(manifest.read_text(encoding="utf-8"))
    fields |= {"name": target.name, "labels": ["B-PER", "O"], "goldens": []}
    manifest.write_text(json.dumps(fields), encoding="utf-8")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A tagger and models of language alone, one of which writes by a label; below a prefix."""
    models = tmp_path_factory.mktemp("models")
    for folder in ("tiny_languages", "tiny_taggers"):
        for model in (TINY / folder).iterdir():
            (models / model.name).symlink_to(model)
    copy_tagger(TINY / "tiny_taggers" / "tiny-stream-tagging-lstm", models / "tiny-names")
    log = tmp_path_factory.mktemp("tiny") / "log"
    with run_server(models, log, "--root-path", "/texts") as running:
        yield running


def choose_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def find_field(page: Page, name: str) -> Locator:
    """A field of the panel that is shown."""
    return page.get_by_role("tabpanel").get_by_label(name, exact=True)


def read_status(page: Page) -> str:
    """What the panel says once its work is done."""
    status = page.get_by_role("tabpanel").locator(".status")
    expect(status).not_to_have_text(re.compile("^(Working…)?$"))
    text: str = status.inner_text()
    return text


def test_there_is_a_tab_for_each_task_of_the_loaded_models(
    open_page: Open, server: Server, tiny: Server
) -> None:
    page, few = open_page(server.url), open_page(f"{tiny.url}/texts/")

    expect(page.get_by_role("tab")).to_have_text(
        ["Translate", "Classify", "Generate", "Tag", "Look inside"]
    )
    expect(few.get_by_role("tab")).to_have_text(["Generate", "Tag", "Look inside"])
    expect(few.get_by_role("tabpanel")).to_have_attribute("id", "generate")
    expect(few.get_by_role("rowheader")).to_have_text(["Text generation", "Tagging"])


def test_tabs_are_chosen_by_keyboard_and_by_the_address(open_page: Open, server: Server) -> None:
    page = open_page(f"{server.url}/#generate")
    tab = page.get_by_role("tab", selected=True)
    expect(tab).to_have_text("Generate")

    tab.focus()
    seen = []
    for key in ("ArrowRight", "ArrowRight", "End", "Home", "ArrowLeft"):
        page.keyboard.press(key)
        seen.append(page.get_by_role("tab", selected=True).inner_text())
        expect(page.get_by_role("tab", selected=True)).to_be_focused()

    assert seen == ["Tag", "Look inside", "Look inside", "Translate", "Look inside"]
    assert page.url.endswith("#inside")


@pytest.mark.parametrize("name", ["Translate", "Classify", "Generate", "Tag", "Look inside"])
def test_no_panel_is_wider_than_a_small_screen(name: str, open_page: Open, server: Server) -> None:
    page = open_page(server.url, NARROW)
    choose_tab(page, name)

    assert page.locator("html").evaluate("each => each.scrollWidth") == NARROW


def test_terms_are_translated_as_asked(open_page: Open, server: Server) -> None:
    page = open_page(server.url)
    page.get_by_text("Terms", exact=True).click()
    expect(page.get_by_label("Terms of the server")).to_be_hidden()
    page.get_by_label("Glossary").fill("bicycle = Velo")
    page.get_by_label("Terms that stay").fill("street\nman")
    page.get_by_role("button", name="Translate").click()
    read_status(page)

    expect(page.get_by_role("region", name="Translation")).to_contain_text("Velo")
    expect(page.get_by_role("region", name="Translation")).to_contain_text("street")

    page.get_by_label("Glossary").fill("bicycle")
    page.get_by_role("button", name="Translate").click()
    expect(page.get_by_role("tabpanel").get_by_text("Line 1 of the glossary")).to_be_visible()


def test_terms_of_the_server_are_offered_for_their_direction(
    open_page: Open, tmp_path: Path
) -> None:
    (tmp_path / "translation-en-de").symlink_to(MODELS_DIR / "translation-en-de")
    terms = tmp_path / "glossaries" / "products" / "en-de.tsv"
    terms.parent.mkdir(parents=True)
    terms.write_text("bicycle\tVelo\n", encoding="utf-8")
    with run_server(tmp_path, tmp_path / "log") as server:
        page = open_page(server.url)
        page.get_by_text("Terms", exact=True).click()
        page.get_by_label("Terms of the server").select_option("products")
        expect(page.get_by_label("Glossary")).to_be_disabled()
        page.get_by_role("button", name="Translate").click()
        read_status(page)
        expect(page.get_by_role("region", name="Translation")).to_contain_text("Velo")

        page.get_by_role("button", name="Swap the languages").click()
        expect(page.get_by_label("Terms of the server")).to_be_hidden()
        expect(page.get_by_label("Glossary")).to_be_enabled()


def generate(page: Page, button: str = "Generate") -> str:
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.get_by_role("button", name="Generate")).to_be_enabled()
    text: str = page.get_by_role("region", name="Generated").inner_text()
    return text


def test_a_seed_writes_the_same_text_and_again_another_one(open_page: Open, server: Server) -> None:
    page = open_page(f"{server.url}/#generate")
    page.get_by_label("Tokens at most").fill("40")
    page.get_by_label("Seed").fill("5")
    first, same = generate(page), generate(page)
    assert "40 tokens" in read_status(page)
    other = generate(page, "Again")
    seed = page.get_by_label("Seed").input_value()
    repeated = generate(page)
    page.get_by_label("Temperature").fill("0")
    likeliest = generate(page)

    assert first == same != other == repeated
    assert first.startswith("To be, or")
    assert seed != "5"
    assert likeliest not in (first, other)


# A test's own click may come too late: a text of 1,024 tokens takes a second. So may the page's, if
# the browser gets no processor for that long.
NUM_TRIALS = 5
STOP_AT_FIRST_TEXT = """
output => new MutationObserver((_, observer) => {
  if (output.textContent.length < 30) return;
  observer.disconnect();
  document.getElementById("stop").click();
}).observe(output, { childList: true })
"""


def test_a_text_comes_in_parts_and_can_be_stopped(open_page: Open, server: Server) -> None:
    page = open_page(f"{server.url}/#generate")
    page.get_by_label("Tokens at most").fill("1024")
    stop = page.get_by_role("button", name="Stop")
    expect(stop).to_be_disabled()

    for _ in range(NUM_TRIALS):
        page.get_by_role("region", name="Generated").evaluate(STOP_AT_FIRST_TEXT)
        page.get_by_role("button", name="Generate").click()
        status = read_status(page)
        num_tokens = int(re.findall(r"(\d+) tokens", status)[0])
        if num_tokens < 1024:
            break

    assert "stopped" in status
    assert 0 < num_tokens < 1024
    expect(stop).to_be_disabled()
    expect(page.get_by_role("button", name="Generate")).to_be_enabled()


def test_a_refused_generation_says_why(open_page: Open, server: Server) -> None:
    page = open_page(f"{server.url}/#generate")
    page.get_by_label("Tokens at most").fill("1025")
    page.get_by_role("button", name="Generate").click()

    assert "1024" in read_status(page)


def test_a_model_that_takes_a_label_is_given_one(open_page: Open, tiny: Server) -> None:
    page = open_page(f"{tiny.url}/texts/#generate")
    label = find_field(page, "Label")
    find_field(page, "Model").select_option("tiny-language-lstm")
    expect(label).to_be_hidden()
    find_field(page, "Model").select_option("tiny-language-gru")
    page.get_by_label("Prompt").fill("")
    texts = []
    for name in ("negative", "positive"):
        label.select_option(name)
        texts.append(generate(page))
        assert "tiny-language-gru" in read_status(page)

    assert texts[0] != texts[1]


def render(server: Server, text: str, model: str, **fields: str) -> str:
    """The text as the API spaces it."""
    body = {"inputs": text, "parameters": {"model": model, "render": True}, **fields}
    with server.open_client() as client:
        rendered: str = client.post("/tag", json=body).json()["text"]
    return rendered


def watch_frames(page: Page) -> list[str]:
    """The frames that the page sends, as it sends them."""
    sent: list[str] = []

    def watch(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: sent.append(str(frame)))

    page.on("websocket", watch)
    return sent


def test_text_is_spaced_as_it_is_typed(open_page: Open, server: Server) -> None:
    page = open_page(server.url)
    sent = watch_frames(page)
    choose_tab(page, "Tag")
    box, labelled = find_field(page, "Text"), page.get_by_role("region", name="Labelled")
    box.fill("")
    box.press_sequentially(TEXT, delay=30)
    whole = render(server, TEXT, "spacing-ko-stream")

    expect(labelled).to_have_text(whole, use_inner_text=True)
    assert "spacing-ko-stream" in read_status(page)
    assert whole.count(" ") >= 3
    assert max(map(len, sent[2:])) < len(TEXT) / 2, "it is sent in pieces"

    # a correction in the middle
    box.press("Home")
    box.press("Delete")
    corrected = render(server, TEXT[1:], "spacing-ko-stream")
    expect(labelled).to_have_text(corrected, use_inner_text=True)


def test_a_syllable_is_sent_once_it_is_composed(open_page: Open, server: Server) -> None:
    page = open_page(server.url)
    sent = watch_frames(page)
    choose_tab(page, "Tag")
    box = find_field(page, "Text")
    page.wait_for_timeout(1500)
    box.fill("")
    page.wait_for_timeout(1500)
    sent.clear()
    keyboard = page.context.new_cdp_session(page)
    for syllable, stages in (("나", "ㄴ나"), ("는", "ㄴ느는")):
        for stage in stages:
            caret = {"selectionStart": 1, "selectionEnd": 1}
            keyboard.send("Input.imeSetComposition", {"text": stage, **caret})
            page.wait_for_timeout(50)
        keyboard.send("Input.insertText", {"text": syllable})
    expect(page.get_by_role("region", name="Labelled")).to_have_text("나는")
    page.wait_for_timeout(1500)

    assert [frame for frame in sent if frame] == ["나", "는"]


def test_a_model_of_whole_texts_answers_at_pauses(open_page: Open, server: Server) -> None:
    page = open_page(server.url)
    choose_tab(page, "Tag")
    find_field(page, "Model").select_option("spacing-ko")
    find_field(page, "Text").fill(TEXT * 2)

    labelled = page.get_by_role("region", name="Labelled")
    expect(labelled).to_have_text(render(server, TEXT * 2, "spacing-ko"), use_inner_text=True)
    assert "spacing-ko v" in read_status(page)


def test_labels_that_are_not_spaces_stand_beside_their_text(open_page: Open, tiny: Server) -> None:
    page = open_page(f"{tiny.url}/texts/#tag")
    find_field(page, "Model").select_option("tiny-names")
    text = "나는학교에간다.오늘은날씨가좋다."
    find_field(page, "Text").fill(text)
    with tiny.open_client() as client:
        body = {"inputs": text, "parameters": {"model": "tiny-names"}}
        words = [entity["word"] for entity in client.post("/tag", json=body).json()]

    labelled = page.get_by_role("region", name="Labelled")
    expect(labelled.locator("mark")).to_have_text([f"{word}PER" for word in words])
    assert words
    assert "tiny-names" in read_status(page)


def look(page: Page, model: str, text: str) -> Locator:
    """The coloured tokens of a text, by the unit that is picked."""
    find_field(page, "Model").select_option(label=model)
    find_field(page, "Text").fill(text)
    page.get_by_role("button", name="Look", exact=True).click()
    expect(page.get_by_role("region", name="What the unit holds")).to_have_text(
        text, use_inner_text=True
    )
    return page.get_by_role("region").locator("mark")


def read_states(server: Server, path: str, body: dict[str, Any]) -> list[float]:
    with server.open_client() as client:
        answer = client.post(path, json=body).json()
    answer = answer[0] if isinstance(answer, list) else answer
    values: list[float] = answer["details"]["states"]["series"][0]["values"]
    return values


def test_a_find_colours_the_text(open_page: Open, server: Server) -> None:
    page = open_page(f"{server.url}/#inside")
    find_field(page, "Model").select_option(label="shakespeare-en")
    text = "ROMEO:\nIt is the east, and Juliet is the sun."
    find_field(page, "Text").fill(text)

    page.get_by_role("button", name="position in the line").click()

    tokens = page.get_by_role("region").locator("mark")
    expect(tokens.first).to_be_visible()
    unit, layer = (
        int(find_field(page, "Unit").input_value()),
        find_field(page, "Layer").input_value(),
    )
    value = find_field(page, "Value").input_value()
    states = {"layers": [layer], "units": [unit], "values": [value]}
    parameters = {"model": "shakespeare-en", "max_new_tokens": 1, "details": {"states": states}}
    values = read_states(server, "/generate", {"inputs": text, "parameters": parameters})
    titles = tokens.evaluate_all("marks => marks.map(mark => Number(mark.title))")
    assert titles == pytest.approx(values[:-1], abs=6e-4)
    # low in the colour of low, and the pointer tells the value
    lowest = titles.index(min(titles))
    colours = tokens.evaluate_all("marks => marks.map(mark => mark.style.background)")
    assert "--low" in colours[lowest]
    assert "--high" in colours[titles.index(max(titles))]
    tokens.nth(lowest).hover()
    expect(page.locator("#inside-value")).to_contain_text(f"{min(titles):.3f}")


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("sentiment-en", "a delight 😀 from start to finish"),
        ("spacing-ko", "오늘은날씨가좋다"),
        ("translation-en-ko, ko to en", "강아지가 잔다."),
    ],
)
def test_models_of_other_tasks_are_looked_into(
    model: str, text: str, open_page: Open, server: Server
) -> None:
    page = open_page(f"{server.url}/#inside")

    tokens = look(page, model, text)

    assert tokens.count() >= 3
    assert model.split(",")[0] in read_status(page)
    assert len(set(tokens.evaluate_all("marks => marks.map(mark => mark.title)"))) > 1


def test_a_unit_that_is_not_there_is_not_asked_for(open_page: Open, server: Server) -> None:
    page = open_page(f"{server.url}/#inside")
    find_field(page, "Model").select_option(label="spam-en")
    find_field(page, "Unit").fill("64")
    page.get_by_role("button", name="Look", exact=True).click()

    is_valid = find_field(page, "Unit").evaluate("field => field.checkValidity()")
    assert not is_valid
    expect(page.get_by_role("region").locator("mark")).to_have_count(0)


def test_a_server_with_keys_is_told_one(browser: Browser, locked: Server) -> None:
    page = browser.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(f"{locked.url}/#tag")
    box = page.locator("#key")
    expect(box).to_be_focused()
    assert "API key" in read_status(page)

    box.fill(KEY)
    box.press("Tab")
    whole = render(locked, TEXT, "spacing-ko-stream", api_key=KEY)
    expect(page.get_by_role("region", name="Labelled")).to_have_text(whole, use_inner_text=True)
    expect(page.get_by_text("Labels text as you type")).to_be_visible()
    page.close()
