"""The parity check, and the property that it guards: torch == ONNX == quantized."""

from collections.abc import Callable, Iterator

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.graphs.runs import build_graphs
from export.parity.check import BATCH_SIZES, ParityError, make_batches, round_weights
from export.parity.comparison import Comparison
from export.parity.runs import check_graphs, check_run
from models.networks.gates import GATE_ORDER
from models.training.runs import Run
from service.engine.runtime.device import Device, resolve_device
from service.repository.manifest import Parity, Precision, Role
from tests.export.conftest import RunMaker

CPU = Device("cpu")
BOTH_WAYS = ("classification", "translation", "tagging")  # they have bidirectional encoders
TASKS = (*BOTH_WAYS, "stream-tagging")
ALL_TASKS = (*TASKS, "language")
CELLS = ("lstm", "gru", "rnn")
Graphs = dict[Role, onnx.ModelProto]
Breakage = Callable[[onnx.ModelProto], int]


@pytest.mark.parametrize("task", ALL_TASKS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "w8", "int8"])
def test_graphs_agree_with_torch(
    task: str, cell: str, precision: Precision, random_run: RunMaker
) -> None:
    parity = check_run(random_run(task, cell), precision, CPU)
    assert parity.batch_sizes == (1, 2, 7, 32)
    limits = {"fp32": 5e-6, "fp16": 5e-3, "w8": 0.07, "int8": 0.07}
    assert parity.max_difference < limits[precision]
    # of thousands of tokens, some labels are nearly even
    assert parity.agreement >= (0.98 if task.endswith("tagging") else 1.0)


@pytest.mark.gpu
@pytest.mark.parametrize("task", ALL_TASKS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "w8"])
def test_graphs_agree_with_torch_on_cuda(
    task: str, cell: str, precision: Precision, random_run: RunMaker
) -> None:
    parity = check_run(random_run(task, cell), precision, resolve_device("cuda"))
    assert parity.provider == "cuda"
    assert parity.agreement >= 0.99


def test_batches_mix_lengths_from_one_to_the_longest() -> None:
    batches = list(make_batches(vocab_size=100, max_length=40))
    assert tuple(len(batch.lengths) for batch in batches) == BATCH_SIZES
    assert batches[0].input_ids.shape == (1, 1)
    for batch in batches[1:]:
        assert (batch.lengths.min(), batch.lengths.max()) == (1, 40)
        assert batch.input_ids.shape == (len(batch.lengths), 40)


def test_padding_is_random_not_zero() -> None:
    *_, batch = make_batches(vocab_size=100, max_length=40)
    padding = np.concatenate(
        [row[length:] for row, length in zip(batch.input_ids, batch.lengths, strict=True)]
    )
    assert len(np.unique(padding)) > 50


def test_rounding_weights_does_not_change_the_original_model(random_run: RunMaker) -> None:
    model = random_run("classification", "gru").model
    before = model.embedding.weight.detach().clone()
    rounded = round_weights(model, "w8")
    assert bool((model.embedding.weight == before).all())
    assert 0 < float((rounded.embedding.weight.detach() - before).abs().max()) < 0.02


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_counts_as_an_infinite_difference(value: float) -> None:
    comparison = Comparison(tie=0.0)
    comparison.add(np.array([0.5, value], np.float32), np.array([0.5, 0.5], np.float32))
    assert comparison.max_difference == np.inf


def test_choice_within_a_tie_is_correct() -> None:
    comparison = Comparison(tie=0.01)
    chosen, best = np.array([0.495, 0.3], np.float32), np.array([0.5, 0.5], np.float32)
    comparison.add_choices(chosen, best)
    assert comparison.agreement == 0.5


# --- broken exports: real and possible faults of exporters ---


@pytest.mark.parametrize("task", ALL_TASKS)
@pytest.mark.parametrize("precision", ["fp32", "w8"])
def test_gru_that_resets_before_the_product_is_caught(
    task: str, precision: Precision, random_run: RunMaker
) -> None:
    with pytest.raises(ParityError, match="differs from torch"):
        check_run(random_run(task, "gru"), precision, CPU, linear_before_reset=0)


def recurrent_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    return (node for node in model.graph.node if node.op_type in ("LSTM", "GRU", "RNN"))


