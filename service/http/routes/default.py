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
# By the task of a model's manifest.
NAMES: dict[str, str] = {
    "classification": "classify",
    "translation": "translate",
    "tagging": "tag",
    "language": "generate",
    "text2text": "generate",
}
NAMED_TASKS = [task for task in NAMES if task != "translation"]


@default.post("/", include_in_schema=False)
async def answer_default(request: Request) -> Response:
    """Does whatever the server does by default."""
    return await ENDPOINTS[choose_task(get_context(request))](request)


@default.post("/models/{model_name}", include_in_schema=False)
async def answer_by_model(request: Request) -> Response:
    """Does the task of the model that the address names; see `tasks.name_model_of_address`.

    Raises:
        ModelNotFound: there is no such model, or it is a translator, which languages choose.
    """
    name = request.path_params["model_name"]
    return await ENDPOINTS[find_task(get_context(request), name)](request)


def find_task(context: AppContext, model_name: str) -> str:
    """What the model does; raises what `answer_by_model` does."""
    return NAMES[context.registry.find_model(model_name, *NAMED_TASKS).manifest.task]


def choose_task(context: AppContext) -> str:
    """What is done for requests that name no task.

    Raises:
        TaskNotChosen: the setting leaves it to the models, and they have several tasks.
    """
    chosen = context.settings.default_task
    if chosen != "auto":
        return chosen
    loaded = {served.manifest.task for served in context.registry.models()}
    if len(loaded) == 1:
        return NAMES[loaded.pop()]
    raise TaskNotChosen(
        "This server has no default task; post to /classify, /translate, /tag or /generate, or "
        "set SEQSERVE_DEFAULT_TASK."
    )
