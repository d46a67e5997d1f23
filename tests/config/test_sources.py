"""Environment variables and the precedence of sources."""

from __future__ import annotations

import pytest

from gunicorn.config import Config, sources
from gunicorn.errors import ConfigError


def test_variables_change_defaults() -> None:
    cfg = Config(
        environ={
            "WEB_CONCURRENCY": "5",
            "PORT": "9000",
            "FORWARDED_ALLOW_IPS": "10.0.0.0/8,*",
            "SENDFILE": "no",
        }
    )
    assert cfg.workers == 5
    assert cfg.settings["workers"].default == 5
    assert cfg.bind == ["0.0.0.0:9000"]
    assert cfg.forwarded_allow_ips == ["10.0.0.0/8", "*"]
    assert cfg.sendfile is False
    assert Config(environ={"SENDFILE": "1"}).sendfile is True


def test_empty_variables_count_for_nothing() -> None:
    assert Config(environ={"WEB_CONCURRENCY": "", "PORT": " "}).workers == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [("WEB_CONCURRENCY", "abc"), ("PORT", "http"), ("FORWARDED_ALLOW_IPS", "proxy")],
)
def test_wrong_variable_is_named(variable: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(environ={variable: value})
    assert f"environment variable {variable}" in str(caught.value)
    assert value in str(caught.value)


def test_arguments_in_the_environment() -> None:
    parser = Config(environ={}).parser()
    options = sources.variable_arguments(
        parser, {"GUNICORN_CMD_ARGS": "-w 3 --env 'A=b c' app:app"}
    )
    (workers, env) = sources.flag_assignments(options, "GUNICORN_CMD_ARGS")
    assert (workers.name, workers.value, workers.source) == ("workers", "3", "GUNICORN_CMD_ARGS -w")
    assert env.value == ["A=b c"]
    assert options.args == ["app:app"]


def test_wrong_arguments_in_the_environment(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Config(environ={}).parser()
    with pytest.raises(SystemExit) as caught:
        sources.variable_arguments(parser, {"GUNICORN_CMD_ARGS": "--bnd x"})
    assert caught.value.code == 2
    assert "in GUNICORN_CMD_ARGS: unrecognized arguments: --bnd (did" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="GUNICORN_CMD_ARGS cannot be read as arguments"):
        sources.variable_arguments(parser, {"GUNICORN_CMD_ARGS": "--name 'x"})
    with pytest.raises(SystemExit):
        parser.parse_args(["--bnd", "x"])
    assert "GUNICORN_CMD_ARGS" not in capsys.readouterr().err


def test_framework_settings_leave_out_none() -> None:
    cfg = Config(environ={})
    sources.apply(cfg, sources.framework_assignments({"workers": "2", "bind": None}))
    assert cfg.workers == 2
    assert cfg.settings["workers"].source == "framework settings"
    assert cfg.settings["bind"].is_default
