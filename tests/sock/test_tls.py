"""TLS contexts: what the settings ask for, the hook, and files that cannot be used."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from gunicorn import sock
from gunicorn.errors import ConfigError
from tests.certificates import write_pair
from tests.sock.conftest import Opener, config


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    return write_pair(tmp_path, "server")


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[ssl.SSLObject, Any]:
    """Shake hands in memory; return the client's end and the server's."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    pending: list[ssl.SSLObject] = [theirs, ours]
    for _ in range(10):
        for end in list(pending):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            pending.remove(end)
        if not pending:
            return theirs, ours
    raise AssertionError("the handshake does not end")


def client_context(certfile: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certfile)


def test_the_default_context(pair: tuple[str, str]) -> None:
    certfile, keyfile = pair
    context = sock.ssl_context(config(certfile=certfile, keyfile=keyfile))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_NONE
    client = client_context(certfile)
    client.set_alpn_protocols(["h2", "http/1.1"])
    theirs, _ = handshake(context, client)
    assert theirs.selected_alpn_protocol() == "http/1.1"


def test_ciphers(pair: tuple[str, str]) -> None:
    certfile, keyfile = pair
    wanted = "ECDHE-ECDSA-AES256-GCM-SHA384"
    context = sock.ssl_context(config(certfile=certfile, keyfile=keyfile, ciphers=wanted))
    client = client_context(certfile)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    theirs, _ = handshake(context, client)
    cipher = theirs.cipher()
    assert cipher is not None
    assert cipher[0] == wanted


def test_a_client_certificate_may_be_required(tmp_path: Path, pair: tuple[str, str]) -> None:
    certfile, keyfile = pair
    known, known_key = write_pair(tmp_path, "client")
    cfg = config(
        certfile=certfile, keyfile=keyfile, ca_certs=known, cert_reqs=int(ssl.CERT_REQUIRED)
    )
    context = sock.ssl_context(cfg)
    client = client_context(certfile)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        handshake(context, client)
    client.load_cert_chain(known, known_key)
    _, ours = handshake(context, client)
    assert ours.getpeercert()["subject"] == ((("commonName", "localhost"),),)


def test_the_hook_has_the_last_word(pair: tuple[str, str]) -> None:
    def hook(cfg: Any, default_ssl_context_factory: Callable[[], ssl.SSLContext]) -> Any:
        context = default_ssl_context_factory()
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context

    certfile, keyfile = pair
    context = sock.ssl_context(config(certfile=certfile, keyfile=keyfile, ssl_context=hook))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3


def test_listeners_say_https(create: Opener, pair: tuple[str, str]) -> None:
    certfile, keyfile = pair
    (listener,) = create("127.0.0.1:0", certfile=certfile, keyfile=keyfile)
    assert str(listener) == f"https://127.0.0.1:{listener.getsockname()[1]}"


def test_the_start_is_refused_without_usable_files(
    create: Opener, tmp_path: Path, pair: tuple[str, str]
) -> None:
    certfile, keyfile = pair
    _, other_key = write_pair(tmp_path, "other")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("not PEM")
    for settings, message in [
        ({"certfile": "/nope.crt"}, "certfile: '/nope.crt'.*(No such file|does not exist)"),
        ({"keyfile": "/nope.key"}, "keyfile: '/nope.key'.*(No such file|does not exist)"),
        ({"ca_certs": "/nope.pem"}, "ca_certs: '/nope.pem'.*(No such file|does not exist)"),
        ({"keyfile": other_key}, "certfile: .* with keyfile .*other.key' cannot be used"),
        ({"certfile": str(garbage)}, "certfile: .*garbage.pem'.* cannot be used"),
        ({"ca_certs": str(garbage)}, "ca_certs: .*garbage.pem' cannot be used"),
        ({"ciphers": "NONSENSE"}, "ciphers: 'NONSENSE' names no cipher"),
        ({"certfile": None}, "certfile: TLS needs a certificate"),
    ]:
        wanted = {"certfile": certfile, "keyfile": keyfile, **settings}
        with pytest.raises(ConfigError, match=message):
            create("127.0.0.1:0", **wanted)


def test_nobody_is_asked_for_the_password_of_a_key(
    create: Opener, tmp_path: Path, pair: tuple[str, str]
) -> None:
    certfile, keyfile = pair
    key = serialization.load_pem_private_key(Path(keyfile).read_bytes(), None)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (tmp_path / "secret.key").write_bytes(secret)
    with pytest.raises(ConfigError, match="the key is encrypted"):
        create("127.0.0.1:0", certfile=certfile, keyfile=str(tmp_path / "secret.key"))


def test_a_hook_that_returns_no_context(pair: tuple[str, str]) -> None:
    certfile, keyfile = pair
    with pytest.raises(ConfigError, match=r"must return an ssl\.SSLContext"):
        sock.ssl_context(
            config(certfile=certfile, keyfile=keyfile, ssl_context=lambda config, factory: None)
        )


def test_a_hook_may_do_without_the_default_context(
    create: Opener, tmp_path: Path, pair: tuple[str, str]
) -> None:
    certfile, keyfile = pair
    _, other_key = write_pair(tmp_path, "other")

    def hook(cfg: Any, default_ssl_context_factory: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certfile, keyfile)
        return context

    (listener,) = create("127.0.0.1:0", certfile=certfile, keyfile=other_key, ssl_context=hook)
    assert str(listener).startswith("https:")


def test_a_key_that_workers_may_not_read(
    pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise PermissionError(13, "Permission denied")

    certfile, keyfile = pair
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", refuse)
    with pytest.raises(ConfigError, match=r"Permission denied\. Make both readable for user \d+"):
        sock.ssl_context(config(certfile=certfile, keyfile=keyfile))
