from loadtests.bench.throughput import rotate


def test_every_server_comes_first_in_some_round() -> None:
    names = ["a", "b", "c"]
    assert [rotate(names, index)[0] for index in range(4)] == ["a", "b", "c", "a"]
