"""The small parts of the interface: the file wrapper, the environ, the stream of errors."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from gunicorn.wsgi.environ import (
    EMPTY_INPUT,
    connection_variables,
    name_server_by_host,
    process_variables,
)
from gunicorn.wsgi.errors_stream import ErrorsStream
from gunicorn.wsgi.file_wrapper import FileWrapper

# The file wrapper


def test_a_file_in_blocks() -> None:
    assert list(FileWrapper(io.BytesIO(b"abcdefg"), 3)) == [b"abc", b"def", b"g"]
    wrapper = FileWrapper(io.BytesIO(b"abc"), 2)
    assert [wrapper[0], wrapper[1]] == [b"ab", b"c"]
    with pytest.raises(IndexError):
        wrapper[2]


def test_close_is_that_of_the_file() -> None:
    file = io.BytesIO(b"")
    FileWrapper(file).close()
    assert file.closed

    class Bare:
        def read(self, size: int) -> bytes:
            return b""

    assert not hasattr(FileWrapper(Bare()), "close")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    return path


@pytest.mark.parametrize("buffering", [-1, 0])
def test_the_range_of_a_file_begins_where_it_stands(path: Path, buffering: int) -> None:
    with path.open("rb", buffering=buffering) as file:
        file.read(3)
        assert FileWrapper(file).file_range() == (file.fileno(), 3, 7)
        file.seek(20)
        wrapper = FileWrapper(file)
        assert wrapper.file_range() is None, "nothing is left of the size: reading tells"
        assert list(wrapper) == []


def test_the_range_of_a_temporary_file() -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"abc")
        file.seek(1)
        assert FileWrapper(file).file_range() == (file.fileno(), 1, 2)
    with tempfile.TemporaryFile() as other:
        other.write(b"abc")
        other.seek(0)
        assert FileWrapper(other).file_range() == (other.fileno(), 0, 3)


def test_files_whose_size_cannot_be_believed_have_no_range(tmp_path: Path) -> None:
    for name in ("/proc/version", "/sys/devices/system/cpu/online"):
        with Path(name).open("rb") as file:
            wrapper = FileWrapper(file)
            assert wrapper.file_range() is None
            assert b"".join(wrapper) == Path(name).read_bytes()
    hollow = tmp_path / "hollow"
    with hollow.open("wb") as file:
        file.truncate(1 << 20)
    with hollow.open("rb") as file:
        assert hollow.stat().st_blocks == 0
        assert FileWrapper(file).file_range() == (file.fileno(), 0, 1 << 20)


def test_what_is_not_what_its_descriptor_holds_has_no_range(tmp_path: Path) -> None:
    """The kernel would send the compressed bytes, or characters that are not encoded."""
    for module in (gzip, bz2):
        path = tmp_path / module.__name__
        with module.open(path, "wb") as packed:
            packed.write(b"abc")
        with module.open(path, "rb") as packed:
            assert FileWrapper(packed).file_range() is None
            assert b"".join(FileWrapper(packed)) == b"abc"
        with module.open(path, "rb") as packed, io.BufferedReader(packed) as buffered:
            assert FileWrapper(buffered).file_range() is None
    with path.open("r", encoding="latin-1") as text:
        assert FileWrapper(text).file_range() is None


def test_what_has_no_descriptor_or_position_has_no_range(path: Path) -> None:
    assert FileWrapper(io.BytesIO(b"abc")).file_range() is None
    read, write = os.pipe()
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert FileWrapper(pipe).file_range() is None
    file = path.open("rb")
    file.close()
    assert FileWrapper(file).file_range() is None
    with tempfile.SpooledTemporaryFile() as spooled:
        assert FileWrapper(spooled).file_range() is None


# The environ


def variables(server: Any = ("10.0.0.9", 8000), peer: Any = ("10.0.0.1", 4000), **kind: Any) -> Any:
    process = process_variables(
        software="gunicorn/x", errors="errors", multithread=False, multiprocess=True
    )
    return connection_variables(process, server=server, peer=peer, socket="s", **kind)


def test_what_every_request_has() -> None:
    found = variables(secure=False)
    assert found == {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": EMPTY_INPUT,
        "wsgi.input_terminated": True,
        "wsgi.errors": "errors",
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "SERVER_SOFTWARE": "gunicorn/x",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "10.0.0.9",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "10.0.0.1",
        "REMOTE_PORT": "4000",
        "gunicorn.socket": "s",
    }
    assert variables(secure=True)["wsgi.url_scheme"] == "https"


def test_unix_sockets_have_no_names() -> None:
    found = variables(server="/run/s", peer="", secure=False)
    assert (found["SERVER_NAME"], found["SERVER_PORT"], found["REMOTE_ADDR"]) == ("", "", "")
    assert "REMOTE_PORT" not in found


@pytest.mark.parametrize(
    ("host", "scheme", "name", "port"),
    [
        ("a", "http", "a", "80"),
        ("a", "https", "a", "443"),
        ("a:81", "https", "a", "81"),
        ("a:", "http", "a", "80"),
        ("[::1]", "http", "[::1]", "80"),
        ("[::1]:82", "http", "[::1]", "82"),
        ("", "http", "localhost", "80"),
        (None, "http", "localhost", "80"),
    ],
)
def test_a_server_without_name_takes_that_of_host(
    host: str | None, scheme: str, name: str, port: str
) -> None:
    found = {"wsgi.url_scheme": scheme} | ({} if host is None else {"HTTP_HOST": host})
    name_server_by_host(found)
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == (name, port)


# The stream of errors


def test_errors_go_where_the_log_goes_at_that_moment() -> None:
    first, second = io.StringIO(), io.StringIO()
    streams = [first]
    errors = ErrorsStream(lambda: streams)
    assert errors.write("a") == 1
    streams[:] = [first, second]
    errors.writelines(["b", "c"])
    errors.flush()
    assert (first.getvalue(), second.getvalue()) == ("abc", "bc")


def test_errors_go_to_stderr_when_there_is_no_log(capsys: pytest.CaptureFixture[str]) -> None:
    ErrorsStream(list).write("oops\n")
    assert capsys.readouterr().err == "oops\n"
