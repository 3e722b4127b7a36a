from service import errors


def draw_tree(parent: type[Exception], depth: int = 0) -> list[str]:
    lines = ["  " * depth + parent.__name__]
    for child in parent.__subclasses__():
        if child.__module__ == errors.__name__:
            lines += draw_tree(child, depth + 1)
    return lines


def test_docstring_draws_the_tree_as_it_is() -> None:
    assert errors.__doc__ is not None
    drawn = [line for line in errors.__doc__.splitlines()[2:] if line.strip()]
    assert drawn == draw_tree(errors.ServingError)


def test_overloaded_carries_when_to_retry() -> None:
    error = errors.Overloaded("the queue is full", 2.5, "tokens")
    assert error.retry_after_seconds == 2.5
    assert str(error) == "the queue is full"
