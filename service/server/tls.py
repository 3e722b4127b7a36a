"""Certificates for a server that is reached without a proxy."""

import ssl


def open_tls(certfile: str, keyfile: str) -> ssl.SSLContext:
    """A context for TLS 1.2 and 1.3.

    Args:
        certfile: certificates in PEM, the server's own first.
        keyfile: its key in PEM, not encrypted; if empty, `certfile` has it.

    Raises:
        OSError: in one sentence, for instance that key and certificate do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # without a password the terminal would be asked for that of an encrypted key
        context.load_cert_chain(certfile, keyfile or None, password="")
    except OSError as exc:
        reason = exc.strerror or str(exc)
        files = f"{certfile} and {keyfile}" if keyfile else certfile
        raise OSError(
            f"Cannot serve TLS with {files}: {reason}; give a certificate and its key, "
            "not encrypted, in PEM with --certfile and --keyfile."
        ) from None
    return context
