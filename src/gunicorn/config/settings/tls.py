"""TLS on the listeners."""

from __future__ import annotations

from gunicorn.config import validators
from gunicorn.config.declaration import Declaration, Section

SECTION = Section(
    "SSL",
    (
        Declaration(
            name="keyfile",
            cli=("--keyfile",),
            meta="FILE",
            validator=validators.optional_path,
            help="""
            The private key of the certificate, in PEM format.

            May be left out when `certfile` holds the key as well.
            """,
        ),
        Declaration(
            name="certfile",
            cli=("--certfile",),
            meta="FILE",
            validator=validators.optional_path,
            help="""
            The certificate, with its chain, in PEM format.

            With it every listener speaks TLS. When the files of `certfile`, `keyfile` and
            `ca_certs` change, new connections get what they hold, within some two seconds; what
            cannot be used is logged, and what was there before goes on.
            """,
        ),
        Declaration(
            name="ssl_version",
            cli=("--ssl-version",),
            validator=validators.tls_version,
            default=validators.tls_version("PROTOCOL_TLS"),
            default_text="negotiated",
            help="""
            Only the value that negotiates the version of TLS is accepted.

            To bound versions, set `minimum_version` of the context in the `ssl_context` hook.
            """,
        ),
        Declaration(
            name="cert_reqs",
            cli=("--cert-reqs",),
            validator=validators.certificate_demand,
            default=validators.certificate_demand("CERT_NONE"),
            help="""
            Whether clients must show a certificate: 0 no, 1 optional, 2 required.

            The names of the ssl module (CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED) may be used.
            Certificates are checked against `ca_certs`.
            """,
        ),
        Declaration(
            name="ca_certs",
            cli=("--ca-certs",),
            meta="FILE",
            validator=validators.optional_path,
            help="""
            The authorities that client certificates are checked against, in PEM format.
            """,
        ),
        Declaration(
            name="suppress_ragged_eofs",
            cli=("--suppress-ragged-eofs",),
            action="store_true",
            validator=validators.boolean,
            default=True,
            help="""
            Take a connection that ends without a TLS close_notify as ended, not as broken.
            """,
        ),
        Declaration(
            name="do_handshake_on_connect",
            cli=("--do-handshake-on-connect",),
            action="store_true",
            validator=validators.boolean,
            default=False,
            help="""
            Do the TLS handshake right after accept rather than at the first read.
            """,
        ),
        Declaration(
            name="ciphers",
            cli=("--ciphers",),
            validator=validators.optional_string,
            help="""
            The cipher suites of TLS 1.2, in OpenSSL's format.

            None, the default, is what Python's ssl module recommends.
            """,
        ),
    ),
)
