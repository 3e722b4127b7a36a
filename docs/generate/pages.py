"""Which pages have generated parts, and what goes between their markers.

A page marks a part as `<!-- generated: NAME -->` ... `<!-- end -->`, so that it also reads well
where nothing is built.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

from docs.generate import clients, metrics, models, performance, settings, study
from service.http.app import create_app
from service.settings import Settings

PAGES = (
    "README.md",
    "docs/api.md",
    "docs/capacity.md",
    "docs/models.md",
    "docs/observability.md",
    "docs/performance.md",
    "docs/recurrent-networks.md",
    "docs/settings.md",
    "docs/topologies.md",
)
PART = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

PARTS: dict[str, Callable[[Path], str]] = {
    "settings": lambda _: settings.describe_settings(),
    "clients": clients.describe_clients,
    "metrics": lambda _: metrics.describe_metrics(),
    "models": models.describe_models,
    "quality": models.describe_quality,
    "finds": models.describe_finds,
    "licences": models.describe_licences,
    "http": performance.describe_http,
    "latency": performance.describe_latency,
    "translation": performance.describe_translation,
    "topologies": performance.describe_topologies,
    "topology-translation": performance.describe_topology_translation,
    "goals": performance.describe_goals,
    "load": performance.describe_load,
    "costs": performance.describe_costs,
    "gradients": study.describe_gradients,
    "recall": study.describe_recall,
    "clipping": study.describe_clipping,
    "truncation": study.describe_truncation,
    "cells": study.describe_language,
}


def fill_page(text: str, root: Path) -> str:
    """The page with every marked part written anew.

    Raises:
        KeyError: a marker names an unknown part.
    """
    return PART.sub(lambda found: found[1] + PARTS[found[2]](root) + "\n" + found[3], text)


def build_openapi() -> str:
    """The OpenAPI document of the service; no models are loaded for it."""
    document = create_app(Settings()).openapi()
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
