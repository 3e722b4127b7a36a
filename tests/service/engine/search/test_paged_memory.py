import random

import numpy as np
import pytest

from service.arrays import FloatArray
from service.engine.search.paged_memory import MIN_PAGES, PAGE_SIZE, PagedMemory

ATTENTION_SIZE, MEMORY_SIZE = 3, 5


def encode(seed: int, lengths: list[int]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Keys, values and lengths as an encoder gives them, with junk at padding."""
    rng = np.random.default_rng(seed)
    width = max(lengths)
    keys = rng.normal(size=(len(lengths), ATTENTION_SIZE, width)).astype(np.float32)
    values = rng.normal(size=(len(lengths), width, MEMORY_SIZE)).astype(np.float32)
    return keys, values, np.array(lengths)


def read_back(memory: PagedMemory, handle: int) -> tuple[FloatArray, FloatArray]:
    """Keys (A, S') and values (S', M + 1) of a sentence, S' being its pages' positions."""
    pages = list(memory.find_pages(handle))
    assert (memory.owners[pages] == handle).all()
    return np.concatenate(memory.keys[pages], axis=1), np.concatenate(memory.values[pages])


def assert_holds(memory: PagedMemory, handle: int, keys: FloatArray, values: FloatArray) -> None:
    """That a sentence is there, with ones beside its tokens and zeros behind them."""
    length = len(values)
    found_keys, found_values = read_back(memory, handle)
    assert np.array_equal(found_keys[:, :length], keys)
    assert np.array_equal(found_values[:length, :-1], values)
    assert (found_values[:length, -1] == 1).all()
    assert not found_keys[:, length:].any()
    assert not found_values[length:].any()


@pytest.mark.parametrize(("length", "num_pages"), [(1, 1), (15, 1), (16, 1), (17, 2), (48, 3)])
def test_a_sentence_has_as_many_pages_as_it_needs(length: int, num_pages: int) -> None:
    memory = PagedMemory()
    keys, values, lengths = encode(1, [length, 100])

    handle, _ = memory.add(keys, values, lengths)

    assert len(memory.find_pages(handle)) == num_pages
    assert_holds(memory, handle, keys[0, :, :length], values[0, :length])


@pytest.mark.parametrize("seed", range(5))
def test_nobody_is_hurt_by_others_coming_and_going(seed: int) -> None:
    rng = random.Random(seed)
    memory = PagedMemory()
    inside: dict[int, tuple[FloatArray, FloatArray]] = {}
    most = 0
    for step in range(60):
        lengths = [rng.choice([1, 5, 16, 17, 40, 100]) for _ in range(rng.randint(1, 4))]
        keys, values, counts = encode(100 * seed + step, lengths)
        for row, handle in enumerate(memory.add(keys, values, counts)):
            assert handle not in inside
            inside[handle] = keys[row, :, : lengths[row]], values[row, : lengths[row]]
        most = max(most, len(inside))
        for handle in rng.sample(sorted(inside), rng.randint(0, min(4, len(inside)))):
            memory.release(handle)
            del inside[handle]
        for handle, expected in inside.items():
            assert_holds(memory, handle, *expected)
        num_pages = sum(-(-len(values) // PAGE_SIZE) for _, values in inside.values())
        assert len(memory.keys) == len(memory.values) == len(memory.owners) == num_pages
        assert max(inside, default=0) < most


def test_a_page_used_again_keeps_nothing_of_before() -> None:
    memory = PagedMemory()
    (first,) = memory.add(*encode(1, [16]))
    memory.release(first)

    keys, values, lengths = encode(2, [3])
    (second,) = memory.add(keys, values, lengths)

    assert_holds(memory, second, keys[0], values[0])


def test_the_decoder_reads_the_pools_in_place() -> None:
    memory = PagedMemory()
    memory.add(*encode(1, [20, 3]))

    assert np.shares_memory(memory.keys, memory.keys)
    assert memory.keys.flags.c_contiguous
    assert memory.values.flags.c_contiguous


def test_joining_copies_nobody_else() -> None:
    memory = PagedMemory()
    memory.add(*encode(1, [20]))
    before = memory.values

    memory.add(*encode(2, [40]))

    assert np.shares_memory(before, memory.values)


def test_pools_grow_by_doubling_and_shrink_when_cleared() -> None:
    memory = PagedMemory()
    memory.add(*encode(1, [1]))
    assert memory.num_reserved == MIN_PAGES
    memory.add(*encode(2, [1] * MIN_PAGES))
    assert memory.num_reserved == 2 * MIN_PAGES

    memory.clear()
    assert (len(memory.keys), memory.num_reserved) == (0, 0)


def test_small_pools_outlast_clearing() -> None:
    memory = PagedMemory()
    memory.add(*encode(1, [30]))
    memory.clear()
    assert memory.num_reserved == MIN_PAGES

    keys, values, lengths = encode(2, [7])
    (handle,) = memory.add(keys, values, lengths)
    assert_holds(memory, handle, keys[0], values[0])
