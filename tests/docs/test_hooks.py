from pathlib import Path

import pytest
from mkdocs.config import load_config
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs.hooks import ROOT, expand_folder, on_page_markdown


@pytest.fixture
def config() -> MkDocsConfig:
    return load_config(str(ROOT / "mkdocs.yml"))


def resolve(markdown: str, config: MkDocsConfig) -> str:
    page = Page(None, File("deploy/x.md", config.docs_dir, config.site_dir, False), config)
    return on_page_markdown(markdown, page, config, Files([]))


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("[CHANGELOG.md](../../CHANGELOG.md)", "`CHANGELOG.md`"),
        ("[what changed](../../CHANGELOG.md)", "what changed (`CHANGELOG.md`)"),
        ("[Capacity](../capacity.md#one-replica)", "[Capacity](../capacity.md#one-replica)"),
        ("[gone](../../no-such-file.md)", "[gone](../../no-such-file.md)"),
    ],
)
def test_a_link_out_of_docs_becomes_a_path_and_others_stay(
    link: str, shown: str, config: MkDocsConfig
) -> None:
    assert resolve(link, config) == shown


def test_a_link_out_of_docs_leads_to_the_code_host_if_one_is_set(config: MkDocsConfig) -> None:
    config.repo_url = "https://code.example.org/seqserve/"

    shown = resolve("[changes](../../CHANGELOG.md)", config)

    assert shown == "[changes](https://code.example.org/seqserve/blob/main/CHANGELOG.md)"


def test_a_folder_in_the_navigation_lists_its_pages_index_first() -> None:
    pages = expand_folder({"Decisions": "decisions/"})["Decisions"]

    assert pages[0] == "decisions/index.md"
    assert len(pages) == len(list((Path(ROOT) / "docs/decisions").glob("*.md")))
