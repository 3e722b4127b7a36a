"""The benchmark behind `make bench`; see `--help`."""

import argparse
import json
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench_http import check_answer, measure_http, summarize, throughput_ratio
from lengths import draw_lengths, make_texts
from processes import Server
from servers import PLAIN, ours_name, start_floor, start_plain, start_shape
from shape_model import make_shape

from service.tokenizer import Tokenizer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--levels", type=int, nargs="+", default=[1, 32, 128])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        shape = make_shape(folder / "fp32", "fp32")
        tokenizer = Tokenizer.load(shape.tokenizer)
        texts = make_texts(tokenizer, draw_lengths(1024).tolist())
        bodies = folder / "bodies.jsonl"
        bodies.write_text("".join(json.dumps({"inputs": text}) + "\n" for text in texts))
        servers: list[Server] = []
        for server in (
            start_floor(folder),
            start_plain(shape, folder, "def", "plain def"),
            start_plain(shape, folder, "async def"),
            start_shape(shape, folder),
        ):
            stack.callback(server.stop)
            server.wait_ready()
            check_answer(server, json.dumps({"inputs": texts[0]}))
            servers.append(server)
        rounds = measure_http(servers, bodies, given.levels, given.rounds, given.seconds)
        for name, by_level in summarize(rounds).items():
            for level, figures in by_level.items():
                print(name, level, {key: round(value, 2) for key, value in figures.items()})
        for level in given.levels:
            print(level, throughput_ratio(rounds[level], ours_name("fp32"), PLAIN))


if __name__ == "__main__":
    main()
