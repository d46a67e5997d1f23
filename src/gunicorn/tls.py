"""From the SSL settings to the context with which connections are secured.

The protocol floor is TLS 1.2 (RFC 8996 retires what is older) and the server speaks http/1.1 in
ALPN (RFC 7301). Whoever wants otherwise writes the `ssl_context` hook, which may start from the
default context or make its own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gunicorn.errors import ConfigError

if TYPE_CHECKING:
    import ssl

    from gunicorn.config import Config
    from gunicorn.tls_files import Contents

ALPN_PROTOCOLS = ["http/1.1"]


def ssl_context(cfg: Config) -> ssl.SSLContext:
    """Return the server's TLS context: the default one after the `ssl_context` hook.

    Raises ConfigError when a file or value of the SSL settings cannot be used, or when the hook
    returns something else.
    """

    def default_factory() -> ssl.SSLContext:
        return default_context(cfg)

    import ssl  # noqa: PLC0415 - rarely needed, and slow to import

    context = cfg.ssl_context(cfg, default_factory)
    if not isinstance(context, ssl.SSLContext):
        raise ConfigError(
            f"ssl_context: the hook returned {context!r}. It must return an ssl.SSLContext."
        )
    return context


def default_context(cfg: Config) -> ssl.SSLContext:
    """Return the TLS context that follows from the SSL settings alone."""
    import ssl  # noqa: PLC0415 - rarely needed, and slow to import

    if not cfg.certfile:
        raise ConfigError("certfile: TLS needs a certificate; keyfile alone is not enough.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(ALPN_PROTOCOLS)
    _load_certificate(context, cfg)
    context.verify_mode = ssl.VerifyMode(cfg.cert_reqs)
    if cfg.ca_certs:
        _load_authorities(context, cfg)
    if cfg.ciphers:
        _set_ciphers(context, cfg)
    return context


def check(cfg: Config) -> None:
    """Raise ConfigError at the start for what would otherwise end every worker.

    That is a file that is missing or may not be read and, unless the `ssl_context` hook has its
    own ways, a certificate, key, authority or cipher list that cannot be used.
    """
    _check_files(cfg)
    if not cfg.has_ssl_context_hook:
        default_context(cfg)


def check_contents(cfg: Config, contents: Contents) -> None:
    """Raise ConfigError when no default context can be made of `contents`, by absolute paths.

    They stand in for the files that the settings name.
    """
    from gunicorn.tls_files import Loading  # noqa: PLC0415 - rarely needed, and imports ssl

    with Loading(lambda: contents):
        default_context(cfg)


def _check_files(cfg: Config) -> None:
    for name in ("certfile", "keyfile", "ca_certs"):
        path = getattr(cfg, name)
        if not path:
            continue
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise ConfigError(
                f"{name}: {path!r} cannot be read: {error.strerror}."
                " Give the path of a PEM file that this process may read."
            ) from error


def _load_certificate(context: ssl.SSLContext, cfg: Config) -> None:
    try:
        context.load_cert_chain(cfg.certfile, cfg.keyfile or None, _ask_nobody)
    except (OSError, ValueError) as error:
        key = f" with keyfile {cfg.keyfile!r}" if cfg.keyfile else ""
        advice = (
            f"Make both readable for user {os.geteuid()}, whom workers run as."
            if isinstance(error, PermissionError)
            else "Both must be PEM, and the key must be the certificate's."
        )
        raise ConfigError(
            f"certfile: {cfg.certfile!r}{key} cannot be used: {error}. {advice}"
        ) from error


def _ask_nobody() -> str:
    """In place of OpenSSL's own question on the terminal, which workers would wait at for ever."""
    raise ValueError(
        "the key is encrypted, and there is nobody to ask for its password; decrypt it, or give"
        " the password in the ssl_context hook"
    )


def _load_authorities(context: ssl.SSLContext, cfg: Config) -> None:
    try:
        context.load_verify_locations(cafile=cfg.ca_certs)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"ca_certs: {cfg.ca_certs!r} cannot be used: {error}."
            " Give a PEM file of certificate authorities."
        ) from error


def _set_ciphers(context: ssl.SSLContext, cfg: Config) -> None:
    import ssl  # noqa: PLC0415 - rarely needed, and slow to import

    try:
        context.set_ciphers(cfg.ciphers)
    except ssl.SSLError as error:
        raise ConfigError(
            f"ciphers: {cfg.ciphers!r} names no cipher that OpenSSL knows."
            " See `openssl ciphers` for the names."
        ) from error
