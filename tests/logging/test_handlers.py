"""LineHandler: whole lines, lost lines, reopening, ownership."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gunicorn.glogging import Logger
from gunicorn.logs.handlers import LineHandler
from tests.logging.conftest import Listener, Served

MakeLogger = Callable[..., Logger]


def record(message: str) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelname": "INFO"})


def test_a_full_disk_loses_lines_and_says_so_afterwards(tmp_path: Path) -> None:
    said: list[str] = []
    handler = LineHandler(str(tmp_path / "x.log"), report=said.append)
    full = os.open("/dev/full", os.O_WRONLY)
    disk = os.dup(handler.fd)
    os.dup2(full, handler.fd)
    handler.emit(record("one"))
    handler.emit(record("two"))
    assert handler.lost == 2
    assert said == []
    os.dup2(disk, handler.fd)
    handler.emit(record("three"))
    handler.close()
    os.close(full)
    os.close(disk)
    assert (tmp_path / "x.log").read_text() == "three\n"
    assert len(said) == 1
    assert "2 lines of the log" in said[0] and "No space left" in said[0]


def test_an_error_log_tells_of_its_own_losses(tmp_path: Path) -> None:
    handler = LineHandler(str(tmp_path / "x.log"))
    handler.lost, handler.reason = 3, "No space left on device"
    handler.emit(record("again"))
    handler.close()
    first, second = (tmp_path / "x.log").read_text().splitlines()
    assert first == "again"
    assert "3 lines of the log" in second


def test_a_broken_pipe_is_survived() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:
        handler = LineHandler(target=stream)
        handler.emit(record("nobody listens"))
        assert handler.lost == 1
        assert "Broken pipe" in handler.reason


def test_a_full_pipe_that_does_not_block_is_waited_for_only_briefly() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with open(reader, "rb"), open(writer, "w") as stream:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        handler = LineHandler(target=stream)
        for _ in range(50):
            if handler.lost:
                break
            handler.emit(record("x" * 500))
        assert handler.lost == 1
        os.read(reader, 65536)
        handler.emit(record("there is room"))
        assert handler.lost == 0


def test_an_application_error_in_a_message_is_printed_not_raised(
    make_logger: MakeLogger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = make_logger(errorlog=str(tmp_path / "e.log"))
    logger.info("%d items", "many")
    assert "--- Logging error ---" in capsys.readouterr().err


def test_unwritable_text_is_written_escaped(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(errorlog=str(tmp_path / "e.log"))
    logger.info("lone \udc80 surrogate and é")
    assert "lone \\udc80 surrogate and é\n" in (tmp_path / "e.log").read_text("utf-8")


# -- reopening


def test_reopening_writes_to_a_new_file(
    make_logger: MakeLogger, served: Served, tmp_path: Path
) -> None:
    errors, requests = tmp_path / "e.log", tmp_path / "a.log"
    logger = make_logger(errorlog=str(errors), accesslog=str(requests), access_log_format="%(s)s")
    writer = logger.access_writer()
    assert writer is not None
    logger.info("before")
    errors.rename(tmp_path / "e.log.1")
    requests.rename(tmp_path / "a.log.1")
    logger.info("into the moved file")
    logger.reopen_files()
    logger.info("after")
    writer(served.resp, served.req, served.environ, served.seconds)
    assert "into the moved file" in (tmp_path / "e.log.1").read_text()
    assert "after" in errors.read_text() and "before" not in errors.read_text()
    assert requests.read_text() == "200\n"
    assert (tmp_path / "a.log.1").read_text() == ""


def test_reopening_reaches_handlers_of_the_application(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    theirs = logging.getLogger("tests.an_application")
    handler = logging.FileHandler(tmp_path / "app.log")
    theirs.addHandler(handler)
    try:
        logger = make_logger()
        theirs.warning("before")
        (tmp_path / "app.log").rename(tmp_path / "app.log.1")
        logger.reopen_files()
        theirs.warning("after")
        assert (tmp_path / "app.log").read_text() == "after\n"
    finally:
        theirs.removeHandler(handler)
        handler.close()


def test_a_file_that_cannot_be_reopened_stays_in_use(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    logger = make_logger(errorlog=str(place / "e.log"))
    place.rename(tmp_path / "moved")
    logger.reopen_files()
    logger.info("still here")
    text = (tmp_path / "moved" / "e.log").read_text()
    assert "could not be reopened" in text
    assert "still here" in text


def test_what_is_no_file_is_left_alone(make_logger: MakeLogger) -> None:
    """Opening a pipe again would wait for its reader."""
    logger = make_logger(errorlog="/dev/null")
    (handler,) = logger.error_log.handlers
    assert isinstance(handler, LineHandler)
    handler.path = "/dev/null/gone"
    listener = Listener()
    logger.error_log.addHandler(listener)
    logger.reopen_files()
    assert listener.records == []


def test_the_stream_of_a_handler_never_fails(tmp_path: Path) -> None:
    handler = LineHandler(str(tmp_path / "x.log"))
    print("for wsgi.errors", file=handler.stream, flush=True)
    assert handler.stream.fileno() == handler.fd
    handler.let_go()
    handler.stream.write("too late\n")
    assert handler.lost == 1
    assert (tmp_path / "x.log").read_text() == "for wsgi.errors\n"
    with pytest.raises(OSError, match="fileno"):
        handler.stream.fileno()


def test_log_files_are_not_inherited(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(errorlog=str(tmp_path / "e.log"))
    (handler,) = logger.error_log.handlers
    assert isinstance(handler, LineHandler)
    assert not os.get_inheritable(handler.fd)
    os.set_inheritable(handler.fd, True)
    logger.enter_worker()
    assert not os.get_inheritable(handler.fd)
    logger.reopen_files()
    assert not os.get_inheritable(handler.fd)
