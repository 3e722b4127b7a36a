"""That the CUDA provider has a kernel for every node that it would be given."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from export.graphs.builder import GraphBuilder
from export.graphs.half import to_half
from export.graphs.placement import find_capture_hazards, find_constants, find_misplaced, read_table
from export.graphs.runs import build_graphs
from export.graphs.slots import build_slot_decoder, build_slot_join
from models.config import Cell
from service.repository.loader import PREFERENCE
from service.repository.manifest import Precision
from tests.export.conftest import RunMaker

CELLS: list[Cell] = ["lstm", "gru", "rnn"]
TASKS = ("classification", "translation", "language", "text2text", "tagging", "stream-tagging")
FLOAT = TensorProto.FLOAT


def slot_graphs(cell: Cell, precision: Precision, random_run: RunMaker) -> list[onnx.ModelProto]:
    run = random_run("translation", cell)
    weights = {name: tensor.numpy() for name, tensor in run.model.state_dict().items()}
    built: Precision = "fp32" if precision == "fp16" else precision
    graphs = [
        build_slot_decoder(weights, cell, run.forbidden_ids, 2, built, count) for count in (1, 8)
    ]
    graphs.append(build_slot_join(cell))
    return [to_half(graph) for graph in graphs] if precision == "fp16" else graphs


@pytest.mark.parametrize("precision", PREFERENCE["cuda"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("task", TASKS)
def test_every_node_has_a_cuda_kernel(
    task: str, cell: Cell, precision: Precision, random_run: RunMaker
) -> None:
    for role, graph in build_graphs(random_run(task, cell), precision).items():
        assert find_misplaced(graph) == [], role


@pytest.mark.parametrize("precision", PREFERENCE["cuda"])
@pytest.mark.parametrize("cell", CELLS)
def test_slots_stay_on_the_device(cell: Cell, precision: Precision, random_run: RunMaker) -> None:
    one, eight, join = slot_graphs(cell, precision, random_run)
    for graph in (one, eight, join):
        assert find_misplaced(graph) == []
    for graph in (one, eight):
        assert find_capture_hazards(graph) == []


@pytest.mark.parametrize("precision", PREFERENCE["cuda"])
def test_paged_decoder_cannot_be_captured(precision: Precision, random_run: RunMaker) -> None:
    """Why there are slots."""
    graph = build_graphs(random_run("translation", "lstm"), precision)["decoder"]
    hazards = " ".join(find_capture_hazards(graph))
    for op_type in ("ScatterND cannot", "Shape cannot", "TopK", "input 1 is read on the host"):
        assert op_type in hazards


def test_int8_operators_have_no_cuda_kernel(random_run: RunMaker) -> None:
    graph = build_graphs(random_run("classification", "lstm"), "int8")["classifier"]
    faults = " ".join(find_misplaced(graph))
    assert "com.microsoft DynamicQuantizeLSTM" in faults


def test_type_without_a_kernel_is_found() -> None:
    graph = GraphBuilder("pad")
    pads = graph.ints(0, 1)
    graph.output(
        graph.op("Pad", graph.input("ids", TensorProto.INT64, ["N"]), pads),
        *("padded", TensorProto.INT64, ["N"]),
    )
    assert find_misplaced(graph.build()) == ["Pad_1: Pad has no kernel for int64 as T"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"linear_before_reset": 0}, "linear_before_reset 1 alone"),
        ({"clip": 3.0}, "does not know clip"),
        ({"direction": "reverse"}, "does not know direction"),
    ],
)
def test_recurrent_layer_that_cudnn_does_not_know_is_found(
    change: dict[str, int | float | str], fault: str, random_run: RunMaker
) -> None:
    graph = build_graphs(random_run("classification", "gru"), "fp32")["classifier"]
    node = next(node for node in graph.graph.node if node.op_type == "GRU")
    kept = [each for each in node.attribute if each.name not in change]
    del node.attribute[:]
    node.attribute.extend(
        [*kept, *(helper.make_attribute(name, value) for name, value in change.items())]
    )
    assert any(fault in each for each in find_misplaced(graph))


def test_what_depends_on_weights_alone_is_constant() -> None:
    graph = GraphBuilder("product")
    turned = graph.op("Transpose", graph.weight("weight", np.ones((2, 3), np.float32)))
    product = graph.op("MatMul", graph.input("inputs", FLOAT, ["N", 3]), turned)
    graph.output(product, "product", FLOAT, ["N", 2])
    constants = find_constants(graph.build())
    assert turned in constants
    assert product not in constants


def test_table_is_that_of_the_opset_of_our_graphs() -> None:
    for op_type, kernel in read_table().items():
        schema = onnx.defs.get_schema(op_type, 17)
        first, last = kernel["opsets"]
        assert first <= schema.since_version <= (last or schema.since_version)
        assert set(kernel["types"]) <= {each.type_param_str for each in schema.type_constraints}
