"""Fetches model archives, checks hashes, unpacks them: the init container of models.source http.

usage: fetch_models.py ARCHIVES.json FOLDER
AUTHORIZATION in the environment is sent as the header of that name.
Runs in the service's image with the standard library alone.
"""

import hashlib
import json
import os
import shutil
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

ATTEMPTS, TIMEOUT_SECONDS = 5, 60
# What another attempt may mend; any other 4xx says the same the next time.
PASSING = {408, 425, 429, 500, 502, 503, 504}


def main(manifest: str, folder: str) -> None:
    for archive in json.loads(Path(manifest).read_text(encoding="utf-8")):
        with tempfile.TemporaryFile() as file:
            fetch(archive["url"], file)
            check_hash(file, archive["url"], archive["sha256"])
            num_files = unpack(file, archive["url"], Path(folder))
        print(f"{archive['url']}: {num_files} files", flush=True)


def fetch(url: str, file: IO[bytes]) -> None:
    """Streams the body into the file; tries again what may pass."""
    if not url.startswith(("https://", "http://")):
        raise SystemExit(f"{url}: only https and http are fetched")
    authorization = os.environ.get("AUTHORIZATION")
    headers = {"Authorization": authorization} if authorization else {}
    for attempt in range(1, ATTEMPTS + 1):
        try:
            request = urllib.request.Request(url, headers=headers)
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as body:
                file.seek(0)
                file.truncate()
                shutil.copyfileobj(body, file)
            return
        except OSError as exc:
            passes = not isinstance(exc, urllib.error.HTTPError) or exc.code in PASSING
            if attempt == ATTEMPTS or not passes:
                raise SystemExit(f"{url}: {exc}") from None
            print(f"{url}: {exc}; attempt {attempt} of {ATTEMPTS}", file=sys.stderr, flush=True)
            time.sleep(2 ** (attempt - 1))


def check_hash(file: IO[bytes], url: str, expected: str) -> None:
    file.seek(0)
    found = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    if found != expected.lower():
        raise SystemExit(f"{url}: sha256 is {found}, expected {expected}")


def unpack(file: IO[bytes], url: str, folder: Path) -> int:
    """Writes the regular files of an archive below the folder; returns how many."""
    num_files = 0
    for name, content in read_members(file, url):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or len(path.parts) < 3:
            raise SystemExit(f"{url}: {name} is not <name>/<version>/<file>")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with content, target.open("wb") as copy:
            shutil.copyfileobj(content, copy)
        num_files += 1
    if not num_files:
        raise SystemExit(f"{url}: the archive is empty")
    return num_files


def read_members(file: IO[bytes], url: str) -> Iterator[tuple[str, IO[bytes]]]:
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    yield entry.filename, archive.open(entry)
        return
    file.seek(0)
    try:
        with tarfile.open(fileobj=file) as archive:
            for member in archive:
                if member.isdir():
                    continue
                content = archive.extractfile(member) if member.isfile() else None
                if content is None:  # links and devices have no place among models
                    raise SystemExit(f"{url}: {member.name} is not a regular file")
                yield member.name, content
    except tarfile.TarError as exc:
        raise SystemExit(f"{url}: neither tar nor zip: {exc}") from None


if __name__ == "__main__":
    main(*sys.argv[1:])
