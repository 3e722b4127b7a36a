"""The graphs of a training run in one precision, by their roles."""

from collections.abc import Sequence

import onnx

from export.graphs.half import to_half
from export.graphs.host_lengths import split_lengths
from export.graphs.language import (
    build_conditioner,
    build_generator,
    build_prefill,
    without_rounding,
)
from export.graphs.layers import Weights
from export.graphs.networks import build_classifier, build_decoder, build_encoder
from export.graphs.scorer import build_scorer
from export.graphs.slot_beams import build_beams_join, build_slot_beams
from export.graphs.slots import build_slot_decoder, build_slot_join, name_states
from export.graphs.taggers import tagging_graphs
from models.training.runs import Run
from service.repository.manifest import SLOT_ROLES, SLOT_STEPS, Precision, Role, list_roles


def build_graphs(
    run: Run, precision: Precision, linear_before_reset: int = 1
) -> dict[Role, onnx.ModelProto]:
    """The graphs of a run in one precision."""
    if precision == "fp16":
        graphs_in_full = build_graphs(run, "fp32", linear_before_reset)
        halved = {role: to_half(split_lengths(graph)) for role, graph in graphs_in_full.items()}
        return {**halved, **slot_graphs(run)}
    weights: Weights = {name: array.numpy() for name, array in run.model.state_dict().items()}
    make = {
        "classification": classifier_graphs,
        "translation": translator_graphs,
        "text2text": answerer_graphs,
        "language": language_graphs,
        "tagging": tagging_graphs,
    }[run.config.task]
    return make(run, weights, precision, linear_before_reset)


def classifier_graphs(
    run: Run, weights: Weights, precision: Precision, linear_before_reset: int
) -> dict[Role, onnx.ModelProto]:
    config = run.config.model
    return {"classifier": build_classifier(weights, config, precision, linear_before_reset)}


def translator_graphs(
    run: Run, weights: Weights, precision: Precision, linear_before_reset: int
) -> dict[Role, onnx.ModelProto]:
    config, same = run.config.model, (precision, linear_before_reset)
    return {
        "encoder": build_encoder(weights, config, *same),
        "decoder": build_decoder(weights, config, run.forbidden_ids, *same),
        "scorer": build_scorer(weights, config, *same),
    }


def answerer_graphs(
    run: Run, weights: Weights, precision: Precision, linear_before_reset: int
) -> dict[Role, onnx.ModelProto]:
    """Like a translator's, but no text depends on its batch: int8 encoders round on its scale."""
    config, exact = run.config.model, without_rounding(precision)
    return {
        "encoder": build_encoder(weights, config, exact, linear_before_reset),
        "writer": build_decoder(
            weights, config, run.forbidden_ids, precision, linear_before_reset, is_writer=True
        ),
    }


def language_graphs(
    run: Run, weights: Weights, precision: Precision, linear_before_reset: int
) -> dict[Role, onnx.ModelProto]:
    cell, num_layers = run.config.model.cell, run.config.model.num_layers
    graphs: dict[Role, onnx.ModelProto] = {
        "prefill": build_prefill(weights, cell, num_layers, precision, linear_before_reset),
        "generator": build_generator(
            weights, cell, num_layers, run.forbidden_ids, precision, linear_before_reset
        ),
    }
    if run.config.condition:
        graphs["conditioner"] = build_conditioner(weights, cell, num_layers, precision)
    return graphs


def slot_graphs(run: Run) -> dict[Role, onnx.ModelProto]:
    """The graphs of a translator that decodes in slots, in float16; none of other models."""
    if run.config.task != "translation":
        return {}
    weights: Weights = {name: array.numpy() for name, array in run.model.state_dict().items()}
    eos_id = run.special_ids.eos_id
    assert eos_id is not None, "a translator has an eos_id"
    return build_slot_graphs(weights, run.config.model.cell, run.forbidden_ids, eos_id)


def build_slot_graphs(
    weights: Weights, cell: str, forbidden_ids: Sequence[int], eos_id: int
) -> dict[Role, onnx.ModelProto]:
    """The graphs of decoding in slots, in float16."""
    graphs: dict[Role, onnx.ModelProto] = {
        "slot_join": build_slot_join(cell),
        "slot_join_beams": build_beams_join(cell),
    }
    precision: Precision = "fp32"
    same = (weights, cell, forbidden_ids, eos_id, precision)
    for beam_size, steps in SLOT_STEPS.items():
        for num_steps, role in steps.items():
            graphs[role] = (
                build_slot_decoder(*same, num_steps)
                if beam_size == 1
                else build_slot_beams(*same, beam_size, num_steps)
            )
    held = ("keys", "values", "padding", *name_states(cell))
    names = {"new_padding", *held, *(f"next_{name}" for name in held)}
    return {role: to_half(graph, names) for role, graph in graphs.items()}


def roles_of(run: Run, precision: Precision) -> tuple[Role, ...]:
    """The graphs of a run in one precision; slots are for GPUs."""
    slots = SLOT_ROLES if precision == "fp16" and run.config.task == "translation" else ()
    return (*roles_in_any(run), *slots)


def roles_in_any(run: Run) -> tuple[Role, ...]:
    config = run.config
    has_condition = config.condition is not None
    return list_roles(
        config.task,
        config.model.lookahead,
        has_condition=has_condition,
        has_scorer=config.task == "translation",
    )
