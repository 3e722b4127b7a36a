from pathlib import Path

import pytest

from service.errors import ArtefactError, GlossaryNotFound
from service.repository.glossaries import Glossaries, read_glossaries
from service.repository.registry import Registry
from service.settings import Settings
from tests.fakes import make_manifest, make_metrics, make_model

DIRECTIONS = [("en", "de"), ("de", "en"), ("ko", "de")]


def write(models_dir: Path, name: str, content: str | bytes, pair: str = "en-de") -> Path:
    path = models_dir / "glossaries" / name / f"{pair}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(models_dir: Path, max_terms: int = 10) -> Glossaries:
    return read_glossaries(models_dir, DIRECTIONS, max_terms)


def test_glossary_has_terms_by_direction(tmp_path: Path) -> None:
    write(tmp_path, "products", "dog\tMops\n\nhot dog \t Hot Dog\r\n")
    write(tmp_path, "products", "\ufeff개\tMops", "ko-de")

    glossaries = read(tmp_path)

    assert [glossary.name for glossary in glossaries.list_all()] == ["products"]
    assert glossaries.find("products").find_terms("en", "de").translations == {
        "dog": "Mops",
        "hot dog": "Hot Dog",
    }
    assert glossaries.find("products").find_terms("ko", "de").translations == {"개": "Mops"}


def test_repository_need_not_have_glossaries(tmp_path: Path) -> None:
    assert read(tmp_path).list_all() == []


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("product", "en", "no glossary is called 'product'; there are films, products"),
        ("products", "de", "'products' has no terms from de to de; it has en-de"),
    ],
)
def test_glossary_that_is_not_there_is_named_with_those_that_are(
    name: str, source: str, message: str, tmp_path: Path
) -> None:
    write(tmp_path, "products", "dog\tMops")
    write(tmp_path, "films", "film\tStreifen")

    with pytest.raises(GlossaryNotFound, match=message):
        read(tmp_path).find(name).find_terms(source, "de")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("dog Mops", "line 1 is not a term, a tab and its translation"),
        ("dog\tMops\ncat\t", "line 2 is not a term"),
        ("dog\tMops\tHund", "line 1 is not a term"),
        (f"{'a' * 201}\tMops", "of 1 to 200 characters"),
        ("dog\tMops\ndog\tHund", "line 2 has a term that an earlier line has"),
        ("dog\tMops\ncat\tKatze\nox\tOchse", "3 terms, above the limit of 2"),
        (b"\xff", "cannot be read as UTF-8"),
    ],
)
def test_file_that_is_wrong_is_refused(content: str | bytes, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, "products", content)

    with pytest.raises(ArtefactError, match=message) as refused:
        read(tmp_path, max_terms=2)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    ("name", "pair", "message"),
    [
        ("products", "en-fr", "no model has; there are en-de, de-en, ko-de"),
        ("a b", "en-de", "is not a glossary's name"),
    ],
)
def test_file_that_no_request_could_use_is_refused(
    name: str, pair: str, message: str, tmp_path: Path
) -> None:
    write(tmp_path, name, "dog\tMops", pair)

    with pytest.raises(ArtefactError, match=message):
        read(tmp_path)


def test_glossary_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "glossaries" / "products").mkdir(parents=True)

    with pytest.raises(ArtefactError, match=r"has no <source>-<target>\.tsv"):
        read(tmp_path)


async def test_glossary_may_be_for_a_direction_through_the_pivot_language(tmp_path: Path) -> None:
    registry = Registry(Settings(models_dir=tmp_path), make_metrics())
    for name, pairs in (("first", (("ko", "en"),)), ("second", (("en", "de"),))):
        registry.serve(make_model(make_manifest("translation", name, pairs=pairs)))
    write(tmp_path, "products", "개\tMops", "ko-de")

    registry.load_glossaries()
    await registry.stop()

    assert registry.glossaries.find("products").find_terms("ko", "de").translations == {
        "개": "Mops"
    }
