"""Hooks of the site: lists folders in the navigation, and resolves links that leave docs/.

On a code host a page may link to any file of the repository. The site holds none of them: such a
link becomes the file's path (or a link to the code host, once `repo_url` is set), and a picture is
copied. A link to a file that does not exist is left alone, so that the strict build fails.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"(!?)\[([^\]]*)\]\(((?:\.\./)+[^)#\s]+)(?:#[^)]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    config.nav = [expand_folder(entry) for entry in config.nav or []]
    return config


def expand_folder(entry: Any) -> Any:
    """`Title: folder/` -> the title with the pages of the folder, its index first."""
    if not isinstance(entry, dict):
        return entry
    ((title, target),) = entry.items()
    if not (isinstance(target, str) and target.endswith("/")):
        return entry
    pages = sorted((DOCS / target).glob("*.md"), key=lambda page: (page.stem != "index", page.name))
    return {title: [page.relative_to(DOCS).as_posix() for page in pages]}


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    return LINK.sub(make_replacement(page, config, files), markdown)


def make_replacement(
    page: Page, config: MkDocsConfig, files: Files
) -> Callable[[re.Match[str]], str]:
    folder = (DOCS / page.file.src_uri).parent

    def replace_link(found: re.Match[str]) -> str:
        mark, title, target = found.groups()
        path = Path(os.path.normpath(folder / target))
        if path.is_relative_to(DOCS) or not path.is_relative_to(ROOT) or not path.exists():
            return found[0]
        name = path.relative_to(ROOT).as_posix()
        if mark:
            return f"![{title}]({copy_picture(path, page, config, files)})"
        if config.repo_url:
            return f"[{title}]({config.repo_url.rstrip('/')}/blob/main/{name})"
        return f"`{name}`" if title.strip("`") in name else f"{title} (`{name}`)"

    return replace_link


def copy_picture(path: Path, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Adds the picture to the site; returns its address as seen from the page."""
    name = f"pictures/{path.name}"
    if files.get_file_from_path(name) is None:
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return os.path.relpath(name, PurePosixPath(page.file.src_uri).parent)
