"""The layers of our models as ONNX nodes, in each precision.

int8 uses onnxruntime's DynamicQuantizeMatMul and DynamicQuantizeLSTM; there is no such operator for
GRU and RNN, whose weights are then stored in int8 and multiplied in float32, as all weights are in
precision w8.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from export.graph import MICROSOFT, GraphBuilder
from export.quantize import quantize_columns
from service.manifest import Precision

Matrix = NDArray[np.float32]
Weights = Mapping[str, Matrix]

# torch stacks the gates as (input, forget, cell, output) and (reset, update, new); ONNX as i o f c
# and z r h
GATE_ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}
OP_TYPE = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}


class LayerBuilder:
    """Adds layers to a graph.

    Args:
        graph: the graph under construction.
        precision: of the weights and products.
        linear_before_reset: GRU variant; torch's is 1. Settable because the parity gate is tested
            with the wrong one.
    """

    def __init__(
        self, graph: GraphBuilder, precision: Precision, linear_before_reset: int = 1
    ) -> None:
        self.graph = graph
        self.precision = precision
        self._linear_before_reset = linear_before_reset

    def embed(self, name: str, ids: str, matrix: Matrix) -> str:
        """Rows of `matrix` (V, E) for ids (...) -> (..., E)."""
        graph = self.graph
        if self.precision == "fp32":
            return graph.op("Gather", graph.weight(name, matrix), ids, axis=0)
        levels, scales = quantize_columns(matrix.T)  # one scale per token
        rows = graph.op("Gather", graph.weight(f"{name}.levels", levels.T), ids, axis=0)
        row_scales = graph.op(
            "Gather", graph.weight(f"{name}.scales", scales[:, None]), ids, axis=0
        )
        return graph.op("Mul", graph.op("Cast", rows, to=1), row_scales)

    def linear(self, name: str, inputs: str, weight: Matrix, bias: Matrix | None = None) -> str:
        """Inputs (..., K) times torch's weight (N, K), plus bias (N) -> (..., N)."""
        graph = self.graph
        if self.precision == "int8":
            levels, scales = quantize_columns(weight.T)
            product = graph.op(
                "DynamicQuantizeMatMul",
                inputs,
                graph.weight(f"{name}.levels", levels),
                graph.weight(f"{name}.scales", scales),
                domain=MICROSOFT,
            )
        else:
            product = graph.op("MatMul", inputs, self._dense(name, weight.T))
        return (
            product
            if bias is None
            else graph.op("Add", product, graph.weight(f"{name}.bias", bias))
        )

    def recurrent(
        self,
        name: str,
        cell: str,
        inputs: str,
        directions: list[Weights],
        lengths: str = "",
        *states: str,
    ) -> list[str]:
        """One recurrent layer.

        Args:
            name: prefix of its weights.
            cell: lstm, gru or rnn.
            inputs: (T, B, I).
            directions: torch's weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0; two of them read
                both ways.
            lengths: (B) int32, or empty where all T steps count.
            states: initial hidden, and cell for lstm, each (D, B, H).

        Returns:
            outputs (T, D, B, H), final hidden (D, B, H) and, for lstm, final cell.
        """
        hidden_size = directions[0]["weight_hh_l0"].shape[1]
        input_weights, recurrent_weights = (
            np.stack([reorder_gates(weights[key], cell) for weights in directions])
            for key in ("weight_ih_l0", "weight_hh_l0")
        )
        biases = np.stack(
            [
                np.concatenate(
                    [reorder_gates(weights[key], cell) for key in ("bias_ih_l0", "bias_hh_l0")]
                )
                for weights in directions
            ]
        )
        attributes = {
            "hidden_size": hidden_size,
            "direction": "bidirectional" if len(directions) == 2 else "forward",
        }
        if cell == "gru":
            attributes["linear_before_reset"] = self._linear_before_reset
        num_outputs = 3 if cell == "lstm" else 2
        bias = self.graph.weight(f"{name}.bias", biases)
        if self.precision == "int8" and cell == "lstm":
            w_levels, w_scales = self._quantize_gates(f"{name}.input", input_weights)
            r_levels, r_scales = self._quantize_gates(f"{name}.recurrent", recurrent_weights)
            zeros = self.graph.weight(
                f"{name}.zero",
                np.zeros(biases.shape[0] * biases.shape[1] // 2, np.int8).reshape(
                    biases.shape[0], -1
                ),
            )
            arguments = [inputs, w_levels, r_levels, bias, lengths, *states]
            arguments += [""] * (8 - len(arguments)) + [w_scales, zeros, r_scales, zeros]
            return self.graph.ops(
                "DynamicQuantizeLSTM",
                *arguments,
                num_outputs=num_outputs,
                domain=MICROSOFT,
                **attributes,
            )
        weights = [
            self._dense_gates(f"{name}.input", input_weights),
            self._dense_gates(f"{name}.recurrent", recurrent_weights),
        ]
        return self.graph.ops(
            OP_TYPE[cell],
            inputs,
            *weights,
            bias,
            lengths,
            *states,
            num_outputs=num_outputs,
            **attributes,
        )

    def _dense(self, name: str, matrix: Matrix) -> str:
        """A float32 matrix (K, N); in w8 from int8 levels, folded into a constant at load."""
        if self.precision == "fp32":
            return self.graph.weight(name, matrix)
        levels, scales = quantize_columns(matrix)
        cast = self.graph.op("Cast", self.graph.weight(f"{name}.levels", levels), to=1)
        return self.graph.op("Mul", cast, self.graph.weight(f"{name}.scales", scales))

    def _quantize_gates(self, name: str, stacked: Matrix) -> tuple[str, str]:
        """(D, gates x H, I) -> names of levels (D, I, gates x H) int8 and scales (D, gates x H)."""
        parts = [quantize_columns(matrix.T) for matrix in stacked]
        levels = self.graph.weight(f"{name}.levels", np.stack([levels for levels, _ in parts]))
        return levels, self.graph.weight(
            f"{name}.scales", np.stack([scales for _, scales in parts])
        )

    def _dense_gates(self, name: str, stacked: Matrix) -> str:
        """Name of float32 (D, gates x H, I); levels as DynamicQuantizeLSTM stores them."""
        if self.precision == "fp32":
            return self.graph.weight(name, stacked)
        levels, _ = self._quantize_gates(name, stacked)
        scales = np.stack([quantize_columns(matrix.T)[1] for matrix in stacked])[:, None, :]
        cast = self.graph.op("Cast", levels, to=1)
        product = self.graph.op("Mul", cast, self.graph.weight(f"{name}.row_scales", scales))
        return self.graph.op("Transpose", product, perm=[0, 2, 1])


def reorder_gates(stacked: Matrix, cell: str) -> Matrix:
    """(gates x H, ...) in torch's order -> the same in ONNX's order."""
    gates = np.split(stacked, len(GATE_ORDER[cell]))
    return np.concatenate([gates[index] for index in GATE_ORDER[cell]])
