"""logconfig, logconfig_json and logconfig_dict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gunicorn.errors import ConfigError
from gunicorn.glogging import Logger
from tests.logging.conftest import Served

MakeLogger = Callable[..., Logger]


def configuration(path: Path) -> dict[str, Any]:
    return {
        "version": 1,
        "formatters": {"short": {"format": "%(name)s: %(message)s"}},
        "handlers": {
            "file": {"class": "logging.FileHandler", "filename": str(path), "formatter": "short"}
        },
        "loggers": {
            "gunicorn.error": {"handlers": ["file"]},
            "gunicorn.access": {"handlers": ["file"]},
        },
    }


def ini(path: Path) -> str:
    return f"""\
[loggers]
keys=root, gunicorn.error
[handlers]
keys=file
[formatters]
keys=short
[logger_root]
level=INFO
handlers=
[logger_gunicorn.error]
level=INFO
handlers=file
propagate=0
qualname=gunicorn.error
[handler_file]
class=FileHandler
formatter=short
args=({str(path)!r},)
[formatter_short]
format=%(name)s: %(message)s
"""


def test_a_dictionary(make_logger: MakeLogger, served: Served, tmp_path: Path) -> None:
    logger = make_logger(
        logconfig_dict=configuration(tmp_path / "x.log"), access_log_format="%(s)s"
    )
    logger.info("hello")
    writer = logger.access_writer()
    assert writer is not None
    writer(served.resp, served.req, served.environ, served.seconds)
    assert (tmp_path / "x.log").read_text() == "gunicorn.error: hello\ngunicorn.access: 200\n"


def test_the_version_may_be_left_out(make_logger: MakeLogger, tmp_path: Path) -> None:
    wanted = configuration(tmp_path / "x.log")
    del wanted["version"]
    make_logger(logconfig_dict=wanted).info("hello")
    assert (tmp_path / "x.log").read_text() == "gunicorn.error: hello\n"


def test_loggers_left_out_keep_their_files(
    make_logger: MakeLogger, served: Served, tmp_path: Path
) -> None:
    wanted = configuration(tmp_path / "x.log")
    del wanted["loggers"]["gunicorn.access"]
    logger = make_logger(
        logconfig_dict=wanted, accesslog=str(tmp_path / "a.log"), access_log_format="%(s)s"
    )
    writer = logger.access_writer()
    assert writer is not None
    writer(served.resp, served.req, served.environ, served.seconds)
    logger.info("hello")
    assert (tmp_path / "a.log").read_text() == "200\n"
    assert (tmp_path / "x.log").read_text() == "gunicorn.error: hello\n"


def test_json(make_logger: MakeLogger, tmp_path: Path) -> None:
    source = tmp_path / "logging.json"
    source.write_text(json.dumps(configuration(tmp_path / "x.log")))
    make_logger(logconfig_json=str(source)).info("hello")
    assert (tmp_path / "x.log").read_text() == "gunicorn.error: hello\n"


def test_an_ini_file(make_logger: MakeLogger, tmp_path: Path) -> None:
    source = tmp_path / "logging.ini"
    source.write_text(ini(tmp_path / "x.log"))
    make_logger(logconfig=str(source)).info("hello")
    assert (tmp_path / "x.log").read_text() == "gunicorn.error: hello\n"


def test_a_dictionary_goes_before_json(make_logger: MakeLogger, tmp_path: Path) -> None:
    source = tmp_path / "logging.json"
    source.write_text(json.dumps(configuration(tmp_path / "json.log")))
    make_logger(
        logconfig_json=str(source), logconfig_dict=configuration(tmp_path / "dict.log")
    ).info("hello")
    assert (tmp_path / "dict.log").exists()
    assert not (tmp_path / "json.log").exists()


def test_reopening_a_configured_file(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(logconfig_dict=configuration(tmp_path / "x.log"))
    (tmp_path / "x.log").rename(tmp_path / "x.log.1")
    logger.reopen_files()
    logger.info("after")
    assert (tmp_path / "x.log").read_text() == "gunicorn.error: after\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "cannot read"), ("{", "is not JSON"), ("[]", "a dictionary is needed")],
)
def test_bad_json(text: str | None, message: str, make_logger: MakeLogger, tmp_path: Path) -> None:
    source = tmp_path / "logging.json"
    if text is not None:
        source.write_text(text)
    with pytest.raises(ConfigError, match=f"logconfig_json.*{message}"):
        make_logger(logconfig_json=str(source))


@pytest.mark.parametrize("text", [None, "no section", "[loggers]\nkeys=root\n"])
def test_a_bad_ini_file(text: str | None, make_logger: MakeLogger, tmp_path: Path) -> None:
    source = tmp_path / "logging.ini"
    if text is not None:
        source.write_text(text)
    with pytest.raises(ConfigError, match=r"logconfig: .*logging\.ini"):
        make_logger(logconfig=str(source))


def test_a_bad_dictionary_names_the_cause(make_logger: MakeLogger, tmp_path: Path) -> None:
    wanted = configuration(tmp_path / "missing" / "x.log")
    with pytest.raises(ConfigError, match=r"logconfig_dict: .*file.*No such file"):
        make_logger(logconfig_dict=wanted)
