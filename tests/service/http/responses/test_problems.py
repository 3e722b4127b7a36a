import pytest

from service import errors
from service.http.responses.problems import STATUSES, outcome_of, status_of
from service.telemetry.metrics import OUTCOMES
from tests.service.http.fakes import FakePipeline, classify, connect, make_app


def all_errors(parent: type[errors.ServingError]) -> list[type[errors.ServingError]]:
    return [parent] + [each for child in parent.__subclasses__() for each in all_errors(child)]


def make_error(kind: type[errors.ServingError]) -> errors.ServingError:
    return errors.Overloaded("busy", 1.2, "wait") if kind is errors.Overloaded else kind("why")


@pytest.mark.parametrize("kind", all_errors(errors.ServingError)[1:])
async def test_every_error_has_a_status_and_one_body(kind: type[errors.ServingError]) -> None:
    error = make_error(kind)
    response = await classify(make_app(FakePipeline(error=error)))
    assert response.status_code == status_of(error)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "error"}
    assert body["detail"] == body["error"] == str(error)
    assert body["status"] == response.status_code


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.InvalidInput, 422),
        (errors.EmptyInput, 422),
        (errors.LanguageNotSupported, 422),
        (errors.InputTooLong, 413),
        (errors.NotAuthorized, 403),
        (errors.KeyMissing, 401),
        (errors.BodyTimeout, 408),
        (errors.ModelNotFound, 404),
        (errors.ModelNotReady, 503),
        (errors.DeadlineExceeded, 504),
        (errors.InferenceFailed, 500),
    ],
)
def test_statuses_are_those_of_the_contract(kind: type[errors.ServingError], status: int) -> None:
    assert status_of(kind("why")) == status


def test_base_class_has_no_status() -> None:
    assert errors.ServingError not in STATUSES


async def test_shed_request_is_told_when_to_retry() -> None:
    response = await classify(make_app(FakePipeline(error=errors.Overloaded("busy", 1.2, "wait"))))
    assert (response.status_code, response.headers["retry-after"]) == (429, "2")


@pytest.mark.parametrize(("seconds", "header"), [(4.2, "5"), (None, None)])
async def test_a_model_that_comes_back_soon_says_when(
    seconds: float | None, header: str | None
) -> None:
    error = errors.ModelNotReady("gone", seconds)
    response = await classify(make_app(FakePipeline(error=error)))
    assert (response.status_code, response.headers.get("retry-after")) == (503, header)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nope", 404), ("POST", "/translate/", 404), ("GET", "/translate", 405)],
)
async def test_unknown_route_is_a_problem(method: str, path: str, status: int) -> None:
    async with connect(make_app()) as client:
        response = await client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["error"]


async def test_wrong_method_is_told_the_right_one() -> None:
    async with connect(make_app()) as client:
        response = await client.put("/classify")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "ok"),
        (307, "ok"),
        (401, "unauthorized"),
        (413, "invalid"),
        (499, "cancelled"),
        (503, "not_ready"),
        (500, "error"),
    ],
)
def test_outcomes_are_a_closed_set(status: int, outcome: str) -> None:
    assert outcome_of(status) == outcome


def test_outcomes_are_the_ones_that_are_counted_from_zero() -> None:
    counted = {
        outcome_of(status) for status in (200, 400, 401, 403, 404, 422, 429, 499, 500, 503, 504)
    }
    assert counted == set(OUTCOMES)
