import numpy as np

from service.engine.generation.draws import draw_uniforms


def test_a_seed_gives_numpys_own_philox_stream() -> None:
    reference = np.random.Generator(np.random.Philox(key=np.array([7, 2], np.uint64)))

    assert draw_uniforms(7, 2, 50).tolist() == reference.random(50).tolist()


def test_a_longer_stream_begins_with_the_shorter_one() -> None:
    assert draw_uniforms(7, 0, 500)[:9].tolist() == draw_uniforms(7, 0, 9).tolist()


def test_seeds_and_indices_have_streams_of_their_own() -> None:
    seeds = [(0, 0), (0, 1), (1, 0), (2**64 - 1, 0)]
    streams = np.stack([draw_uniforms(*seed, 2000) for seed in seeds])

    assert np.abs(np.corrcoef(streams) - np.eye(4)).max() < 0.1
    assert streams.min() >= 0.0
    assert streams.max() < 1.0
    assert np.abs(streams.mean(axis=1) - 0.5).max() < 0.03
