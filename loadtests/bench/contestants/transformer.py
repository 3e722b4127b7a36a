"""CTranslate2 with a Transformer as large as our translator, decoding greedily in int8.

Run by the Python of an environment with ctranslate2, it knows nothing of this repository. The
weights are random: speed does not depend on them, as every batch decodes as many tokens as it is
told. Reads an order per line from standard input and answers each with a line.

Order: {"layout": [instances, threads], "rows": R, "lengths": [[source, target], ...]}, in tokens,
eos included. Answer: {"tokens_per_second": ...}. The first line out tells the model's parameters
and the version: {"num_parameters": ..., "version": ...}.
"""

import argparse
import functools
import json
import sys
import tempfile
import time
from typing import Any

import ctranslate2
import numpy as np
from ctranslate2.specs import TransformerSpec

WIDTH, INNER, HEADS = 256, 1024, 4
LAYERS = 7, 2  # of encoder and decoder, for as many parameters as the shipped translator has
MAX_POSITIONS = 512
SPECIAL = ["<unk>", "<s>", "</s>"]
Lengths = list[list[int]]


def build_transformer(vocab_size: int) -> tuple[Any, int]:
    """Returns the specification with random weights, and the number of its parameters."""
    rng = np.random.default_rng(1)
    spec = TransformerSpec.from_config(LAYERS, HEADS)
    embedding = (rng.standard_normal((vocab_size, WIDTH)) * WIDTH**-0.5).astype(np.float32)
    counts = [embedding.size]

    def fill(layer: Any, size: int, inputs: int) -> None:
        weight = rng.standard_normal((size, inputs)) * inputs**-0.5
        layer.weight, layer.bias = weight.astype(np.float32), np.zeros(size, np.float32)
        counts.append(layer.weight.size + size)

    def normalize(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
        counts.append(2 * WIDTH)

    for side in (spec.encoder, spec.decoder):
        normalize(side.layer_norm)
        side.position_encodings.encodings = np.zeros((MAX_POSITIONS, WIDTH), np.float32)
        for layer in side.layer:
            attentions: list[tuple[Any, tuple[int, ...]]] = [
                (layer.self_attention, (3 * WIDTH, WIDTH))
            ]
            if side is spec.decoder:
                attentions.append((layer.attention, (WIDTH, 2 * WIDTH, WIDTH)))
            for attention, sizes in attentions:
                normalize(attention.layer_norm)
                for linear, size in zip(attention.linear, sizes, strict=True):
                    fill(linear, size, WIDTH)
            normalize(layer.ffn.layer_norm)
            fill(layer.ffn.linear_0, INNER, WIDTH)
            fill(layer.ffn.linear_1, WIDTH, INNER)
    spec.encoder.embeddings[0].weight = spec.decoder.embeddings.weight = embedding
    spec.decoder.projection.weight = embedding
    spec.decoder.projection.bias = np.zeros(vocab_size, np.float32)
    counts.append(vocab_size)
    tokens = [*SPECIAL, *(f"t{index}" for index in range(vocab_size - len(SPECIAL)))]
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    return spec, sum(counts)


def time_order(translator: Any, rows: int, lengths: Lengths, vocab_size: int) -> float:
    """Output tokens per second.

    Sentences of like length share a batch and end together, with as many tokens as they have on
    average: no row is ever idle, which favours static batches.
    """
    ordered = sorted(lengths)
    batches = [ordered[start : start + rows] for start in range(0, len(ordered), rows)]
    started = time.perf_counter()
    pending = []
    for batch in batches:
        length = round(sum(target for _, target in batch) / len(batch))
        pending += translator.translate_batch(
            [make_source(row, source, vocab_size) for row, (source, _) in enumerate(batch)],
            beam_size=1,
            min_decoding_length=length,
            max_decoding_length=length,
            max_batch_size=0,  # as it is given
            asynchronous=True,
        )
    num_tokens = sum(len(each.result().hypotheses[0]) for each in pending)
    return num_tokens / (time.perf_counter() - started)


def make_source(row: int, length: int, vocab_size: int) -> list[str]:
    return [f"t{(7 * row + place) % (vocab_size - len(SPECIAL))}" for place in range(length)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vocab-size", type=int, required=True)
    vocab_size: int = parser.parse_args().vocab_size
    spec, num_parameters = build_transformer(vocab_size)
    spec.validate()
    spec.optimize(quantization="int8")
    with tempfile.TemporaryDirectory() as folder:
        spec.save(folder)

        @functools.cache
        def load(instances: int, threads: int) -> Any:
            return ctranslate2.Translator(
                *(folder, "cpu"),
                compute_type="int8",
                inter_threads=instances,
                intra_threads=threads,
            )

        answer({"num_parameters": num_parameters, "version": ctranslate2.__version__})
        for line in sys.stdin:
            order = json.loads(line)
            translator = load(*order["layout"])
            rate = time_order(translator, order["rows"], order["lengths"], vocab_size)
            answer({"tokens_per_second": rate})


def answer(fields: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
