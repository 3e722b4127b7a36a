import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import httpx
import pytest

from service import cli
from service.cli import (
    build_parser,
    describe_manifest,
    format_table,
    main,
)
from service.pipeline.classify import ClassifyPipeline
from service.pipeline.translation.translate import TranslatePipeline
from service.repository.manifest import write_manifest
from service.server.listener import format_url, open_listener
from service.settings import Settings
from tests.service.http.fakes import MANIFEST, FakePipeline

ROOT = Path(__file__).parents[2]

# Answers of /classify wait half a second, so that a signal can arrive meanwhile.
SLOW_SERVER = """
import asyncio
from service.server.listener import open_listener
from service.server.uvicorn_server import announce, run_app
from service.settings import Settings
from tests.service.http.fakes import FakePipeline, make_app

class SlowPipeline(FakePipeline):
    async def answer_job(self, job):
        print("asked", flush=True)
        await asyncio.sleep(0.5)
        return await super().answer_job(job)

listener = open_listener("127.0.0.1", 0)
run_app(make_app(SlowPipeline()), Settings(), listener, announce(listener))
print("finished", flush=True)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a process of its own: `serve` installs signal handlers and logging."""
    script = "import sys; from service.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = {"PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=ROOT, env=environment, check=False
    )


@contextmanager
def start_script(script: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and its URL."""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    found = re.search(r"http://\S+:\d+", process.stdout.readline())
    assert found is not None
    yield process, found[0]
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with start_script(SLOW_SERVER) as (_, found):
        yield found


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert re.fullmatch(r"seqserve \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_a_flag_of_serve(name: str) -> None:
    given = build_parser().parse_args(["serve", "--" + name.replace("_", "-"), "1"])
    assert getattr(given, name) == "1"


def test_flag_that_is_not_given_leaves_the_environment_alone() -> None:
    assert "port" not in vars(build_parser().parse_args(["serve"]))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["serve", "--prot", "1"],
        ["serve", "--max-batch", "1"],
        ["translate", "x"],
        ["classify", "--top-k", "0"],
        ["models"],
    ],
)
def test_unknown_or_missing_argument_is_refused_by_name(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == cli.MISUSED
    assert "error:" in capsys.readouterr().err


def test_bad_setting_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "99999"]) == cli.MISUSED
    error = capsys.readouterr().err
    assert error.startswith("seqserve: SEQSERVE_PORT (--port) must be less than")
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    [
        ["classify", "x"],
        ["translate", "--target", "de", "x"],
        ["models", "list"],
        ["models", "verify"],
    ],
)
def test_repository_without_models_is_one_sentence(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--models-dir", str(tmp_path)]) == cli.FAILED
    assert re.fullmatch(r"seqserve: .*holds no model.*\n", capsys.readouterr().err)


def test_server_that_cannot_start_says_why_in_one_sentence(tmp_path: Path) -> None:
    result = run("serve", "--port", "0", "--models-dir", str(tmp_path))
    assert result.returncode == cli.FAILED
    assert re.fullmatch(r"seqserve: .*holds no model.*\n", result.stderr)


# All at once: whichever stayed would keep the server from ending, or make it lose its workers.
INHERITED = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
"""


@pytest.mark.parametrize("num_workers", ["1", "2"])
def test_server_stops_whatever_its_parent_did_to_its_signals(
    num_workers: str, tiny_repository: Path
) -> None:
    command = ["serve", "--port", "0", "--workers", num_workers, "--device", "cpu"]
    command += ["--models-dir", str(tiny_repository), "--shutdown-delay-ms", "0"]
    serve = f"from service.cli import main; raise SystemExit(main({command}))"
    with start_script(INHERITED + serve) as (process, _):
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (0, "")


def test_taken_port_is_one_sentence() -> None:
    with open_listener("127.0.0.1", 0) as taken:
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run("serve", "--port", port)
    assert result.returncode == cli.FAILED
    assert re.fullmatch(rf"seqserve: Cannot listen on 127.0.0.1 port {port}: .*\n", result.stderr)


def test_address_of_another_machine_is_one_sentence() -> None:
    with pytest.raises(OSError, match=r"Cannot listen on 203\.0\.113\.1 port 0: "):
        open_listener("203.0.113.1", 0)


def test_nobody_can_connect_before_the_models_are_loaded() -> None:
    with open_listener("127.0.0.1", 0) as listener, socket.socket() as client:
        assert client.connect_ex(listener.getsockname()) != 0


def test_answers_are_sent_without_nagles_delay() -> None:
    # asyncio sets TCP_NODELAY by this
    with open_listener("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_url_names_the_port_that_was_chosen() -> None:
    with open_listener("127.0.0.1", 0) as listener:
        assert format_url(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_signal_lets_running_requests_finish_and_exits_cleanly() -> None:
    with start_script(SLOW_SERVER) as (process, url), ThreadPoolExecutor() as client:
        assert process.stdout is not None
        request = client.submit(httpx.post, f"{url}/classify", json={"inputs": "a"})
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGTERM)
        output, error = process.communicate(timeout=10)
    assert request.result().json()[0][0]["label"] == "positive"
    assert (process.returncode, output, error) == (0, "finished\n", "")


def test_server_does_not_name_its_software(url: str) -> None:
    response = httpx.get(f"{url}/livez")
    assert response.status_code == 200
    assert "server" not in response.headers


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize(
    "header", ["Expect: 100-continue", "Expect:", "Transfer-Encoding: chunked"]
)
def test_curl_sees_the_answer_to_a_body_that_is_too_long(
    url: str, tmp_path: Path, header: str
) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"x" * 10_000_000)
    command = ["curl", "-sS", "-H", header, "--data-binary", f"@{path}"]
    result = subprocess.run(
        [*command, f"{url}/classify"], capture_output=True, check=True, timeout=30
    )
    assert json.loads(result.stdout)["status"] == 413


def test_manifest_is_one_row() -> None:
    row = describe_manifest(MANIFEST)
    assert row[:5] == ("tiny", "3", "classification (gru)", "en", "fp32")
    assert row[6:] == ("yes", "accuracy 81.5", "CC0-1.0")


def test_models_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "tiny" / "3"
    folder.mkdir(parents=True)
    write_manifest(MANIFEST, folder)
    assert main(["models", "list", "--models-dir", str(tmp_path)]) == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split()[:3] == ["NAME", "VERSION", "TASK"]
    assert row.split()[:2] == ["tiny", "3"]


def test_table_is_aligned() -> None:
    assert format_table([["a", "bb"], ["ccc", "d"]]) == ["a    bb", "ccc  d"]


async def run_with_fake(*arguments: str) -> None:
    given = build_parser().parse_args(arguments)
    if arguments[0] == "classify":
        await cli.classify_texts(cast(ClassifyPipeline, FakePipeline()), given, Settings())
    else:
        pipeline = FakePipeline(incomplete=frozenset({"loop"}))
        await cli.translate_texts(cast(TranslatePipeline, pipeline), given, Settings())


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["classify", "a", "b"], ["positive 0.7500", "positive 0.7500"]),
        (["classify", "a", "--top-k", "2"], ["positive 0.7500\tnegative 0.2500"]),
        (["translate", "a", "b", "--target", "de"], ["A", "B"]),
        (["translate", "a", "--target", "de", "--alternatives", "1"], ["A", "A 1"]),
    ],
)
async def test_answers_are_plain_lines(
    arguments: list[str], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    await run_with_fake(*arguments)
    assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["classify", "a", "--json"],
            {"model": "tiny", "labels": [{"label": "positive", "score": 0.75}]},
        ),
        (
            ["translate", "ä", "--target", "de", "--json"],
            {"model": "tiny", "translatedText": "Ä", "alternatives": []},
        ),
        (
            ["translate", "loop", "--target", "de", "--json"],
            {"model": "tiny", "translatedText": "LOOP", "alternatives": [], "complete": False},
        ),
    ],
)
async def test_answers_are_json_where_asked_for(
    arguments: list[str], expected: object, capsys: pytest.CaptureFixture[str]
) -> None:
    await run_with_fake(*arguments)
    assert json.loads(capsys.readouterr().out) == expected


