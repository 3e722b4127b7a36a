import shutil
import ssl
from pathlib import Path

import pytest

from service.server.tls import open_tls
from tests.service.server.certificates import make_certificate, needs_openssl

pytestmark = needs_openssl


def test_key_may_be_in_the_file_of_the_certificate(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(made.keyfile.read_bytes() + made.certfile.read_bytes())
    assert open_tls(str(both), "").minimum_version == ssl.TLSVersion.TLSv1_2


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"Cannot serve TLS with .*none\.pem: No such file"):
        open_tls(str(tmp_path / "none.pem"), "")


def test_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    other = tmp_path / "other.pem"
    shutil.copy(made.certfile, other)
    make_certificate(tmp_path)
    with pytest.raises(OSError, match=r"other\.pem and .*key\.pem: .*; give a certificate"):
        open_tls(str(other), str(made.keyfile))


def test_encrypted_key_is_refused_without_asking_for_a_password(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "-passout", "pass:secret")
    with pytest.raises(OSError, match="not encrypted, in PEM"):
        open_tls(str(made.certfile), str(made.keyfile))


def test_what_is_not_pem_is_refused(tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_bytes(b"junk")
    with pytest.raises(OSError, match="Cannot serve TLS with"):
        open_tls(str(junk), "")
