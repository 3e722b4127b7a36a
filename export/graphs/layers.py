"""Builds the layers of our models as ONNX nodes, in each precision.

int8 uses onnxruntime's DynamicQuantizeMatMul and DynamicQuantizeLSTM; there is no such operator for
GRU and RNN, whose weights are then stored in int8 and multiplied in float32, as all weights are in
precision w8.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from export.graphs.builder import MICROSOFT, GraphBuilder
from export.graphs.quantize import quantize_columns
from models.networks.gates import Matrix, reorder_gates
from service.repository.manifest import Precision

Weights = Mapping[str, Matrix]

# torch's default
NORM_EPSILON = 1e-5
OP_TYPE = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}


class LayerBuilder:
    """Adds layers to a graph.

    Args:
        graph: the graph under construction.
        precision: of weights and products.
        linear_before_reset: GRU variant; torch's is 1. Configurable so that tests can show that the
            parity check rejects the wrong one.
    """

    def __init__(
        self, graph: GraphBuilder, precision: Precision, linear_before_reset: int = 1
    ) -> None:
        self.graph = graph
        self.precision = precision
        self._linear_before_reset = linear_before_reset

    def embed(self, name: str, ids: str, matrix: Matrix) -> str:
        """Looks up rows of `matrix` (V, E) for ids (...) -> (..., E)."""
        graph = self.graph
        if self.precision == "fp32":
            return graph.op("Gather", graph.weight(name, matrix), ids, axis=0)
        levels, scales = self._quantize_rows(name, matrix)
        rows = graph.op("Cast", graph.op("Gather", levels, ids, axis=0), to=1)
        row_scales = graph.op("Gather", scales, ids, axis=0)  # (...)
        return graph.op("Mul", rows, graph.op("Unsqueeze", row_scales, graph.ints(-1)))

    def linear(
        self,
        name: str,
        inputs: str,
        weight: Matrix,
        bias: Matrix | None = None,
        bound: float | None = None,
    ) -> str:
        """Multiplies inputs (..., K) by torch's weight (N, K), plus bias (N) -> (..., N).

        The weight is stored in torch's layout, so that an output layer tied to the embedding shares
        its bytes; onnxruntime transposes it once, when it loads the graph.

        Args:
            name: prefix of its weights.
            inputs: the factor that is rounded in int8.
            weight: (N, K).
            bias: (N), or none.
            bound: the largest magnitude of the inputs; without it, they are rounded on a scale of
                the whole batch, and each row's result depends on the others.
        """
        graph = self.graph
        if self.precision == "int8":
            levels, scales = self._quantize_rows(name, weight)
            turned = graph.op("Transpose", levels, perm=[1, 0])
            added = "" if bias is None else graph.weight(f"{name}.bias", bias)
            if bound is not None:
                return self._multiply_levels(inputs, bound, turned, scales, added)
            return graph.op(
                *("DynamicQuantizeMatMul", inputs, turned, scales, "", added), domain=MICROSOFT
            )
        turned = graph.op("Transpose", self._dense(name, weight), perm=[1, 0])
        product = graph.op("MatMul", inputs, turned)
        if bias is None:
            return product
        return graph.op("Add", product, graph.weight(f"{name}.bias", bias))

    def norm(self, name: str, inputs: str, weights: Weights) -> str:
        """Normalizes inputs (..., K) along the last axis, like torch's LayerNorm."""
        gain = self.graph.weight(name, weights["weight"])
        bias = self.graph.weight(f"{name}.bias", weights["bias"])
        return self.graph.op(
            "LayerNormalization", inputs, gain, bias, axis=-1, epsilon=NORM_EPSILON
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
        """Adds a recurrent layer.

        Args:
            name: prefix of its weights.
            cell: lstm, gru or rnn.
            inputs: (T, B, I).
            directions: torch's weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0; two sets for a
                bidirectional layer.
            lengths: (B) int32, or empty if all T steps count.
            states: initial hidden, and cell for lstm, each (D, B, H).

        Returns:
            outputs (T, D, B, H), final hidden (D, B, H) and, for lstm, final cell.
        """
        input_weights, recurrent_weights, input_biases, recurrent_biases = (
            np.stack([reorder_gates(weights[key], cell) for weights in directions])
            for key in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        )
        biases = np.concatenate([input_biases, recurrent_biases], axis=-1)  # (D, 2 x gates x H)
        attributes = {
            "hidden_size": recurrent_weights.shape[-1],
            "direction": "bidirectional" if len(directions) == 2 else "forward",
            "num_outputs": 3 if cell == "lstm" else 2,
        }
        if cell == "gru":
            attributes["linear_before_reset"] = self._linear_before_reset
        others = [self.graph.weight(f"{name}.bias", biases), lengths, *states]
        stacked = {f"{name}.input": input_weights, f"{name}.recurrent": recurrent_weights}
        if self.precision == "int8" and cell == "lstm":
            return self._quantized_lstm(name, inputs, stacked, others, attributes)
        weights = [self._dense_gates(part, matrices) for part, matrices in stacked.items()]
        return self.graph.ops(OP_TYPE[cell], inputs, *weights, *others, **attributes)

    def gates(self, name: str, cell: str, weights: Weights, part: str) -> str:
        """The float32 matrix of one direction, (gates x H, I or H), its bytes as in `recurrent`.

        onnxruntime makes it a constant when it loads the graph.

        Args:
            name: prefix of its weights.
            cell: lstm, gru or rnn.
            weights: torch's, as in `recurrent`.
            part: input or recurrent.
        """
        key = {"input": "weight_ih_l0", "recurrent": "weight_hh_l0"}[part]
        stacked = self._dense_gates(f"{name}.{part}", reorder_gates(weights[key], cell)[None])
        return self.graph.op("Squeeze", stacked, self.graph.ints(0))

    def step(
        self,
        name: str,
        cell: str,
        inputs: str,
        weights: Weights,
        states: list[str],
        bound: float,
    ) -> list[str]:
        """Adds one step of one layer; rows are independent even in int8.

        DynamicQuantizeLSTM rounds on a scale of the whole batch; a single step is as fast with
        separate products and gates.

        Args:
            name: prefix of its weights.
            cell: lstm, gru or rnn.
            inputs: (1, B, I).
            weights: torch's, as in `recurrent`.
            states: hidden, and cell for lstm, each (1, B, H).
            bound: the largest magnitude of the inputs.

        Returns:
            The new states, in the order of `states`.
        """
        if self.precision != "int8" or cell != "lstm":
            return self.recurrent(name, cell, inputs, [weights], "", *states)[1:]
        graph = self.graph
        hidden, memory = states
        biases = reorder_gates(weights["bias_ih_l0"] + weights["bias_hh_l0"], cell)
        from_inputs = self._multiply_gates(
            f"{name}.input", inputs, bound, weights["weight_ih_l0"], biases
        )
        # a hidden state is a gate times a tanh
        from_hidden = self._multiply_gates(
            f"{name}.recurrent", hidden, 1.0, weights["weight_hh_l0"]
        )
        size = len(biases) // 4
        gates, candidate = graph.ops(
            "Split",
            graph.op("Add", from_inputs, from_hidden),
            graph.ints(3 * size, size),
            num_outputs=2,
            axis=-1,
        )
        add, give, keep = graph.ops("Split", graph.op("Sigmoid", gates), num_outputs=3, axis=-1)
        added = graph.op("Mul", add, graph.op("Tanh", candidate))
        memory = graph.op("Add", graph.op("Mul", keep, memory), added)
        return [graph.op("Mul", give, graph.op("Tanh", memory)), memory]

    def _multiply_gates(
        self, name: str, inputs: str, bound: float, weight: Matrix, biases: Matrix | None = None
    ) -> str:
        """Multiplies inputs (..., I) by torch's lstm weight (4H, I) -> (..., 4H), ONNX's order.

        The levels are stored as for DynamicQuantizeLSTM, and as in w8.
        """
        pair = self._quantize_gates(name, reorder_gates(weight, "lstm")[None])
        levels, scales = (self.graph.op("Squeeze", part, self.graph.ints(0)) for part in pair)
        added = "" if biases is None else self.graph.weight(f"{name}.bias", biases)
        return self._multiply_levels(inputs, bound, levels, scales, added)

    def _multiply_levels(
        self, inputs: str, bound: float, levels: str, scales: str, bias: str
    ) -> str:
        """Rounds inputs of magnitude up to `bound` and multiplies them by int8 levels (K, N)."""
        graph = self.graph
        scale = graph.weight(f"scale_{bound:.6g}", np.array(bound / 127, np.float32))
        middle = graph.weight("middle", np.array(128, np.uint8))
        rounded = graph.op("QuantizeLinear", inputs, scale, middle)
        arguments = [rounded, levels, scale, scales, middle, "", bias]
        return graph.op("MatMulIntegerToFloat", *arguments, domain=MICROSOFT)

    def _quantized_lstm(
        self,
        name: str,
        inputs: str,
        stacked: Mapping[str, Matrix],
        others: list[str],
        attributes: dict[str, Any],
    ) -> list[str]:
        quantized = [self._quantize_gates(part, matrices) for part, matrices in stacked.items()]
        (input_levels, input_scales), (recurrent_levels, recurrent_scales) = quantized
        arguments = [inputs, input_levels, recurrent_levels, *others]
        arguments += [""] * (8 - len(arguments))
        gates = next(iter(stacked.values())).shape[:2]  # (D, gates x H)
        zeros = self.graph.weight(f"{name}.zeros", np.zeros(gates, np.int8))
        arguments += [input_scales, zeros, recurrent_scales, zeros]
        return self.graph.ops("DynamicQuantizeLSTM", *arguments, domain=MICROSOFT, **attributes)

    def _dense(self, name: str, matrix: Matrix) -> str:
        """Adds a float32 matrix (N, K); in w8 from int8 levels, folded into a constant at load."""
        if self.precision == "fp32":
            return self.graph.weight(name, matrix)
        levels, scales = self._quantize_rows(name, matrix)
        cast = self.graph.op("Cast", levels, to=1)
        return self.graph.op("Mul", cast, self.graph.op("Unsqueeze", scales, self.graph.ints(-1)))

    def _quantize_rows(self, name: str, matrix: Matrix) -> tuple[str, str]:
        """Adds levels (N, K) int8 and scales (N), one per output channel or token."""
        levels, scales = quantize_columns(matrix.T)
        graph = self.graph
        return graph.weight(f"{name}.levels", levels.T), graph.weight(f"{name}.scales", scales)

    def _quantize_gates(self, name: str, stacked: Matrix) -> tuple[str, str]:
        """Quantizes (D, gates x H, I): levels (D, I, gates x H) int8, scales (D, gates x H)."""
        parts = [quantize_columns(matrix.T) for matrix in stacked]
        levels, scales = (np.stack(arrays) for arrays in zip(*parts, strict=True))
        graph = self.graph
        return graph.weight(f"{name}.levels", levels), graph.weight(f"{name}.scales", scales)

    def _dense_gates(self, name: str, stacked: Matrix) -> str:
        """Adds float32 (D, gates x H, I); levels as for DynamicQuantizeLSTM."""
        if self.precision == "fp32":
            return self.graph.weight(name, stacked)
        graph = self.graph
        levels, scales = self._quantize_gates(name, stacked)
        row_scales = graph.op("Unsqueeze", scales, graph.ints(1))
        product = graph.op("Mul", graph.op("Cast", levels, to=1), row_scales)
        return graph.op("Transpose", product, perm=[0, 2, 1])
