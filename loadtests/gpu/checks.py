"""The stages of `gpu-check`: that a GPU answers like a CPU, and runs where it is told to."""

import random
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from export.graphs.placement import find_host_nodes, find_misplaced
from loadtests.gpu.slots import Slotted, open_slots
from loadtests.gpu.texts import list_texts, prepare_sequences, read_answer
from loadtests.gpu.trial import Findings, Trial, list_precisions
from loadtests.measuring.machine import describe_machine
from service.arrays import FloatArray
from service.engine.batch import Result, SearchOptions, TokenSequence
from service.engine.runner import Runner, run_sequences
from service.engine.runtime.device import CPU_PROVIDER, CUDA_PROVIDER, Device
from service.engine.runtime.session import OnnxSession
from service.errors import ServingError
from service.repository.goldens import check_goldens
from service.repository.loader import load_model
from service.repository.manifest import GENERATIVE, read_manifest
from service.repository.model import LoadedModel

CPU = Device("cpu")
# CUDA multiplies float32 in TF32, with 10 bits of mantissa, as float16 has (export.parity.check).
MAX_DIFFERENCE = 2e-2
# Of the labels of texts, and of tokens in a row: one that differs changes those after it.
MIN_EQUAL_LABELS, MIN_EQUAL_TEXTS = 0.99, 0.9
REPEATS, MIN_REPEATS = 100, 2
SEED = 7
NVIDIA_SMI = "nvidia-smi"
SMI_FIELDS = ("name", "driver_version", "memory.total", "memory.used", "clocks.sm")


def check_device(trial: Trial) -> Findings:
    """The device, the driver and the versions; a smallest run on it."""
    figures = {**describe_machine(), "gpu": read_gpu()}
    device = trial.device
    figures["device"] = str(device)
    figures["models"] = [f"{path.parent.name}/{path.name}" for path in trial.versions]
    (smallest,) = sorted(trial.versions, key=lambda path: read_manifest(path).num_bytes)[:1]
    started = time.perf_counter()
    check_goldens(load_model(smallest, device, precision="fp32"))
    figures["first_load_seconds"] = time.perf_counter() - started
    faults = [] if trial.is_rehearsal or figures["gpu"] else [f"{NVIDIA_SMI} does not answer"]
    return Findings(figures, faults, f"{figures['gpu'].get('name', figures['cpu_model'])}")


