"""What the parts compute before and after they measure."""

import os
import subprocess
import sys

import numpy as np
import pytest
from bench_engine import (
    list_layouts,
    make_batches,
    padding_factor,
    schedule_batches,
    sort_in_fours,
)
from bench_http import rotate
from bench_translation import count_output_tokens
from plan import Plan
from processes import list_tree, read_cpu_seconds, read_rss_bytes, read_stat
from prometheus_client import generate_latest

from tests.fakes import make_metrics


def test_sorting_in_fours_stays_within_four_batches() -> None:
    lengths = list(range(256, 0, -1))
    ordered = sort_in_fours(lengths)
    assert sorted(ordered) == sorted(lengths)
    assert ordered[:128] == sorted(lengths[:128])
    assert ordered[128:] == sorted(lengths[128:])


def test_sorting_saves_padding() -> None:
    lengths = [5, 60] * 64
    assert padding_factor(lengths) == pytest.approx(60 / 32.5)
    assert padding_factor(sorted(lengths)) == 1.0


def test_batches_hold_every_text_once_padded_to_the_longest() -> None:
    batches = make_batches([3, 9, 4, 2, 7], 2)
    assert [batch["input_ids"].shape for batch in batches] == [(2, 9), (2, 4), (1, 7)]
    lengths = np.concatenate([batch["lengths"] for batch in batches])
    assert lengths.tolist() == [3, 9, 4, 2, 7]
    assert all(batch["input_ids"].dtype == np.int64 for batch in batches)


@pytest.mark.parametrize(
    ("num_cpus", "expected"),
    [
        (1, [(1, 1)]),
        (2, [(1, 1), (1, 2), (2, 1)]),
        (8, [(1, 1), (1, 8), (2, 4), (4, 2), (8, 1)]),
    ],
)
def test_layouts_share_out_all_processors(num_cpus: int, expected: list[tuple[int, int]]) -> None:
    assert list_layouts(num_cpus) == expected


def test_every_server_comes_first_in_some_round() -> None:
    names = ["a", "b", "c"]
    assert [rotate(names, index)[0] for index in range(4)] == ["a", "b", "c", "a"]


def test_output_tokens_of_all_models_are_summed() -> None:
    metrics = make_metrics()
    for model, direction, count in (("a", "output", 5), ("b", "output", 7), ("a", "input", 100)):
        metrics.tokens_total.labels(model, direction).inc(count)
    assert count_output_tokens(generate_latest(metrics.registry).decode()) == 12


def test_quick_plan_keeps_its_parts_and_levels() -> None:
    plan = Plan(("http",), 5, 9, (1, 2)).shorten()
    assert (plan.parts, plan.levels) == (("http",), (1, 2))
    assert plan.num_rounds == plan.seconds == 1


def test_tree_holds_a_process_and_its_children() -> None:
    command = [sys.executable, "-c", "print('up', flush=True); input()"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        tree = list_tree(os.getpid())
        assert child.pid in tree
        assert read_cpu_seconds(child.pid) >= 0.0
        assert read_rss_bytes(child.pid) > 2**20
        child.communicate("\n")
    assert read_stat(child.pid) == []
    assert read_cpu_seconds(child.pid) == 0.0


def test_a_deeper_queue_makes_larger_batches_of_the_same_texts() -> None:
    lengths = [5, 40, 6, 41, 5, 42, 7, 40] * 8
    alone, deep = schedule_batches(lengths, 1), schedule_batches(lengths, 32)
    assert [feeds["lengths"].tolist() for feeds in alone] == [[length] for length in lengths]
    assert len(deep) < len(alone) / 4
    assert sorted(np.concatenate([feeds["lengths"] for feeds in deep]).tolist()) == sorted(lengths)
