"""Measures codecs and wake-ups of processes: `python docs/decisions/measured/transport.py`.

A message is a text of 30 tokens, three in a frame. Codecs that are not installed are left out. A
wake-up is a ping and its pong between two processes that block, which is also the least that a ring
in shared memory would take: its reader has to be woken, too.
"""

import array
import importlib.util
import marshal
import os
import pickle
import socket
import statistics
import struct
import time
import timeit
import types
from collections.abc import Callable
from dataclasses import astuple, dataclass
from importlib import metadata
from typing import Any

from docs.decisions.measured.report import write_report

NUM_MESSAGES, NUM_CALLS, NUM_ROUNDS = 3, 2000, 7
NUM_PINGS = 3000
PAYLOAD = b"x" * 150
INPUT_IDS = list(range(100, 5130, 168))
RECORD = struct.Struct("<IddII")


@dataclass(slots=True)
class Text:
    """What a front end sends."""

    number: int
    input_ids: list[int]
    arrived_at: float
    deadline: float
    start_id: int = 0


TEXTS = [Text(number, INPUT_IDS, 12345.678, 12375.678) for number in range(NUM_MESSAGES)]
TUPLES = [astuple(text) for text in TEXTS]

Codec = tuple[Callable[[Any], bytes], Callable[[bytes], Any], Any]


def pack_structs(texts: list[Text]) -> bytes:
    parts = []
    for text in texts:
        fields = (text.number, text.arrived_at, text.deadline, text.start_id, len(text.input_ids))
        parts += [RECORD.pack(*fields), array.array("i", text.input_ids).tobytes()]
    return b"".join(parts)


def unpack_structs(data: bytes) -> list[Text]:
    texts, place = [], 0
    while place < len(data):
        number, arrived_at, deadline, start_id, length = RECORD.unpack_from(data, place)
        place += RECORD.size
        input_ids = array.array("i")
        input_ids.frombytes(data[place : place + 4 * length])
        place += 4 * length
        texts.append(Text(number, input_ids.tolist(), arrived_at, deadline, start_id))
    return texts


def list_codecs() -> dict[str, Codec]:
    codecs: dict[str, Codec] = {
        "marshal, tuples": (marshal.dumps, marshal.loads, TUPLES),
        "pickle, tuples": (pickle.dumps, pickle.loads, TUPLES),
        "pickle, dataclasses": (pickle.dumps, pickle.loads, TEXTS),
        "struct and array": (pack_structs, unpack_structs, TEXTS),
    }
    if importlib.util.find_spec("msgpack"):
        msgpack = importlib.import_module("msgpack")
        codecs["msgpack, tuples"] = (msgpack.packb, msgpack.unpackb, TUPLES)
    if importlib.util.find_spec("msgspec"):
        msgspec = importlib.import_module("msgspec")
        fields = [("number", int), ("input_ids", list[int]), ("arrived_at", float)]
        fields += [("deadline", float), ("start_id", int)]
        checked = msgspec.defstruct("Checked", fields, array_like=True)
        decoder = msgspec.msgpack.Decoder(types.GenericAlias(list, (checked,)))
        structs = [checked(*fields) for fields in TUPLES]
        codecs["msgspec, checked structs"] = (msgspec.msgpack.encode, decoder.decode, structs)
    return codecs


def time_codec(codec: Codec) -> dict[str, float]:
    """Microseconds per text, the least of the rounds, and its bytes."""
    encode, decode, texts = codec
    data = encode(texts)

    def least(call: Callable[[], Any]) -> float:
        rounds = (timeit.timeit(call, number=NUM_CALLS) for _ in range(NUM_ROUNDS))
        return round(1e6 * min(rounds) / NUM_CALLS / NUM_MESSAGES, 2)

    return {
        "encode_us": least(lambda: encode(texts)),
        "decode_us": least(lambda: decode(data)),
        "bytes": len(data) // NUM_MESSAGES,
    }


def time_pings(ping: Callable[[], Any], echo: Callable[[], Any]) -> float:
    """Median microseconds of a ping and its pong; `echo` answers one, in a process of its own."""
    pid = os.fork()
    if pid == 0:
        for _ in range(NUM_PINGS):
            echo()
        os._exit(0)
    times = []
    for _ in range(NUM_PINGS):
        started = time.perf_counter()
        ping()
        times.append(time.perf_counter() - started)
    os.waitpid(pid, 0)
    return round(1e6 * statistics.median(times), 1)


def time_eventfd() -> float:
    """The wake-ups of a ring, without the ring."""
    there, back = os.eventfd(0), os.eventfd(0)

    def ping() -> None:
        os.eventfd_write(there, 1)
        os.eventfd_read(back)

    def echo() -> None:
        os.eventfd_read(there)
        os.eventfd_write(back, 1)

    return time_pings(ping, echo)


def time_socket(pair: tuple[socket.socket, socket.socket]) -> float:
    ours, theirs = pair
    return time_pings(
        lambda: (ours.send(PAYLOAD), ours.recv(1000)),
        lambda: theirs.send(theirs.recv(1000)),
    )


def connect_tcp() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    for each in (ours, theirs):
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ours, theirs


def time_zmq() -> float | None:
    """ZeroMQ over `ipc:`; its sockets are opened after the fork, as they must be."""
    if not importlib.util.find_spec("zmq"):
        return None
    zmq = importlib.import_module("zmq")
    address = f"ipc:///tmp/transport-{os.getpid()}"
    pid = os.fork()
    with zmq.Context() as context, context.socket(zmq.PAIR) as ours:
        if pid == 0:
            ours.connect(address)
            for _ in range(NUM_PINGS):
                ours.send(ours.recv())
            ours.close(linger=1000)
            context.term()  # or the last pong would go with it
            os._exit(0)
        ours.bind(address)
        times = []
        for _ in range(NUM_PINGS):
            started = time.perf_counter()
            ours.send(PAYLOAD)
            ours.recv()
            times.append(time.perf_counter() - started)
    os.waitpid(pid, 0)
    return round(1e6 * statistics.median(times), 1)


def measure() -> dict[str, object]:
    packages = [
        name
        for name in ("msgpack", "msgspec", "pyzmq")
        if importlib.util.find_spec("zmq" if name == "pyzmq" else name)
    ]
    return {
        "versions": {name: metadata.version(name) for name in packages},
        "codecs_per_text": {name: time_codec(codec) for name, codec in list_codecs().items()},
        "round_trip_us": {
            "eventfd, no data": time_eventfd(),
            "Unix socket, 150 bytes": time_socket(socket.socketpair()),
            "TCP, 150 bytes": time_socket(connect_tcp()),
            "ZeroMQ over ipc, 150 bytes": time_zmq(),
        },
    }


if __name__ == "__main__":
    write_report(__file__, measure)
