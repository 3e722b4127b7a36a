"""Language model: embedding, a stack of unidirectional layers, output layer (Graves 2013)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.config import ModelConfig
from models.networks.dropout import LockedDropout, WordDropout
from models.networks.encoder import State, build_layer, run_layer


class LanguageModel(nn.Module):
    """Predicts the next token from all before it, and from a condition, if it takes one.

    A condition sets the first state (Vinyals et al. 2015, Show and tell, who show the image to the
    network once, before the first word). A model that is fed with it adds it to the embedding of
    each token as well, so that long texts do not forget it; it is then a part of the state. With
    tied embeddings a readout leads back to the
    embedding's space, where the rows of tokens are also their output weights (Press and Wolf 2017).

    Args:
        config: sizes.
        num_features: of the condition; 0 for none.
    """

    def __init__(self, config: ModelConfig, num_features: int = 0) -> None:
        super().__init__()
        self.config = config
        hidden_size, vocab_size = config.hidden_size, config.vocab_size
        self.embedding = nn.Embedding(vocab_size, config.embedding_size)
        nn.init.normal_(self.embedding.weight, std=config.embedding_size**-0.5)
        sizes = [config.embedding_size] + [hidden_size] * (config.num_layers - 1)
        self.layers = nn.ModuleList(build_layer(config.cell, size, hidden_size) for size in sizes)
        self.word_dropout = WordDropout(config.word_dropout)
        self.dropout = LockedDropout(config.dropout)
        if config.tied:
            self.readout = nn.Linear(hidden_size, config.embedding_size)
            self.output_bias = nn.Parameter(torch.zeros(vocab_size))
        else:
            self.output = nn.Linear(hidden_size, vocab_size)
        self.num_features = num_features
        if num_features:
            self.condition = nn.Linear(num_features, self.num_parts * hidden_size)
        if config.feeds_condition:
            self.feed = nn.Linear(num_features, config.embedding_size)
            for parameter in self.feed.parameters():  # beside small embeddings, at first nothing
                nn.init.zeros_(parameter)

    @property
    def num_parts(self) -> int:
        """Vectors of a state: hidden, and for lstm cell, of each layer."""
        return self.config.num_layers * (2 if self.config.cell == "lstm" else 1)

    def first_state(self, num_rows: int, features: Tensor | None = None) -> State:
        """The states before the first token: zero, or made from features (B, F).

        The condition of each row (1, B, E) comes last, if the model is fed with it.
        """
        if self.num_features:
            assert features is not None, "the model takes a condition"
            parts = torch.tanh(self.condition(features))[None].chunk(self.num_parts, dim=-1)
        else:
            zeros = self.embedding.weight.new_zeros(1, num_rows, self.config.hidden_size)
            parts = (zeros,) * self.num_parts
        # order: hidden of each layer, then cell of each layer
        num_layers = self.config.num_layers
        layers: State = [tuple(parts[index::num_layers]) for index in range(num_layers)]
        if not self.config.feeds_condition:
            return layers
        return [*layers, (torch.tanh(self.feed(features))[None],)]

    def forward(self, input_ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Reads T tokens at once: input_ids (B, T) int64 -> logits (B, T, V), the states after."""
        outputs = self.word_dropout(self.embedding(input_ids))
        num_layers = len(self.layers)
        for (condition,) in state[num_layers:]:
            outputs = outputs + condition.transpose(0, 1)  # (B, 1, E), to each token
        after: State = []
        for layer, before in zip(self.layers, state[:num_layers], strict=True):
            outputs, layer_state = run_layer(layer, self.dropout(outputs), before)
            after.append(layer_state)
        return self.logits(self.dropout(outputs)), [*after, *state[num_layers:]]

    def logits(self, outputs: Tensor) -> Tensor:
        """(..., H) -> (..., V)."""
        if self.config.tied:
            readout = torch.tanh(self.readout(outputs))
            return nn.functional.linear(readout, self.embedding.weight, self.output_bias)
        logits: Tensor = self.output(outputs)
        return logits

    @torch.inference_mode()
    def continue_greedily(
        self,
        prompt: Sequence[int],
        num_tokens: int,
        forbidden_ids: Sequence[int] = (),
        features: Tensor | None = None,
    ) -> list[int]:
        """The likeliest next tokens one by one, as a reference for the served search.

        Args:
            prompt: token ids, bos first.
            num_tokens: of the continuation.
            forbidden_ids: are never chosen.
            features: (1, F), the condition.
        """
        state = self.first_state(1, features)
        token_ids, chosen = torch.tensor([list(prompt)]), []
        for _ in range(num_tokens):
            logits, state = self(token_ids, state)
            logits[..., list(forbidden_ids)] = -torch.inf
            token_ids = logits[:, -1:].argmax(dim=-1)
            chosen.append(int(token_ids))
        return chosen
