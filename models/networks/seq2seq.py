"""Sequence-to-sequence model: shared embedding, encoder, attention decoder, tied output layer."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.config import ModelConfig
from models.networks.decoder import Decoder
from models.networks.dropout import WordDropout
from models.networks.encoder import Encoder, length_mask

# gives embeddings and encoder outputs a similar scale at the start of training
EMBEDDING_SCALE = 2.0


class Seq2Seq(nn.Module):
    """Translates padded batches of token ids.

    One embedding matrix serves source, target and output (Press and Wolf 2017). The start token of
    a translation names its language, so one decoder serves several (Johnson et al. 2017, who put it
    into the source). The memory holds the embedding of each word beside its encoding: a short path
    from a word to its translation, which helps with small data.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        nn.init.normal_(self.embedding.weight, std=config.embedding_size**-0.5)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.word_dropout = WordDropout(config.word_dropout)
        self.output_bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, input_ids: Tensor, lengths: Tensor, target_ids: Tensor) -> Tensor:
        """Computes logits with teacher forcing.

        Args:
            input_ids: (B, S) int64, padded.
            lengths: (B) int64, tokens per source, >= 1.
            target_ids: (B, T) int64, starting with the language's start token, padded.

        Returns:
            logits: (B, T, V).
        """
        return self.logits(self.readout(input_ids, lengths, target_ids))

    def readout(self, input_ids: Tensor, lengths: Tensor, target_ids: Tensor) -> Tensor:
        """As `forward`, without the output layer: (B, T, E)."""
        keys, values, mask, state = self.encode(input_ids, lengths)
        embedded = self.word_dropout(self.embedding(target_ids))
        readout: Tensor = self.decoder(embedded, state, keys, values, mask)[0]
        return readout

    def logits(self, readout: Tensor) -> Tensor:
        """(…, E) -> (…, V)."""
        return nn.functional.linear(readout, self.embedding.weight, self.output_bias)

    def encode(
        self, input_ids: Tensor, lengths: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, list[tuple[Tensor, ...]]]:
        """Returns keys (B, S, A), values (B, S, M), mask (B, S) and the decoder's initial state."""
        embedded = self.word_dropout(self.embedding(input_ids))
        outputs = self.encoder(embedded, lengths)
        state = self.decoder.initial_state(self.encoder.final_states(outputs, lengths))
        mask = length_mask(lengths, input_ids.shape[1])
        words = embedded * EMBEDDING_SCALE * mask[:, :, None]
        memory = torch.cat([outputs, words.to(outputs.dtype)], dim=-1)  # (B, S, M)
        return self.decoder.attention.project_keys(memory), memory, mask, state

    def translate(
        self, input_ids: Tensor, lengths: Tensor, start_id: int, eos_id: int, max_new_tokens: int
    ) -> list[list[int]]:
        """Translates greedily, as a reference for the served search; see `translate_greedily`."""
        return translate_greedily([self], input_ids, lengths, start_id, eos_id, max_new_tokens)


@torch.inference_mode()
def translate_greedily(
    models: Sequence[Seq2Seq],
    input_ids: Tensor,
    lengths: Tensor,
    start_id: int,
    eos_id: int,
    max_new_tokens: int,
) -> list[list[int]]:
    """Translates with one model or an ensemble, whose mean log-probability selects each token.

    Args:
        models: in eval mode, with the same vocabulary.
        input_ids: (B, S) int64, padded.
        lengths: (B) int64, tokens per source, >= 1.
        start_id: start token of the target language.
        eos_id: ends a source and a translation.
        max_new_tokens: maximum length of a translation.

    Returns:
        Token ids per row, without start and eos.
    """
    encoded = [model.encode(input_ids, lengths) for model in models]
    states = [state for *_, state in encoded]
    token_ids = torch.full_like(lengths, start_id)
    finished = torch.zeros_like(lengths, dtype=torch.bool)
    columns: list[Tensor] = []
    for _ in range(max_new_tokens):
        scores: list[Tensor] = []  # (B, V) each
        for index, (model, (keys, values, mask, _)) in enumerate(zip(models, encoded, strict=True)):
            embedded = model.embedding(token_ids[:, None])
            readout, states[index], _ = model.decoder(embedded, states[index], keys, values, mask)
            scores.append(model.logits(readout[:, 0]).log_softmax(dim=-1))
        token_ids = torch.stack(scores).mean(dim=0).argmax(dim=-1)
        finished |= token_ids == eos_id
        columns.append(torch.where(finished, eos_id, token_ids))
        if bool(finished.all()):
            break
    rows: list[list[int]] = torch.stack(columns, dim=1).tolist()
    return [row[: row.index(eos_id)] if eos_id in row else row for row in rows]
