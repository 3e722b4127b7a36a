"""The load clients against a real socket: a server that counts, and answers as it is told."""

import time

import pytest

from loadtests.clients.closed_loop import ClosedLoop, Group, describe_group
from loadtests.clients.http_client import FAILED, Client, format_request, read_status
from loadtests.clients.new_words import NEW_WORD
from loadtests.clients.open_loop import OpenLoop, describe_run, draw_arrivals
from tests.loadtests.clients.recorder import Handler, Server


def run_open(
    port: int, bodies: list[str], num_requests: int, num_warm: int = 40
) -> tuple[OpenLoop, list[float]]:
    due = [index / 1000 for index in range(1, num_requests + 1)]
    run = OpenLoop(port, [format_request("/x", body) for body in bodies], due, 100)
    run.warm_up(num_warm)
    run.run()
    return run, due


def test_status_is_read_once_the_answer_is_whole() -> None:
    answer = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 3\r\n\r\nabc"
    assert [read_status(answer[:end]) for end in (10, 50, len(answer) - 1)] == [None] * 3
    assert read_status(answer) == 429


def test_answer_without_a_length_is_refused() -> None:
    with pytest.raises(ValueError, match="Content-Length"):
        read_status(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def test_wait_ends_at_its_time_though_that_is_a_part_of_a_millisecond(port: int) -> None:
    client = Client(port, lambda *_: None)
    late_seconds = []
    for _ in range(30):
        until = time.monotonic() + 0.0004
        client.wait(until)
        late_seconds.append(time.monotonic() - until)
    client.close()

    assert min(late_seconds) >= 0
    assert min(late_seconds) < 0.0004  # epoll's own timeout would end 0.6 ms late


def test_open_loop_sends_the_bodies_in_turn(port: int) -> None:
    run, due = run_open(port, ["one", "two", "shed"], 30)
    assert sorted(Handler.bodies) == sorted([b"one", b"two", b"shed"] * 10)
    found = describe_run(run, due)
    assert (found["num_ok"], found["num_shed"], found["num_failures"]) == (20, 10, 0)
    assert found["statuses"] == {"200": 20, "429": 10}


def test_each_request_has_new_words_of_its_own(port: int) -> None:
    run_open(port, ["good qzabcd film"], 30)
    groups = [Group("all", 1, [format_request("/x", "good qzabcd film")])]
    num_of_open_loop = len(Handler.bodies)
    ClosedLoop(port, groups, warm_up_seconds=0.0, seconds=0.3, tail_seconds=0.0).run()
    for bodies in (Handler.bodies[:num_of_open_loop], Handler.bodies[num_of_open_loop:]):
        words = [body.split()[1] for body in bodies]
        assert all(map(NEW_WORD.fullmatch, words))
        assert len(set(words)) > len(words) / 2 > 1


def test_latency_counts_from_when_a_request_was_due(port: int) -> None:
    run, due = run_open(port, ["one"], 20)
    assert all(sent >= each for sent, each in zip(run.sent_at, due, strict=True))
    latencies = [1e3 * (end - each) for end, each in zip(run.answered_at, due, strict=True)]
    assert describe_run(run, due)["latency_ms"]["max"] == pytest.approx(max(latencies))


def test_open_loop_survives_hang_ups_and_counts_them(port: int) -> None:
    run, due = run_open(port, ["one", "hang up", "broken"], 30)
    found = describe_run(run, due)
    assert found["statuses"] == {str(FAILED): 10, "200": 10, "500": 10}
    assert found["num_failures"] == 20


def test_connections_are_made_before_and_used_again(port: int) -> None:
    run, due = run_open(port, ["one"], 30, num_warm=40)
    assert Handler.paths == ["/readyz"] * 40
    assert describe_run(run, due)["num_connections_added"] == 0


def test_busy_connections_make_open_loop_add_some(port: int) -> None:
    run, due = run_open(port, ["one"], 30, num_warm=0)
    found = describe_run(run, due)
    assert found["num_ok"] == 30
    assert found["num_connections_added"] >= 1


def test_open_loop_without_a_server_fails_every_request() -> None:
    with Server(("127.0.0.1", 0), Handler) as server:
        port = server.server_port
    run, due = run_open(port, ["one"], 10, num_warm=0)
    assert describe_run(run, due)["num_failures"] == 10


def test_arrivals_come_at_the_rate_asked_for() -> None:
    due = draw_arrivals(rate=500.0, seconds=20.0)
    assert len(due) == 10_000
    assert due == sorted(due) == draw_arrivals(500.0, 20.0)
    assert due[-1] == pytest.approx(20.0, rel=0.05)


def test_closed_loop_keeps_its_groups_apart(port: int) -> None:
    groups = [
        Group("good", 3, [format_request("/x", "one")]),
        Group("bad", 1, [format_request("/x", "broken"), format_request("/x", "hang up")]),
    ]
    ClosedLoop(port, groups, warm_up_seconds=0.0, seconds=0.3, tail_seconds=0.0).run()
    good, bad = (describe_group(group, 0.3) for group in groups)
    assert good["num_requests"] > 0 == good["num_failures"]
    assert bad["num_failures"] > 1
    assert (bad["num_requests"], bad["p50_ms"]) == (0, None)
