"""The files of certificates: how they are read, watched, and replaced while contexts load them."""

from __future__ import annotations

import os
import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest

from gunicorn import certificates, tls_files
from gunicorn.errors import ConfigError
from tests.certificates import write_pair
from tests.sock.conftest import config


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def info(self, message: str, *args: Any) -> None:
        self.lines.append(("info", message % args))

    def error(self, message: str, *args: Any) -> None:
        self.lines.append(("error", message % args))

    @property
    def levels(self) -> list[str]:
        return [level for level, _ in self.lines]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for name in ("now", "next"):
        write_pair(tmp_path, name)
    return tmp_path


def kept(pairs: Path) -> certificates.Certificates:
    return certificates.Certificates(
        config(certfile=str(pairs / "now.crt"), keyfile=str(pairs / "now.key"))
    )


def look(keeper: certificates.Certificates, log: Log) -> None:
    keeper.look_at = 0.0
    keeper.look(log)


def test_what_is_published_is_what_the_files_hold(pairs: Path) -> None:
    keeper, log = kept(pairs), Log()
    before = keeper.reader.digest()
    look(keeper, log)
    assert not log.lines
    shutil.copy(pairs / "next.crt", pairs / "now.crt")
    look(keeper, log)
    # Half of a renewal is no news, and a moment later no fault.
    shutil.copy(pairs / "next.key", pairs / "now.key")
    look(keeper, log)
    look(keeper, log)
    assert log.levels == ["info"]
    digest, contents = keeper.reader.read()
    assert digest == keeper.reader.digest() != before
    assert contents == {
        str(pairs / "now.crt"): (pairs / "next.crt").read_bytes(),
        str(pairs / "now.key"): (pairs / "next.key").read_bytes(),
    }


def test_what_is_broken_is_told_once_and_not_published(pairs: Path) -> None:
    keeper, log = kept(pairs), Log()
    before = keeper.reader.digest()
    shutil.copy(pairs / "next.crt", pairs / "now.crt")
    for _ in range(4):
        look(keeper, log)
    assert log.levels == ["error"]
    assert keeper.reader.digest() == before
    shutil.copy(pairs / "next.key", pairs / "now.key")
    look(keeper, log)
    assert log.levels == ["error", "info"]
    assert keeper.reader.digest() != before


def test_a_file_that_is_touched_is_no_news(pairs: Path) -> None:
    keeper, log = kept(pairs), Log()
    os.utime(pairs / "now.crt", (1, 1))
    look(keeper, log)
    assert not log.lines


def test_the_files_are_looked_at_once_a_second(
    pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    now = 1000.0
    monkeypatch.setattr(certificates, "monotonic", lambda: now)
    keeper, log = kept(pairs), Log()
    monkeypatch.setattr(tls_files, "signature", looks.append)
    for _ in range(100):
        keeper.look(log)
    assert len(looks) == 2
    now += 1.0
    keeper.look(log)
    assert len(looks) == 4


@pytest.mark.parametrize("kind", ["pipe", "folder", "endless"])
def test_what_is_no_file_is_not_waited_for(pairs: Path, kind: str) -> None:
    place = pairs / "now.crt"
    keeper, log = kept(pairs), Log()
    place.unlink()
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.write_bytes(b"")
        os.truncate(place, tls_files.LONGEST + 1)
    look(keeper, log)
    look(keeper, log)
    assert log.levels == ["error"]
    assert "cannot be read" in log.lines[0][1]


def test_a_hook_with_a_password_of_its_own_gets_whatever_there_is(pairs: Path) -> None:
    """Only the hook knows how to use these, so they are not judged."""
    (pairs / "now.key").write_text("what only the hook understands")
    names = {"certfile": str(pairs / "now.crt"), "keyfile": str(pairs / "now.key")}
    with pytest.raises(ConfigError):
        certificates.Certificates(config(**names))
    keeper = certificates.Certificates(config(**names, ssl_context=lambda config, default: None))
    log = Log()
    before = keeper.reader.digest()
    (pairs / "now.key").write_text("something else")
    look(keeper, log)
    assert keeper.reader.digest() != before


def test_contents_stand_in_while_they_are_asked_for_and_no_longer(pairs: Path) -> None:
    now = {path: (pairs / path).read_bytes() for path in ("next.crt", "next.key")}
    standins = {
        str(pairs / "now.crt"): now["next.crt"], str(pairs / "now.key"): now["next.key"],
    }  # fmt: skip
    before = ssl.SSLContext.load_cert_chain
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tls_files.Loading(lambda: standins) as loading:
        context.load_cert_chain(pairs / "now.crt", keyfile=str(pairs / "now.key"))
        context.load_verify_locations(cafile=str(pairs / "now.crt"))
        context.load_verify_locations(cadata=now["next.crt"].decode())
        with pytest.raises(ssl.SSLError):
            context.load_cert_chain(pairs / "now.crt", pairs / "next.crt")
        context.load_cert_chain(pairs / "next.crt", pairs / "next.key")
    assert ssl.SSLContext.load_cert_chain is before
    assert set(loading.files) == {str(pairs / "next.crt"), str(pairs / "next.key")}
    (authority,) = context.get_ca_certs(binary_form=True)
    assert authority == ssl.PEM_cert_to_DER_cert(now["next.crt"].decode())
