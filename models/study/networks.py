"""Networks of the study: one unidirectional layer of any cell, read in steps or at once.

They are initialized as PyTorch does, without the orthogonal weights and the open forget gate of
`models.networks.encoder`, so that the cells show what they do by themselves.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

StudyCell = Literal["rnn-sigmoid", "rnn-tanh", "rnn-relu", "gru", "lstm"]
CELLS: tuple[StudyCell, ...] = ("rnn-sigmoid", "rnn-tanh", "rnn-relu", "gru", "lstm")

State = Tensor | tuple[Tensor, Tensor]
"""hidden (1, N, H), or hidden and cell of an LSTM."""


class SigmoidLayer(nn.Module):
    """Vanilla layer with a logistic activation, which `nn.RNN` does not have.

    h_t = sigmoid(W x_t + U h_{t-1} + b)
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.inputs = nn.Linear(input_size, hidden_size)
        self.recurrent = nn.Linear(hidden_size, hidden_size, bias=False)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(N, T, I) and hidden (1, N, H) -> outputs (N, T, H) and the last hidden (1, N, H)."""
        hidden = inputs.new_zeros(len(inputs), self.hidden_size) if state is None else state[0]
        outputs = []
        for from_input in self.inputs(inputs).unbind(dim=1):
            hidden = torch.sigmoid(from_input + self.recurrent(hidden))
            outputs.append(hidden)
        return torch.stack(outputs, dim=1), hidden[None]


def build_layer(cell: StudyCell, size: int) -> nn.Module:
    """A layer with as many inputs as hidden units."""
    match cell:
        case "rnn-sigmoid":
            return SigmoidLayer(size, size)
        case "rnn-tanh":
            return nn.RNN(size, size, batch_first=True)
        case "rnn-relu":
            return nn.RNN(size, size, batch_first=True, nonlinearity="relu")
        case "gru":
            return nn.GRU(size, size, batch_first=True)
        case "lstm":
            return nn.LSTM(size, size, batch_first=True)


class SequenceModel(nn.Module):
    """Embedding, one recurrent layer, linear layer: scores of all symbols after each symbol."""

    def __init__(self, cell: StudyCell, num_symbols: int, size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_symbols, size)
        self.layer = build_layer(cell, size)
        self.output = nn.Linear(size, num_symbols)

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Ids (N, T) int64 and a state -> logits (N, T, V) and the last state."""
        outputs, last = self.layer(self.embedding(ids), state)
        return self.output(outputs), last


def detach(state: State) -> State:
    """The same state, from which no gradient goes back."""
    if isinstance(state, tuple):
        return state[0].detach(), state[1].detach()
    return state.detach()


def count_recurrent(model: SequenceModel) -> int:
    """Parameters of the recurrent layer."""
    return sum(parameter.numel() for parameter in model.layer.parameters())
