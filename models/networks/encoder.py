"""Bidirectional multi-layer recurrent encoder over padded batches.

The backward direction reads each text from its last token, so padding never reaches a state and
`pack_padded_sequence` is not needed.
"""

import torch
from torch import Tensor, nn

from models.config import Cell, ModelConfig
from models.networks.dropout import LockedDropout

RECURRENT_LAYERS: dict[Cell, type[nn.LSTM] | type[nn.GRU] | type[nn.RNN]] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "rnn": nn.RNN,
}

State = list[tuple[Tensor, ...]]
"""Per layer (hidden,) or (hidden, cell), each (1, B, H), as torch's layers take them."""


def build_layer(cell: Cell, input_size: int, hidden_size: int) -> nn.RNNBase:
    """Builds a unidirectional layer with orthogonal recurrent weights and an open forget gate."""
    layer = RECURRENT_LAYERS[cell](input_size, hidden_size, batch_first=True)
    weights = dict(layer.named_parameters())
    for gate in weights["weight_hh_l0"].chunk(weights["weight_hh_l0"].shape[0] // hidden_size):
        nn.init.orthogonal_(gate)
    nn.init.xavier_uniform_(weights["weight_ih_l0"])
    nn.init.zeros_(weights["bias_ih_l0"])
    nn.init.zeros_(weights["bias_hh_l0"])
    if cell == "lstm":  # Jozefowicz et al. 2015: a forget gate that starts open
        with torch.no_grad():
            weights["bias_ih_l0"][hidden_size : 2 * hidden_size] = 1.0
    return layer


def run_layer(
    layer: nn.Module, inputs: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Runs a layer over (B, T, I) from a state; returns outputs (B, T, H) and the state after."""
    parts = tuple(part.contiguous() for part in state)
    if len(parts) == 2:
        outputs, after = layer(inputs, parts)
        return outputs, after
    outputs, hidden = layer(inputs, parts[0])
    return outputs, (hidden,)


def length_mask(lengths: Tensor, max_length: int) -> Tensor:
    """Masks padding: (B, T) bool, True at tokens, from lengths (B) int64."""
    return torch.arange(max_length, device=lengths.device)[None, :] < lengths[:, None]


def reverse_padded(sequences: Tensor, lengths: Tensor) -> Tensor:
    """Reverses each row of (B, T, H) within its length; padding stays in place."""
    positions = torch.arange(sequences.shape[1], device=lengths.device)[None, :]
    index = torch.where(positions < lengths[:, None], lengths[:, None] - 1 - positions, positions)
    return sequences.gather(1, index[:, :, None].expand_as(sequences))


class BidirectionalLayer(nn.Module):
    """One layer in both directions; the outputs are concatenated, forward half first."""

    def __init__(self, cell: Cell, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.forward_layer = build_layer(cell, input_size, hidden_size)
        self.backward_layer = build_layer(cell, input_size, hidden_size)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, I) and lengths (B) -> (B, T, 2H), zero beyond each length."""
        ahead = self.forward_layer(inputs)[0]
        back = reverse_padded(self.backward_layer(reverse_padded(inputs, lengths))[0], lengths)
        mask = length_mask(lengths, inputs.shape[1])[:, :, None]
        return torch.cat([ahead, back], dim=-1) * mask  # (B, T, 2H)


def silence(layer: nn.RNNBase) -> None:
    """Zeroes the weights of a layer's candidate values: its outputs are zero, yet it can learn."""
    place = {"LSTM": 2, "GRU": 2, "RNN_TANH": 0}[layer.mode]
    rows = slice(place * layer.hidden_size, (place + 1) * layer.hidden_size)
    with torch.no_grad():
        for weights in layer.parameters():
            weights[rows] = 0.0


class Encoder(nn.Module):
    """A stack of bidirectional layers with locked dropout before each.

    With `residual`, each layer above the first adds its outputs to its inputs (GNMT, Wu et al.
    2016, section 3.1), at first nothing: a trained network of fewer layers can go on with more.
    With `layer_norm`, each layer above the first reads its inputs normalized (Ba et al. 2016;
    before the layer, Xiong et al. 2020, so that what it adds to is never scaled).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        hidden_size = config.encoder_size
        sizes = [config.embedding_size] + [2 * hidden_size] * (config.encoder_layers - 1)
        layers = [BidirectionalLayer(config.cell, size, hidden_size) for size in sizes]
        self.layers = nn.ModuleList(layers)
        self.dropout = LockedDropout(config.dropout)
        self.hidden_size = hidden_size
        self.residual = config.residual
        norms = [nn.LayerNorm(size) for size in sizes[1:]] if config.layer_norm else []
        self.norms = nn.ModuleList(norms)
        if self.residual:
            for layer in layers[1:]:
                silence(layer.forward_layer)
                silence(layer.backward_layer)

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, E) and lengths (B) int64, >= 1 -> (B, T, 2H), zero beyond each length."""
        outputs = embedded
        for index, layer in enumerate(self.layers):
            inputs = self.norms[index - 1](outputs) if index and self.norms else outputs
            new = layer(self.dropout(inputs), lengths)
            outputs = outputs + new if self.residual and index else new
        return outputs

    def final_states(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """Returns the output of each direction after its last step: (B, T, 2H) -> (B, 2H)."""
        last = (lengths - 1)[:, None, None].expand(-1, 1, self.hidden_size)
        ahead = outputs[:, :, : self.hidden_size].gather(1, last)[:, 0]
        return torch.cat([ahead, outputs[:, 0, self.hidden_size :]], dim=-1)