def edit_weights(
    model: onnx.ModelProto, node: onnx.NodeProto, edit: Callable[[np.ndarray], np.ndarray]
) -> None:
    """Rewrites W, R and B of a recurrent node."""
    names = set(node.input[1:4])
    for tensor in model.graph.initializer:
        if tensor.name in names:
            tensor.CopyFrom(
                numpy_helper.from_array(edit(numpy_helper.to_array(tensor)), tensor.name)
            )


def restore_torch_order(model: onnx.ModelProto) -> int:
    count = 0
    for node in recurrent_nodes(model):
        order = list(np.argsort(GATE_ORDER[node.op_type.lower()]))

        def reorder(stacked: np.ndarray, order: list[int] = order) -> np.ndarray:
            repeats = 2 if stacked.ndim == 2 else 1  # the bias consists of two stacks
            gates = np.split(stacked, repeats * len(order), axis=1)
            places = [index + part * len(order) for part in range(repeats) for index in order]
            return np.concatenate([gates[place] for place in places], axis=1)

        edit_weights(model, node, reorder)
        count += 1
    return count


def swap_directions(model: onnx.ModelProto) -> int:
    nodes = [node for node in recurrent_nodes(model) if is_bidirectional(node)]
    for node in nodes:
        edit_weights(model, node, lambda stacked: stacked[::-1].copy())
    return len(nodes)


def drop_backward(model: onnx.ModelProto) -> int:
    """Makes the backward half read forwards too."""
    nodes = [node for node in recurrent_nodes(model) if is_bidirectional(node)]
    for node in nodes:
        edit_weights(model, node, lambda stacked: stacked[[0, 0]])
    return len(nodes)


def silence_backward(model: onnx.ModelProto) -> int:
    nodes = [node for node in recurrent_nodes(model) if is_bidirectional(node)]
    for node in nodes:
        edit_weights(
            model,
            node,
            lambda stacked: (
                stacked * np.array([1, 0]).reshape(2, *[1] * (stacked.ndim - 1)).astype(np.float32)
            ),
        )
    return len(nodes)


def ignore_lengths(model: onnx.ModelProto) -> int:
    nodes = [node for node in recurrent_nodes(model) if len(node.input) > 4 and node.input[4]]
    for node in nodes:
        node.input[4] = ""
    return len(nodes)


def lose_biases(model: onnx.ModelProto) -> int:
    nodes = list(recurrent_nodes(model))
    for node in nodes:
        node.input[3] = ""
    return len(nodes)


def swap_biases(model: onnx.ModelProto) -> int:
    """Swaps input and recurrent biases, which matters for a GRU only; other cells add them up."""
    nodes = list(recurrent_nodes(model))
    for node in nodes:
        edit_weights(
            model,
            node,
            lambda stacked: (
                stacked
                if stacked.ndim == 3
                else np.concatenate(np.split(stacked, 2, axis=1)[::-1], axis=1)
            ),
        )
    return len(nodes)


def drop_mask(model: onnx.ModelProto) -> int:
    """Lets pooling include padding; the decoder has no mask."""
    nodes = [node for node in model.graph.node if node.op_type == "Where"]
    for node in nodes:
        kept, output = node.input[1], node.output[0]
        node.CopyFrom(onnx.helper.make_node("Identity", [kept], [output]))
    return len(nodes)


def keep_parents(model: onnx.ModelProto) -> int:
    """Continues each row from the first state instead of its parent."""
    nodes = [
        node for node in model.graph.node if node.op_type == "Gather" and "parents" in node.input
    ]
    for node in nodes:
        node.input[1] = "first_parents"
    if nodes:
        first = onnx.helper.make_node("Sub", ["parents", "parents"], ["first_parents"])
        model.graph.node.insert(0, first)
    return len(nodes)


def keep_last_page(model: onnx.ModelProto) -> int:
    """Uses only the last page of a sentence instead of the sum of all pages."""
    nodes = [node for node in model.graph.node if node.op_type == "ScatterND"]
    for node in nodes:
        node.ClearField("attribute")
    return len(nodes)


def forget_totals(model: onnx.ModelProto) -> int:
    """Omits the division of contexts and weights by the sum of weights."""
    nodes = [node for node in model.graph.node if node.op_type == "ScatterND"]
    if not nodes:
        return 0
    divisions = [node for node in model.graph.node if node.op_type == "Div"][-2:]
    for node in divisions:
        node.CopyFrom(onnx.helper.make_node("Identity", node.input[:1], node.output))
    return len(divisions)


