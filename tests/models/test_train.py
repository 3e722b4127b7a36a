"""The command: overrides, rejected input, and a run that survives a kill."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from models.config import parse_config
from models.train import choose_config, choose_device, is_bf16_faster, main, parse_arguments
from models.training.trainer import BEST, LAST, read_history

ROOT = Path(__file__).parents[2]
SAMPLES = Path(__file__).parent / "samples"

CONFIG = """
name = "tiny"
task = "classification"
languages = ["ko"]
labels = ["negative", "positive"]

[[sources]]
path = "nsmc"
licence = "CC0-1.0"
commercial_use = true

[model]
cell = "gru"
vocab_size = 700
embedding_size = 16
encoder_size = 12
encoder_layers = 1

[training]
epochs = 3
batch_tokens = 128
warmup_steps = 5
"""

Command = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def keep_threads() -> Iterator[None]:
    num_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture
def command(tmp_path: Path, samples: Path) -> Command:
    """The arguments of a short run in `tmp_path / out`."""
    config = tmp_path / "tiny.toml"
    config.write_text(CONFIG, encoding="utf-8")

    def make(out: str, *more: str) -> list[str]:
        return [
            *("--config", str(config), "--data", str(samples), "--out", str(tmp_path / out)),
            *("--threads", "1", "--device", "cpu", "--no-bf16", *more),
        ]

    return make


def load(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def read_config_file(folder: Path) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return fields


def kill_at(step: int, arguments: list[str], last: Path) -> None:
    """Starts training in a process of its own and kills it once a checkpoint holds the step."""
    process = subprocess.Popen(
        [sys.executable, "-m", "models.train", *arguments, "--checkpoint-seconds", "0"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120.0
        while process.poll() is None and time.monotonic() < deadline:
            if last.exists() and load(last)["progress"]["step"] >= step:
                break
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_killed_run_ends_in_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, command: Command
) -> None:
    main(command("whole"))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    num_steps = load(whole / LAST)["progress"]["step"]

    for share in (0.15, 0.5):  # in the first epoch, and in the second
        kill_at(int(share * num_steps), command("killed"), killed / LAST)
        progress = load(killed / LAST)["progress"]
        assert progress["batch"] > 0
        assert not progress["finished"]
    main(command("killed"))

    assert (killed / "tokenizer.json").read_bytes() == (whole / "tokenizer.json").read_bytes()
    ours, theirs = load(killed / LAST), load(whole / LAST)
    assert all(map(torch.equal, ours["model"].values(), theirs["model"].values()))
    assert all(map(torch.equal, load(killed / BEST).values(), load(whole / BEST).values()))
    for index, state in theirs["optimizer"]["state"].items():
        assert torch.equal(ours["optimizer"]["state"][index]["exp_avg_sq"], state["exp_avg_sq"])
    histories = [
        [record | {"seconds": 0} for record in read_history(folder)] for folder in (killed, whole)
    ]
    assert histories[0] == histories[1]


def test_run_writes_five_files(tmp_path: Path, command: Command) -> None:
    main(command("run", "--epochs", "1"))

    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "best.pt",
        "config.json",
        "history.jsonl",
        "last.pt",
        "tokenizer.json",
    ]


def test_progress_shows_loss_rate_and_remaining_time(
    command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    main(command("run", "--epochs", "1"))

    output, bar = capfd.readouterr()
    assert "M parameters, cpu, fp32" in output
    assert "best validation score" in output
    assert "epoch 1/1: 100%" in bar
    assert "loss=" in bar
    assert "lr=" in bar
    assert "batch/s" in bar


def test_command_line_overrides_are_saved_with_the_run(tmp_path: Path, command: Command) -> None:
    main(command("run", "--epochs", "1", "--seed", "5", "--sources", "nsmc"))

    config = parse_config(read_config_file(tmp_path / "run"))
    assert (config.training.epochs, config.training.seed) == (1, 5)
    assert [(source.path, source.licence) for source in config.sources] == [("nsmc", "unstated")]
    assert not config.sources[0].commercial_use


def test_user_data_train_a_user_model(tmp_path: Path, command: Command) -> None:
    names = {"0": "malo", "1": "bueno"}
    folder = tmp_path / "data" / "reviews"
    folder.mkdir(parents=True)
    for split in ("train", "valid"):
        text = (SAMPLES / "nsmc" / f"{split}.tsv").read_text(encoding="utf-8")
        rows = [line.partition("\t") for line in text.splitlines()[:40]]
        lines = [f"{names[label]}\t{rest}" for label, _, rest in rows] + ["regular\tasí así"]
        (folder / f"{split}.tsv").write_text("\n".join(lines), encoding="utf-8")

    main(
        [
            *command("mine", "--epochs", "1", "--data", str(tmp_path / "data")),
            *("--sources", "reviews", "--languages", "es"),
            *("--labels", "malo", "regular", "bueno"),
        ]
    )

    config = parse_config(read_config_file(tmp_path / "mine"))
    assert (config.name, config.languages) == ("mine", ("es",))
    assert config.labels == ("malo", "regular", "bueno")
    assert len(load(tmp_path / "mine" / BEST)["output.bias"]) == 3


def test_other_sources_do_not_reuse_the_configured_name(command: Command) -> None:
    arguments = command("unused", "--sources", "nsmc")
    at = arguments.index("--out")

    with pytest.raises(SystemExit, match="--name"):
        main([*arguments[:at], *arguments[at + 2 :]])


def test_true_vocabulary_size_is_saved_with_the_run(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("700", "50000"), encoding="utf-8")

    main(command("run", "--epochs", "1"))

    size = read_config_file(tmp_path / "run")["model"]["vocab_size"]
    assert 700 < size < 50000
    assert len(load(tmp_path / "run" / BEST)["embedding.weight"]) == size


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("epochs = 3", "epoch = 3", "epoch"),
        ("vocab_size = 700", "vocabulary = 700", "vocabulary"),
        ('licence = "CC0-1.0"', "", "licence"),
        ("vocab_size = 700", "vocab_size = 100", "vocab_size is 100"),
        ('path = "nsmc"', 'path = "imdb"', "imdb"),
        ('labels = ["negative", "positive"]', "", "labels"),
    ],
)
def test_invalid_configuration_is_rejected_by_name(
    tmp_path: Path, command: Command, old: str, new: str, named: str
) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    with pytest.raises(SystemExit, match=named):
        main(command("run"))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--name", "my model"), "name"),
        (("--languages", "Spanish"), "languages"),
        (("--labels", "malo", "bueno", "bueno"), "labels"),
        (("--config", "missing.toml"), r"missing\.toml"),
        (("--data", "missing"), "missing"),
        (("--device", "tpu9"), "--device tpu9"),
        (("--device", "mps"), "--device mps"),
        (("--device", "cuda:99"), "--device cuda:99"),
    ],
)
def test_invalid_argument_is_rejected_by_name(
    command: Command, arguments: tuple[str, ...], named: str
) -> None:
    with pytest.raises(SystemExit, match=named):
        main(command("run", *arguments))


@pytest.mark.parametrize("argument", [("--epoch-count", "3"), ("--epochs", "0")])
def test_unknown_argument_is_rejected(
    argument: tuple[str, str], command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(command("run", *argument))

    assert argument[0] in capsys.readouterr().err


@pytest.mark.parametrize("change", [("--seed", "2"), ("--epochs", "2"), ("--name", "b")])
def test_folder_of_another_configuration_is_rejected(
    tmp_path: Path, command: Command, change: tuple[str, str]
) -> None:
    main(command("run", "--epochs", "1"))
    before = (tmp_path / "run" / LAST).read_bytes()

    with pytest.raises(SystemExit, match="another configuration"):
        main(command("run", "--epochs", "1", *change))

    assert (tmp_path / "run" / LAST).read_bytes() == before


@pytest.mark.parametrize(
    ("lost", "named"), [("config.json", r"no config\.json"), ("tokenizer.json", "tokenizer")]
)
def test_folder_with_a_missing_file_is_rejected(
    tmp_path: Path, command: Command, lost: str, named: str
) -> None:
    main(command("run", "--epochs", "1"))
    (tmp_path / "run" / lost).unlink()

    with pytest.raises(SystemExit, match=named):
        main(command("run", "--epochs", "1"))


def test_finished_run_is_not_changed(tmp_path: Path, command: Command) -> None:
    main(command("run", "--epochs", "1"))
    before = (tmp_path / "run" / BEST).stat().st_mtime_ns

    main(command("run", "--epochs", "1"))

    assert (tmp_path / "run" / BEST).stat().st_mtime_ns == before
    assert len(read_history(tmp_path / "run")) == 1


def test_default_folder_is_named_after_the_configuration(
    tmp_path: Path, samples: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = command("unused", "--epochs", "1")
    at = arguments.index("--out")

    main([*arguments[:at], *arguments[at + 2 :]])

    assert (tmp_path / "runs" / "tiny" / BEST).exists()


def test_device_is_the_gpu_if_available() -> None:
    assert choose_device(None).type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu").type == "cpu"


def test_bfloat16_depends_on_the_cpu() -> None:
    assert isinstance(is_bf16_faster(torch.device("cpu")), bool)


PRETRAINING = """
[pretraining]
epochs = 1
batch_tokens = 256
crop_tokens = 20
"""


def test_configured_pretraining_runs_first_and_provides_the_weights(
    tmp_path: Path, command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(path.read_text(encoding="utf-8") + PRETRAINING, encoding="utf-8")

    main(command("run", "--epochs", "1", "--seed", "4"))

    folder = tmp_path / "run" / "pretraining"
    assert set(read_history(folder)[0]) >= {"perplexity", "score"}
    assert read_config_file(folder)["pretraining"]["seed"] == 4
    assert (
        f"starts from the weights of {folder}; random: output.bias, output.weight"
        in capfd.readouterr().out
    )
    vocabularies = [(path / "tokenizer.json").read_bytes() for path in (folder, tmp_path / "run")]
    assert vocabularies[0] == vocabularies[1]


def test_configured_pretraining_can_be_skipped(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(path.read_text(encoding="utf-8") + PRETRAINING, encoding="utf-8")

    main(command("run", "--epochs", "1", "--no-pretraining"))

    assert not (tmp_path / "run" / "pretraining").exists()
    assert read_config_file(tmp_path / "run")["pretraining"] is None


def test_run_starts_from_another_run_with_its_vocabulary(tmp_path: Path, command: Command) -> None:
    main(command("base", "--epochs", "1"))
    base = tmp_path / "base"
    tokens = (base / "tokenizer.json").read_bytes()

    arguments = command("run", "--epochs", "1", "--seed", "9", "--init", str(base))
    main(arguments)
    main(arguments)  # finished: nothing more

    assert (tmp_path / "run" / "tokenizer.json").read_bytes() == tokens
    assert len(read_history(tmp_path / "run")) == 1
    seconds = [load(folder / LAST)["progress"]["seconds"] for folder in (base, tmp_path / "run")]
    assert seconds[1] > seconds[0]


def test_run_starts_from_another_with_a_vocabulary_of_its_own(
    tmp_path: Path, command: Command
) -> None:
    main(command("base", "--epochs", "1"))
    base = tmp_path / "base"
    tokens = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokens["model"]["vocab"]
    first, second = list(vocabulary)[-2:]  # another order of ids is another vocabulary
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (base / "tokenizer.json").write_text(json.dumps(tokens), encoding="utf-8")

    main(command("run", "--epochs", "1", "--init", str(base), "--new-vocabulary"))

    learnt = json.loads((tmp_path / "run" / "tokenizer.json").read_text(encoding="utf-8"))
    assert learnt["model"]["vocab"] != vocabulary
    assert read_config_file(tmp_path / "run")["new_vocabulary"] is True


def test_configured_base_runs_first(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "tiny.toml"
    text = path.read_text(encoding="utf-8")
    (tmp_path / "first.toml").write_text(text + PRETRAINING, encoding="utf-8")
    path.write_text('base = "first.toml"\n' + text, encoding="utf-8")

    main(command("run", "--epochs", "1", "--seed", "4"))

    base = tmp_path / "run" / "base"
    assert (base / "pretraining" / BEST).exists()
    assert read_config_file(base)["training"]["seed"] == 4
    folders = (base, tmp_path / "run")
    vocabularies = [(folder / "tokenizer.json").read_bytes() for folder in folders]
    assert vocabularies[0] == vocabularies[1]
    seconds = [load(folder / LAST)["progress"]["seconds"] for folder in folders]
    assert seconds[1] > seconds[0]


def test_another_run_replaces_the_configured_base(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "tiny.toml"
    text = path.read_text(encoding="utf-8")
    main(command("other", "--epochs", "1"))
    path.write_text('base = "absent.toml"\n' + text, encoding="utf-8")

    main(command("run", "--epochs", "1", "--init", str(tmp_path / "other")))

    assert not (tmp_path / "run" / "base").exists()
    with pytest.raises(SystemExit, match=r"absent\.toml"):
        main(command("again", "--epochs", "1"))


def test_fault_of_a_later_stage_is_found_before_the_first(
    tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.toml"
    text = path.read_text(encoding="utf-8")
    (tmp_path / "first.toml").write_text(text, encoding="utf-8")
    path.write_text('base = "first.toml"\n' + text.replace('"nsmc"', '"nmsc"'), encoding="utf-8")

    with pytest.raises(SystemExit, match="nmsc holds neither"):
        main(command("run", "--epochs", "1"))

    assert "parameters" not in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_configuration_cannot_be_its_own_base(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text('base = "tiny.toml"\n' + path.read_text(encoding="utf-8"), encoding="utf-8")

    with pytest.raises(SystemExit, match=r"tiny\.toml is its own base"):
        main(command("run"))


def test_failed_start_does_not_affect_the_next_one(tmp_path: Path, command: Command) -> None:
    unfinished, other = tmp_path / "unfinished", tmp_path / "other"
    main(command("other", "--epochs", "1"))
    main(command("unfinished", "--epochs", "1", "--seed", "2"))
    (unfinished / BEST).unlink()
    fields = json.loads((other / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = fields["model"]["vocab"]
    first, second = list(vocabulary)[-2:]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (unfinished / "tokenizer.json").write_text(json.dumps(fields), encoding="utf-8")

    with pytest.raises(SystemExit, match=r"best\.pt"):
        main(command("run", "--epochs", "1", "--init", str(unfinished)))
    main(command("run", "--epochs", "1", "--init", str(other)))

    vocabularies = [
        (folder / "tokenizer.json").read_bytes() for folder in (other, tmp_path / "run")
    ]
    assert vocabularies[0] == vocabularies[1] != (unfinished / "tokenizer.json").read_bytes()


def test_init_folder_must_be_a_run(tmp_path: Path, command: Command) -> None:
    with pytest.raises(SystemExit, match="tokenizer"):
        main(command("run", "--init", str(tmp_path / "absent")))


def test_purpose_and_default_follow_the_command_line(
    tmp_path: Path, samples: Path, command: Command
) -> None:
    config = tmp_path / "tiny.toml"
    main(command("own", "--epochs", "1", "--sources", "nsmc", "--only-when-named"))
    fields = read_config_file(tmp_path / "own")
    assert (fields["purpose"], fields["answers_by_default"]) == ("", False)

    config.write_text(CONFIG.replace('"tiny"', '"tiny"\npurpose = "sentiment"'))
    arguments = parse_arguments(command("x", "--sources", "nsmc"))
    assert choose_config(arguments, config).purpose == ""
    arguments = parse_arguments(command("x", "--sources", "nsmc", "--purpose", "spam"))
    assert choose_config(arguments, config).purpose == "spam"