def read_gpu() -> dict[str, str]:
    """Name, driver, memory and clock of the first GPU, by `nvidia-smi`; empty without one."""
    if not shutil.which(NVIDIA_SMI):
        return {}
    command = [NVIDIA_SMI, f"--query-gpu={','.join(SMI_FIELDS)}", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode:
        return {}
    values = done.stdout.splitlines()[0].split(", ")
    return dict(zip(SMI_FIELDS, values, strict=True))


def check_goldens_of_all(trial: Trial) -> Findings:
    """Every model in every precision gives the answers of its goldens."""
    figures, faults = {}, list[str]()
    for folder in trial.versions:
        for precision in list_precisions(read_manifest(folder)):
            started = time.perf_counter()
            try:
                check_goldens(load_model(folder, trial.device, precision=precision, slots="never"))
            except ServingError as exc:
                faults.append(str(exc))
            figures[f"{folder.parent.name} {precision}"] = time.perf_counter() - started
    return Findings({"seconds": figures}, faults, f"{len(figures)} loaded")


def check_parity(trial: Trial) -> Findings:
    """Every model in every precision answers ragged batches as on the CPU, again and again."""
    figures, faults = {}, list[str]()
    models = [
        (folder, precision)
        for folder in trial.versions
        for precision in list_precisions(read_manifest(folder))
    ]
    each = trial.share_time(2 * len(models))
    for folder, precision in models:
        name = f"{folder.parent.name} {precision}"
        on_device, on_cpu = (
            load_model(folder, device, precision=precision, slots="never")
            for device in (trial.device, CPU)
        )
        figures[name] = found = compare_models(on_device, on_cpu, each, REPEATS)
        is_written = read_manifest(folder).task in ("translation", *GENERATIVE)
        faults += judge_parity(name, found, MIN_EQUAL_TEXTS if is_written else MIN_EQUAL_LABELS)
    worst = max(found["max_difference"] for found in figures.values())
    return Findings(figures, faults, f"largest difference {worst:.1e}")


def compare_models(
    tested: LoadedModel, reference: LoadedModel, seconds: float, num_repeats: int
) -> dict[str, float]:
    """The largest difference of a score, and the share of equal tokens or labels.

    The texts are batched anew each time, so that each is padded to other lengths. Scores of texts
    that differ are not compared, since they are of other tokens.
    """
    texts = list_texts(reference)
    expected = [
        read_answer(reference, result)
        for result in run_sequences(reference.runner, prepare_sequences(reference, texts))
    ]
    rng, difference, num_equal, num_answers = random.Random(SEED), 0.0, 0, 0
    started, repeats = time.monotonic(), 0
    while repeats < num_repeats and (repeats < MIN_REPEATS or time.monotonic() - started < seconds):
        repeats += 1
        order = rng.sample(range(len(texts)), len(texts))
        sequences = prepare_sequences(tested, [texts[place] for place in order])
        size = rng.randint(1, len(texts))
        for place, result in zip(
            order, run_in_batches(tested.runner, sequences, size), strict=True
        ):
            tokens, scores = read_answer(tested, result)
            expected_tokens, expected_scores = expected[place]
            num_answers += 1
            if not np.isfinite(scores).all():
                difference = float("inf")
            elif tokens == expected_tokens or scores.size > 1:
                num_equal += tokens == expected_tokens
                difference = max(difference, largest_difference(scores, expected_scores))
    return {
        "max_difference": difference,
        "equal": num_equal / num_answers,
        "num_repeats": repeats,
        "num_texts": len(texts),
    }


def run_in_batches(runner: Runner, sequences: Sequence[TokenSequence], size: int) -> list[Result]:
    """Runs some sequences after the others; results come in their order."""
    starts = range(0, len(sequences), size)
    groups = [run_sequences(runner, sequences[start : start + size]) for start in starts]
    return [result for group in groups for result in group]


def largest_difference(found: FloatArray, expected: FloatArray) -> float:
    return float(np.abs(found - expected).max(initial=0.0))


def judge_parity(name: str, found: Mapping[str, float], min_equal: float) -> list[str]:
    faults = []
    if not found["max_difference"] <= MAX_DIFFERENCE:
        faults.append(
            f"{name}: a score differs by {found['max_difference']:.1e} from the CPU's, the limit "
            f"is {MAX_DIFFERENCE:.0e}"
        )
    if found["equal"] < min_equal:
        faults.append(
            f"{name}: {found['equal']:.1%} of the answers are the CPU's, at least {min_equal:.0%} "
            "must be"
        )
    return faults


def check_placement(trial: Trial) -> Findings:
    """Every node runs where the table of CUDA kernels says, by the runtime's own account."""
    provider = CPU_PROVIDER if trial.is_rehearsal else CUDA_PROVIDER
    figures, faults, num_nodes = dict[str, list[str]](), list[str](), 0
    for folder in trial.versions:
        manifest = read_manifest(folder)
        for graph in manifest.graphs:
            if graph.role == "states" or graph.precision not in list_precisions(manifest):
                continue
            name = f"{manifest.name} {graph.file}"
            session = OnnxSession(folder / graph.file, trial.device, notes_placement=True)
            model = onnx.load(folder / graph.file, load_external_data=False)
            elsewhere = [node for node, place in session.placement.items() if place != provider]
            num_nodes += len(session.placement)
            figures[name] = elsewhere
            faults += judge_placement(name, model, elsewhere)
    num_elsewhere = sum(map(len, figures.values()))
    found = {"num_nodes": num_nodes, "elsewhere": figures}
    return Findings(found, faults, f"{num_nodes} nodes, {num_elsewhere} elsewhere")


def judge_placement(name: str, model: onnx.ModelProto, elsewhere: Sequence[str]) -> list[str]:
    """Nodes that lie on the CPU although the table has a CUDA kernel, and neither is a shape's."""
    known = {fault.partition(":")[0] for fault in find_misplaced(model)}
    allowed = known | find_host_nodes(model)
    return [
        f"{name}: {node} runs on the CPU, though the table has a kernel for it"
        for node in elsewhere
        if node not in allowed
    ]


def check_slots(trial: Trial) -> Findings:
    """Steps are captured as CUDA graphs and replayed; answers are those of the paged decoder."""
    figures, faults = {}, list[str]()
    for folder in trial.find_task("translation"):
        name, started = folder.parent.name, time.perf_counter()
        slotted = open_slots(folder, trial, max_rows=trial.scale(64, 16))
        found = {"load_and_capture_seconds": time.perf_counter() - started}
        found["is_captured"] = float(slotted.runner.is_captured)
        if not slotted.runner.is_captured:
            faults.append(f"{name}: steps are not captured; the log above says why")
        texts = list_texts(slotted.model)
        for beam_size in slotted.runner.groups:
            in_slots, in_pages = (
                run_sequences(runner, prepare_sequences(slotted.model, texts, beam_size))
                for runner in (slotted.runner, slotted.paged)
            )
            equal = share_equal(slotted.model, in_slots, in_pages)
            found[f"equal_beam_{beam_size}"] = equal
            if equal < MIN_EQUAL_TEXTS:
                faults.append(
                    f"{name}: {equal:.0%} of the translations with beam {beam_size} are the paged "
                    "decoder's"
                )
        figures[name] = found
    worst = min(found[key] for found in figures.values() for key in found if "equal" in key)
    return Findings({**figures, "gpu": read_gpu()}, faults, f"at least {worst:.0%} equal")


def share_equal(model: LoadedModel, found: list[Result], expected: list[Result]) -> float:
    pairs = zip(found, expected, strict=True)
    return float(
        np.mean(
            [read_answer(model, one)[0] == read_answer(model, other)[0] for one, other in pairs]
        )
    )


def check_joins(trial: Trial) -> Findings:
    """Sentences join and leave at any step, and each is answered as if it were alone."""
    figures, faults = {}, list[str]()
    for folder in trial.find_task("translation"):
        slotted = open_slots(folder, trial, max_rows=trial.scale(64, 16))
        found = join_and_leave(slotted, trial)
        figures[folder.parent.name] = found
        if found["equal"] < MIN_EQUAL_TEXTS:
            faults.append(
                f"{folder.parent.name}: {found['equal']:.0%} of the sentences that joined at some "
                "step are answered as alone"
            )
        if found["num_left"]:
            faults.append(f"{folder.parent.name}: {found['num_left']} sentences are never answered")
    return Findings(
        figures, faults, ", ".join(f"{found['equal']:.0%} equal" for found in figures.values())
    )


def join_and_leave(slotted: Slotted, trial: Trial) -> dict[str, float]:
    """Random arrivals, some abandoned on the way, greedy and in beams, over several seeds."""
    model, runner = slotted.model, slotted.runner
    texts = list_texts(model)
    equal, num_steps, num_left = list[bool](), 0, 0
    started = time.monotonic()
    for seed in range(trial.scale(50, 1)):
        if seed and time.monotonic() - started > trial.share_time(4):
            break
        rng = random.Random(seed)
        chosen = [rng.choice(texts) for _ in range(trial.scale(100, 12))]
        sequences = prepare_sequences(model, chosen)
        for sequence in sequences:
            assert sequence.search is not None, "a translator's sequences have a search"
            beam_size = rng.choice([1, 1, 1, 3])
            sequence.search = SearchOptions(beam_size, sequence.search.max_new_tokens)
        waiting, results = list(sequences), dict[TokenSequence, Result]()
        while waiting or runner.num_running:
            count = min(rng.choice([0, 1, 5]), max(0, runner.free_rows // 3), len(waiting))
            joining, waiting = waiting[:count], waiting[count:]
            if joining and rng.random() < 0.1:
                joining[0].is_abandoned = True
            results.update(runner.step(joining))
            num_steps += 1
        staying = [sequence for sequence in sequences if not sequence.is_abandoned]
        num_left += sum(sequence not in results for sequence in staying)
        alone = run_sequences(slotted.paged, [copy_sequence(each) for each in staying])
        for sequence, expected in zip(staying, alone, strict=True):
            if sequence in results:
                found = read_answer(model, results[sequence])[0]
                equal.append(found == read_answer(model, expected)[0])
    return {
        "equal": float(np.mean(equal)),
        "num_sentences": len(equal),
        "num_steps": num_steps,
        "num_left": num_left,
    }


def copy_sequence(sequence: TokenSequence) -> TokenSequence:
    return TokenSequence(
        list(sequence.input_ids),
        sequence.arrived_at,
        sequence.deadline,
        sequence.search,
        sequence.start_id,
    )