def is_bidirectional(node: onnx.NodeProto) -> bool:
    return any(attribute.s == b"bidirectional" for attribute in node.attribute)


def check_broken(run: Run, breakage: Breakage) -> Parity:
    graphs: Graphs = build_graphs(run, "fp32")
    broken = sum(breakage(graph) for graph in graphs.values())
    assert broken, "the graphs have nothing of the kind to break"
    return check_graphs(run, graphs, "fp32", CPU)


@pytest.mark.parametrize("task", BOTH_WAYS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "breakage",
    [swap_directions, drop_backward, silence_backward, ignore_lengths, lose_biases],
)
def test_broken_graph_is_caught(
    task: str, cell: str, breakage: Breakage, random_run: RunMaker
) -> None:
    with pytest.raises(ParityError, match="fp32 on cpu differs from torch"):
        check_broken(random_run(task, cell), breakage)


@pytest.mark.parametrize("task", ALL_TASKS)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gates_in_the_order_of_torch_are_caught(task: str, cell: str, random_run: RunMaker) -> None:
    with pytest.raises(ParityError, match="differs from torch"):
        check_broken(random_run(task, cell), restore_torch_order)


@pytest.mark.parametrize("task", ALL_TASKS)
def test_swapped_biases_of_a_gru_are_caught(task: str, random_run: RunMaker) -> None:
    with pytest.raises(ParityError, match="differs from torch"):
        check_broken(random_run(task, "gru"), swap_biases)


@pytest.mark.parametrize("cell", CELLS)
def test_missing_mask_is_caught(cell: str, random_run: RunMaker) -> None:
    with pytest.raises(ParityError, match="differs from torch"):
        check_broken(random_run("classification", cell), drop_mask)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("breakage", [keep_parents, keep_last_page, forget_totals])
def test_broken_decoder_is_caught(cell: str, breakage: Breakage, random_run: RunMaker) -> None:
    with pytest.raises(ParityError, match="differs from torch"):
        check_broken(random_run("translation", cell), breakage)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("breakage", [keep_parents, lose_biases])
def test_broken_stream_tagger_is_caught(
    cell: str, breakage: Breakage, random_run: RunMaker
) -> None:
    with pytest.raises(ParityError, match="differs from torch"):
        check_broken(random_run("stream-tagging", cell), breakage)


def test_intact_graphs_pass_the_same_check(random_run: RunMaker) -> None:
    assert check_broken(random_run("translation", "gru"), lambda _: 1).agreement == 1.0


def edit_tensor(graphs: Graphs, name: str, edit: Callable[[np.ndarray], np.ndarray]) -> None:
    """Edits the only tensor of the name in the graphs."""
    (tensor,) = [
        tensor
        for graph in graphs.values()
        for tensor in graph.graph.initializer
        if tensor.name == name
    ]
    values = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(edit(values).astype(values.dtype), name))


@pytest.mark.parametrize(
    ("task", "name", "factor"),
    [
        ("classification", "output.scales", 0.5),
        ("classification", "output.bias", 0.0),
        ("classification", "encoder.0.recurrent.levels", 0.0),
        ("translation", "output.scales", 0.5),
        ("translation", "query.levels", 0.0),
        ("translation", "readout.bias", 0.0),
        ("translation", "top.recurrent.levels", 0.0),
    ],
)
def test_wrong_weights_are_caught_in_int8(
    task: str, name: str, factor: float, random_run: RunMaker
) -> None:
    """With weights near zero, its tolerance would hide them."""
    run = random_run(task, "lstm", 1.0 if task == "classification" else 0.5)
    check_run(run, "int8", CPU)

    graphs = build_graphs(run, "int8")
    answering = {role: graph for role, graph in graphs.items() if role != "scorer"}
    edit_tensor(answering, name, lambda values: values * factor)
    with pytest.raises(ParityError, match="int8 on cpu differs"):
        check_graphs(run, graphs, "int8", CPU)


@pytest.mark.parametrize("name", ["output.scales", "encoder.0.input.levels", "top.input.levels"])
def test_wrong_weights_of_the_scorer_alone_are_caught(name: str, random_run: RunMaker) -> None:
    run = random_run("translation", "lstm", 0.5)
    graphs = build_graphs(run, "int8")
    edit_tensor({"scorer": graphs["scorer"]}, name, lambda values: values * 0.5)
    with pytest.raises(ParityError, match="int8 on cpu differs"):
        check_graphs(run, graphs, "int8", CPU)
