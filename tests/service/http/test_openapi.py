import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from service.http.openapi import BODIES as BODY_MODELS
from service.http.openapi import EXAMPLES
from service.http.routes.completions import completions
from service.http.routes.generation import generation
from service.http.routes.operations import discovery, operations
from service.http.routes.tasks import tasks
from tests.service.http.fakes import make_app

APP = make_app()
DOCUMENT = APP.openapi()
OPERATIONS = {
    operation["operationId"]: operation
    for operations in DOCUMENT["paths"].values()
    for operation in operations.values()
}
BODIES = {name: operation for name, operation in OPERATIONS.items() if "requestBody" in operation}
ROUTES = {
    route.name: route
    for router in (tasks, generation, completions, discovery, operations)
    for route in router.routes
    if isinstance(route, APIRoute) and route.include_in_schema
}

COMPLETIONS = {route.name for route in completions.routes if isinstance(route, APIRoute)}


def find_schemas(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, list):
        for item in node:
            yield from find_schemas(item)
    elif isinstance(node, dict):
        yield node
        for name, item in node.items():
            if name == "example":
                continue
            yield from find_schemas(list(item.values()) if name == "properties" else item)


def schema_of(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = DOCUMENT["components"]["schemas"][name]
    return schema


def test_operations_are_called_as_their_functions_are() -> None:
    assert {"translate", "classify", "predict", "detect", "list_models"} <= set(OPERATIONS)
    assert OPERATIONS.keys() == EXAMPLES.keys() == ROUTES.keys()


def test_each_operation_has_one_tag() -> None:
    assert {len(operation["tags"]) for operation in OPERATIONS.values()} == {1}


def test_no_schema_has_a_title_that_nobody_gave_it() -> None:
    schemas = [*find_schemas(DOCUMENT["components"]), *find_schemas(DOCUMENT["paths"])]

    assert len(schemas) > 100
    assert not [schema for schema in schemas if "title" in schema]
    assert "title" in schema_of("Problem")["properties"]


@pytest.mark.parametrize("name", BODIES)
def test_a_body_has_one_schema_and_an_example_of_it(name: str) -> None:
    ((media_type, content),) = BODIES[name]["requestBody"]["content"].items()
    (model,) = [
        each for each in BODY_MODELS if content["schema"]["$ref"].endswith("/" + each.__name__)
    ]

    assert media_type == "application/json"
    assert model.model_validate(content["example"])


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_answer_has_an_example_of_it(name: str) -> None:
    content = OPERATIONS[name]["responses"]["200"]["content"]
    example = next(iter(content.values()))["example"]

    model = ROUTES[name].response_model
    if model is not None:
        TypeAdapter(model).validate_python(example, by_alias=True)
    else:
        assert isinstance(example, str)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_error_is_a_problem(name: str) -> None:
    ((media_type, content),) = OPERATIONS[name]["responses"]["default"]["content"].items()

    assert media_type == "application/problem+json"
    schema = "CompletionProblem" if name in COMPLETIONS else "Problem"
    assert content["schema"] == {"$ref": f"#/components/schemas/{schema}"}


@pytest.mark.parametrize(("keys", "is_optional"), [("", True), ("secret", False)])
def test_keys_are_optional_where_none_are_set(keys: str, is_optional: bool) -> None:
    security = make_app(api_keys=keys).openapi()["paths"]["/classify"]["post"]["security"]

    assert ({} in security) == is_optional
    assert {scheme for one in security for scheme in one} == {"HTTPBearer", "APIKeyHeader"}


@pytest.mark.parametrize(
    ("name", "field"), [("TranslateRequest", "q"), ("ClassifyRequest", "inputs")]
)
def test_texts_are_not_empty(name: str, field: str) -> None:
    one, several = schema_of(name)["properties"][field]["anyOf"]

    assert (one["type"], one["minLength"]) == ("string", 1)
    assert (several["type"], several["minItems"]) == ("array", 1)


def test_limits_are_those_of_the_server() -> None:
    app = make_app(max_beam_size=3)
    fields = app.openapi()["components"]["schemas"]["TranslateRequest"]["properties"]

    assert fields["beam_size"]["anyOf"][0] == {"type": "integer", "minimum": 1, "maximum": 3}
    assert fields["alternatives"]["maximum"] == 2


def test_no_field_has_an_object_for_its_default() -> None:
    fields = (
        schema_of("TranslateRequest")["properties"] | schema_of("ClassifyRequest")["properties"]
    )

    assert not [name for name, field in fields.items() if field.get("default") in ([], {})]
    assert fields["source"]["default"] == "auto"


@pytest.mark.parametrize(
    ("name", "field", "schema"),
    [
        ("TranslateRequest", "stream", {"type": ["boolean", "null"]}),
        (
            "TranslateRequest",
            "format",
            {"type": ["string", "null"], "enum": ["text", "html", None]},
        ),
        ("ClassifyParameters", "max_length", {"default": None}),
    ],
)
def test_fields_that_may_be_left_out_may_be_null(
    name: str, field: str, schema: dict[str, Any]
) -> None:
    described = schema_of(name)["properties"][field]

    assert described.items() >= schema.items()
    assert "null" in described.get("type", []) or {"type": "null"} in described["anyOf"]
    assert "null" not in schema_of("TranslateRequest")["properties"]["target"]["type"]


@pytest.mark.parametrize("text", ["a", " a", "\n\u00ad.", "\u200b"])
@pytest.mark.parametrize("blank", ["", " \n", "\u00ad", "\u001c\u0085\u00a0\u3000"])
def test_pattern_of_a_text_says_what_is_blank(text: str, blank: str) -> None:
    pattern = schema_of("DetectRequest")["properties"]["q"]["pattern"]

    assert re.match(pattern, text)
    assert not re.match(pattern, blank)
