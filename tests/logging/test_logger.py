"""Logger: where lines go, what a subclass may change, and what cannot stop a worker."""

from __future__ import annotations

import io
import json
import logging
import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gunicorn.errors import ConfigError
from gunicorn.glogging import Logger
from gunicorn.logs.handlers import LineHandler
from tests.logging.conftest import Listener, Served

MakeLogger = Callable[..., Logger]


def write(logger: Logger, served: Served) -> None:
    writer = logger.access_writer()
    assert writer is not None
    writer(served.resp, served.req, served.environ, served.seconds)


# -- the error log


def test_the_form_of_a_line(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(errorlog=str(tmp_path / "e.log"))
    logger.info("Listening at: %s", "http://x")
    text = (tmp_path / "e.log").read_text()
    stamp = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\]"
    assert re.fullmatch(rf"{stamp} \[{os.getpid()}\] \[INFO\] Listening at: http://x\n", text)


def test_each_method_has_its_level(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(errorlog=str(tmp_path / "e.log"), loglevel="debug")
    for name in ("critical", "error", "warning", "info", "debug"):
        getattr(logger, name)("one %s", name)
    logger.log(logging.WARNING, "by number")
    logger.log("error", "by name")
    try:
        int("boom")
    except ValueError:
        logger.exception("failed")
    text = (tmp_path / "e.log").read_text()
    for name in ("critical", "error", "warning", "info", "debug"):
        assert f"[{name.upper()}] one {name}\n" in text
    assert "[WARNING] by number\n" in text
    assert "[ERROR] by name\n" in text
    assert "[ERROR] failed\nTraceback" in text
    assert text.endswith("literal for int() with base 10: 'boom'\n")


def test_the_level_is_kept(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(errorlog=str(tmp_path / "e.log"), loglevel="warning")
    logger.info("quiet")
    logger.warning("loud")
    assert logger.loglevel == logging.WARNING
    assert "quiet" not in (tmp_path / "e.log").read_text()
    assert "loud" in (tmp_path / "e.log").read_text()


def test_a_record_names_the_caller(make_logger: MakeLogger) -> None:
    logger = make_logger()
    handler = Listener()
    logger.error_log.addHandler(handler)
    logger.warning("where?")
    assert handler.records[0].filename == "test_logger.py"


def test_dash_is_stderr_for_errors_and_stdout_for_requests(
    make_logger: MakeLogger, served: Served, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = make_logger(accesslog="-", access_log_format="%(m)s %(U)s")
    logger.info("to stderr")
    write(logger, served)
    out, err = capfd.readouterr()
    assert out == "GET /some path\n"
    assert "to stderr" in err
    assert logger.logfile is None


def test_a_standard_stream_that_is_no_file(
    make_logger: MakeLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced = io.StringIO()
    monkeypatch.setattr("sys.stderr", replaced)
    make_logger().info("into memory")
    assert replaced.getvalue().endswith("into memory\n")


def test_closed_standard_streams(
    make_logger: MakeLogger, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", None)
    monkeypatch.setattr("sys.stdout", None)
    logger = make_logger(accesslog="-")
    logger.info("nowhere to go")
    write(logger, served)
    assert [
        handler.path for handler in logger.error_log.handlers if isinstance(handler, LineHandler)
    ] == [os.devnull]


def test_no_error_log_at_all(make_logger: MakeLogger, capfd: pytest.CaptureFixture[str]) -> None:
    make_logger(errorlog=None).info("unheard")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("setting", ["errorlog", "accesslog"])
def test_a_file_that_cannot_be_opened(
    setting: str, make_logger: MakeLogger, tmp_path: Path
) -> None:
    path = str(tmp_path / "missing" / "x.log")
    with pytest.raises(ConfigError) as raised:
        make_logger(**{setting: path})
    assert f"{setting}: cannot open the log file {path!r}: No such file" in str(raised.value)


def test_setting_up_again_replaces_the_handlers(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(errorlog=str(tmp_path / "one.log"))
    logger.cfg.set("errorlog", str(tmp_path / "two.log"))
    logger.setup(logger.cfg)
    logger.info("once")
    assert (tmp_path / "one.log").read_text() == ""
    assert (tmp_path / "two.log").read_text().count("once") == 1
    assert len(logger.error_log.handlers) == 1


def test_a_logger_class_that_replaces_another_takes_its_handlers_over(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    make_logger(errorlog=str(tmp_path / "one.log"))
    logger = make_logger(OwnFormat, errorlog=str(tmp_path / "two.log"))
    logger.info("once")
    assert (tmp_path / "one.log").read_text() == ""
    assert (tmp_path / "two.log").read_text() == "E once\n"


def test_a_handler_of_the_configuration_file_stays_beside_ours(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    theirs = Listener()
    logging.getLogger("gunicorn.error").addHandler(theirs)
    make_logger(errorlog=str(tmp_path / "e.log")).info("to both")
    assert [record.getMessage() for record in theirs.records] == ["to both"]
    assert (tmp_path / "e.log").read_text().endswith("to both\n")


def test_setting_up_again_after_a_failure(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(errorlog=str(tmp_path / "e.log"))
    logger.cfg.set("accesslog", str(tmp_path / "missing" / "a.log"))
    with pytest.raises(ConfigError):
        logger.setup(logger.cfg)
    logger.cfg.set("accesslog", None)
    logger.setup(logger.cfg)
    logger.info("once")
    assert (tmp_path / "e.log").read_text().count("once") == 1


def test_a_logging_configuration_that_is_taken_away_takes_its_handlers_along(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    handler = {"class": "logging.FileHandler", "filename": str(tmp_path / "x.log")}
    logger = make_logger(
        errorlog=str(tmp_path / "e.log"),
        logconfig_dict={
            "handlers": {"file": handler},
            "loggers": {"gunicorn.error": {"handlers": ["file"]}},
        },
    )
    logger.cfg.set("logconfig_dict", {})
    logger.setup(logger.cfg)
    logger.info("hello")
    assert (tmp_path / "x.log").read_text() == ""
    assert (tmp_path / "e.log").read_text().endswith("hello\n")


# -- the access log


def test_off_by_default(make_logger: MakeLogger) -> None:
    logger = make_logger()
    assert not logger.access_log_enabled
    assert logger.access_writer() is None


def test_both_roads_write_the_same(make_logger: MakeLogger, served: Served, tmp_path: Path) -> None:
    logger = make_logger(accesslog=str(tmp_path / "a.log"), access_log_format="%(h)s %(r)s %(L)s")
    assert logger.access_log_enabled
    write(logger, served)
    logger.access(served.resp, served.req, served.environ, timedelta(seconds=served.seconds))
    first, second = (tmp_path / "a.log").read_text().splitlines()
    assert first == second == "192.0.2.7 GET /some%20path?x=1 HTTP/1.1 1.234567"


def test_json_by_both_roads(make_logger: MakeLogger, served: Served, tmp_path: Path) -> None:
    logger = make_logger(accesslog=str(tmp_path / "a.log"), access_log_format="json")
    write(logger, served)
    logger.access(served.resp, served.req, served.environ, timedelta(seconds=served.seconds))
    first, second = map(json.loads, (tmp_path / "a.log").read_text().splitlines())
    assert first["target"] == second["target"] == "/some%20path?x=1"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}", first["time"])


def test_a_bad_format_stops_the_start(make_logger: MakeLogger) -> None:
    with pytest.raises(ConfigError, match="access_log_format"):
        make_logger(accesslog="-", access_log_format="%(h")


class OwnAtoms(Logger):
    def atoms(
        self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta
    ) -> dict[str, Any]:
        values = super().atoms(resp, req, environ, request_time)
        values["color"] = 'blue"'
        return values


class OwnAccess(Logger):
    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        self.info("seen %s %.6f", resp.status, request_time.total_seconds())


class OwnClock(Logger):
    def now(self) -> str:
        return "NOW"


class OwnFormat(Logger):
    access_fmt = "A %(message)s"
    error_fmt = "E %(message)s"


def test_a_subclass_with_its_own_atoms(
    make_logger: MakeLogger, served: Served, tmp_path: Path
) -> None:
    logger = make_logger(
        OwnAtoms, accesslog=str(tmp_path / "a.log"), access_log_format="%(color)s %(s)s"
    )
    write(logger, served)
    assert (tmp_path / "a.log").read_text() == 'blue\\" 200\n'


def test_a_subclass_with_its_own_access_is_asked_even_without_an_access_log(
    make_logger: MakeLogger, served: Served, tmp_path: Path
) -> None:
    logger = make_logger(OwnAccess, errorlog=str(tmp_path / "e.log"))
    write(logger, served)
    assert (tmp_path / "e.log").read_text().endswith("seen 200 OK 1.234567\n")


def test_a_subclass_with_its_own_clock(
    make_logger: MakeLogger, served: Served, tmp_path: Path
) -> None:
    logger = make_logger(OwnClock, accesslog=str(tmp_path / "a.log"), access_log_format="%(t)s")
    write(logger, served)
    assert (tmp_path / "a.log").read_text() == "NOW\n"


def test_a_subclass_with_its_own_forms(
    make_logger: MakeLogger, served: Served, tmp_path: Path
) -> None:
    logger = make_logger(
        OwnFormat,
        accesslog=str(tmp_path / "a.log"),
        errorlog=str(tmp_path / "e.log"),
        access_log_format="%(s)s",
    )
    write(logger, served)
    logger.info("hello")
    assert (tmp_path / "a.log").read_text() == "A 200\n"
    assert (tmp_path / "e.log").read_text() == "E hello\n"


def test_a_handler_that_the_application_adds_gets_the_records(
    make_logger: MakeLogger, served: Served, tmp_path: Path
) -> None:
    logger = make_logger(accesslog=str(tmp_path / "a.log"), access_log_format="%(h)s %(s)s")
    handler = Listener()
    logger.access_log.addHandler(handler)
    write(logger, served)
    assert handler.records[0].getMessage() == "192.0.2.7 200"
    assert isinstance(handler.records[0].args, dict)
    assert handler.records[0].args["{host}i"] == "example.org"
    assert (tmp_path / "a.log").read_text() == "192.0.2.7 200\n"


def test_a_filter_of_the_application_is_heeded(
    make_logger: MakeLogger, served: Served, tmp_path: Path
) -> None:
    logger = make_logger(accesslog=str(tmp_path / "a.log"), access_log_format="%(U)s")

    def unwanted(record: logging.LogRecord) -> bool:
        return "/some path" not in record.getMessage()

    logger.access_log.addFilter(unwanted)
    try:
        write(logger, served)
        assert (tmp_path / "a.log").read_text() == ""
    finally:
        logger.access_log.removeFilter(unwanted)


def test_atoms_that_fail_are_reported_and_harm_nobody(
    make_logger: MakeLogger, served: Served, tmp_path: Path
) -> None:
    class Broken(Logger):
        def atoms(self, *args: Any) -> dict[str, Any]:
            raise LookupError("no such thing")

    logger = make_logger(Broken, accesslog="-", errorlog=str(tmp_path / "e.log"))
    write(logger, served)
    text = (tmp_path / "e.log").read_text()
    assert "could not be made for the access log" in text
    assert "LookupError: no such thing" in text


def test_an_environ_that_the_application_spoiled_harms_nobody(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    served = Served({"HTTP_AUTHORIZATION": 5, "HTTP_REFERER": 6, "HTTP_USER_AGENT": '"'})
    errors, requests = tmp_path / "e.log", tmp_path / "a.log"
    logger = make_logger(
        errorlog=str(errors), accesslog=str(requests), access_log_format="%(f)s %(a)s"
    )
    write(logger, served)
    assert requests.read_text() == '6 \\"\n'
    logger.cfg.set("access_log_format", "%(u)s")
    logger.setup(logger.cfg)
    write(logger, served)
    assert "could not be made for the access log" in errors.read_text()
