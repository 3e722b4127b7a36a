"""The order in which torch and ONNX stack the gates of a recurrent layer.

torch has (input, forget, cell, output) and (reset, update, new); ONNX has i o f c and z r h.
"""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

GATE_ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}


def reorder_gates(stacked: Matrix, cell: str) -> Matrix:
    """Brings (gates x H, ...) from torch's order into ONNX's."""
    gates = np.split(stacked, len(GATE_ORDER[cell]))
    return np.concatenate([gates[index] for index in GATE_ORDER[cell]])


def restore_gates(stacked: Matrix, cell: str) -> Matrix:
    """Brings (gates x H, ...) from ONNX's order into torch's."""
    order = GATE_ORDER[cell]
    gates = np.split(stacked, len(order))
    return np.concatenate([gates[order.index(place)] for place in range(len(order))])