async def test_texts_come_from_stdin_where_there_are_no_arguments(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("one\n\ntwo\n"))
    await run_with_fake("translate", "--target", "de")
    assert capsys.readouterr().out.splitlines() == ["ONE", "TWO"]


def test_tagged_texts_are_printed_with_their_spaces(
    tiny_taggers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--models-dir", str(tiny_taggers), "--device", "cpu"]

    assert main(["tag", "나는간다", "--render", *flags]) == 0
    (rendered,) = capsys.readouterr().out.splitlines()
    assert main(["tag", "나는간다", "--json", "--aggregation", "none", *flags]) == 0
    members = json.loads(capsys.readouterr().out)

    assert "".join(rendered.split()) == "나는간다"
    assert members["model"] == "tiny-tagging-gru"
    assert all(entity["label"] == "SPACE" for entity in members["entities"])


LANGUAGES = ROOT / "tests" / "service" / "tiny_languages"


def generate(*arguments: str) -> int:
    return main(["generate", "--models-dir", str(LANGUAGES), "--device", "cpu", *arguments])


def test_generate_prints_the_same_text_streamed_or_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ("--seed", "3", "--max-new-tokens", "20", "the cat", "A")
    assert generate(*asked) == 0
    streamed = capsys.readouterr().out
    assert generate("--json", *asked) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert streamed == "".join(each["generated_text"] + "\n" for each in found)
    assert [each["seed"] for each in found] == [3, 3]
    assert found[0]["model"] == "tiny-language-lstm"


def test_generate_reads_a_file_as_one_prompt_and_a_pipe_by_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--temperature", "0", "--max-new-tokens", "5", "--json")
    path = tmp_path / "prompt"
    path.write_text("a\nb\n", encoding="utf-8")
    generate(*options, "--file", str(path))
    monkeypatch.setattr(sys, "stdin", io.StringIO("a\nb\n"))
    generate(*options, "--file", "-")
    monkeypatch.setattr(sys, "stdin", io.StringIO("a\nb\n"))
    generate(*options)

    by_file, by_pipe, *by_line = [
        json.loads(line)["generated_text"] for line in capsys.readouterr().out.splitlines()
    ]
    assert by_file == by_pipe
    assert len(by_line) == 2


def test_tag_reads_a_file_as_one_text_with_its_lines(
    tiny_taggers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "text"
    path.write_text("나는\n\n간다\n", encoding="utf-8")
    flags = ["--models-dir", str(tiny_taggers), "--device", "cpu"]

    assert main(["tag", "--render", "--file", str(path), *flags]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert [line.replace(" ", "") for line in lines] == ["나는", "", "간다", ""]


def test_input_that_is_not_utf8_is_refused(
    tiny_taggers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "text"
    path.write_bytes("나는".encode("euc-kr"))

    assert main(["tag", "--file", str(path), "--models-dir", str(tiny_taggers)]) == cli.FAILED
    assert "not UTF-8" in capsys.readouterr().err


def test_a_reader_that_has_enough_ends_the_command_quietly(tiny_taggers: Path) -> None:
    script = "import sys; from service.cli import main; sys.exit(main(sys.argv[1:]))"
    command = ["tag", "--models-dir", str(tiny_taggers), "--device", "cpu", *["나는간다"] * 200]
    with subprocess.Popen(
        [sys.executable, "-c", script, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        complaints = process.stderr.read()

    assert (process.returncode, complaints) == (cli.CUT_OFF, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--features", "1,b"), "--features: must be numbers with commas between them"),
        (("--top-k", "0"), "--top-k: must be a whole number of at least 1, got '0'"),
        (("--number", "two"), "--number: must be a whole number of at least 1, got 'two'"),
    ],
)
def test_flags_that_are_not_numbers_are_refused(
    arguments: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["generate", *arguments, "a"])
    assert caught.value.code == cli.MISUSED
    assert message in capsys.readouterr().err


def test_generate_takes_a_label_for_a_prompt(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate("--label", "positive", "--number", "3", "--max-new-tokens", "9") == 0
    assert len(capsys.readouterr().out.splitlines()) >= 3


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--temperature", "-1", "a"), 2, "--temperature must be 0 or more, got -1.0"),
        (("--top-p", "0", "a"), 2, "--top-p must be above 0, at most 1"),
        (("--max-new-tokens", "999", "a"), 1, "above the limit of 200"),
        (("--label", "angry"), 1, "send one of negative, positive"),
    ],
)
def test_generate_says_what_is_wrong(
    arguments: tuple[str, ...], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate(*arguments) == code
    assert message in capsys.readouterr().err
