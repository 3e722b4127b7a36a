"""The default task and the models' own addresses, for clients that know an address alone."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

from service.errors import TaskNotChosen
from service.http.context import AppContext, get_context
from service.http.routes.generation import generate_list
from service.http.routes.tasks import classify, tag, translate

default = APIRouter()

Endpoint = Callable[[Request], Awaitable[Response]]

# By the setting's value, which `auto` leaves to the task of the models.
ENDPOINTS: dict[str, Endpoint] = {
    "classify": classify,
    "translate": translate,
    "tag": tag,
    "generate": generate_list,
}
TASKS: dict[str, Endpoint] = {
    "classification": classify,
    "translation": translate,
    "tagging": tag,
    "language": generate_list,
    "text2text": generate_list,
}
NAMED_TASKS = [task for task in TASKS if task != "translation"]


@default.post("/", include_in_schema=False)
async def answer_default(request: Request) -> Response:
    """Does whatever the server does by default."""
    return await choose_endpoint(get_context(request))(request)


@default.post("/models/{model_name}", include_in_schema=False)
async def answer_by_model(request: Request) -> Response:
    """Does the task of the model that the address names; see `tasks.name_model_of_address`.

    Raises:
        ModelNotFound: there is no such model, or it is a translator, which languages choose.
    """
    named = get_context(request).registry.find_model(
        request.path_params["model_name"], *NAMED_TASKS
    )
    return await TASKS[named.manifest.task](request)


def choose_endpoint(context: AppContext) -> Endpoint:
    """What answers requests that name no task.

    Raises:
        TaskNotChosen: the setting leaves it to the models, and they have several tasks.
    """
    chosen = context.settings.default_task
    if chosen != "auto":
        return ENDPOINTS[chosen]
    loaded = {served.manifest.task for served in context.registry.models()}
    if len(loaded) == 1:
        return TASKS[loaded.pop()]
    raise TaskNotChosen(
        "This server has no default task; post to /classify, /translate, /tag or /generate, or "
        "set SEQSERVE_DEFAULT_TASK."
    )
