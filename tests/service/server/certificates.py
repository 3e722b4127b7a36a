"""A certificate for this machine, made by openssl for the length of a test."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not there")


@dataclass(frozen=True)
class Certificate:
    certfile: Path
    keyfile: Path

    def trust(self) -> ssl.SSLContext:
        """What a client checks it with."""
        return ssl.create_default_context(cafile=str(self.certfile))


def make_certificate(folder: Path, *options: str) -> Certificate:
    """Signs itself, for localhost and 127.0.0.1; the options are of `openssl req`."""
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(made.keyfile), "-out", str(made.certfile)),
            *(options or ("-nodes",)),
        ],
        check=True,
        capture_output=True,
    )
    return made
