"""Two-layer attention decoder.

The state of the bottom layer queries the attention, and the context feeds the top layer (GNMT, Wu
et al. 2016, section 3.1). No output is fed back as input, so training runs whole sequences through
each layer without a loop over time.
"""

import torch
from torch import Tensor, nn

from models.config import ModelConfig
from models.networks.attention import Attention
from models.networks.dropout import LockedDropout
from models.networks.encoder import State, build_layer, run_layer

NUM_LAYERS = 2


class Decoder(nn.Module):
    """Predicts a readout in embedding space, from which `Seq2Seq` computes logits."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        memory_size, hidden_size = config.memory_size, config.decoder_size
        self.cell = config.cell
        self.bottom = build_layer(config.cell, config.embedding_size, hidden_size)
        self.top = build_layer(config.cell, hidden_size + memory_size, hidden_size)
        self.attention = Attention(hidden_size, memory_size, config.attention_size)
        num_states = NUM_LAYERS * (2 if config.cell == "lstm" else 1)
        self.bridge = nn.Linear(2 * config.encoder_size, num_states * hidden_size)
        self.readout = nn.Linear(hidden_size + memory_size, config.embedding_size)
        self.dropout = LockedDropout(config.dropout)

    def initial_state(self, final_states: Tensor) -> State:
        """Computes the initial state of both layers from the encoder's final states (B, M)."""
        parts = torch.tanh(self.bridge(final_states))[None].chunk(
            NUM_LAYERS * (2 if self.cell == "lstm" else 1), dim=-1
        )
        if self.cell == "lstm":  # order: hidden of each layer, then cell of each layer
            return [(parts[0], parts[2]), (parts[1], parts[3])]
        return [(parts[0],), (parts[1],)]

    def forward(
        self, embedded: Tensor, state: State, keys: Tensor, values: Tensor, mask: Tensor
    ) -> tuple[Tensor, State, Tensor]:
        """Runs T steps at once.

        Args:
            embedded: (B, T, E), the tokens before each position.
            state: both layers' states before the first step.
            keys: of the encoded source, see `Attention.forward`.
            values: the same.
            mask: the same.

        Returns:
            readout (B, T, E), the states after the last step, attention weights (B, T, S).
        """
        bottom, bottom_state = run_layer(self.bottom, self.dropout(embedded), state[0])
        context, weights = self.attention(bottom, keys, values, mask)
        top, top_state = run_layer(
            self.top, self.dropout(torch.cat([bottom, context], dim=-1)), state[1]
        )
        readout = torch.tanh(self.readout(torch.cat([top, context], dim=-1)))
        return self.dropout(readout), [bottom_state, top_state], weights
