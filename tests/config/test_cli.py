"""The command line."""

from __future__ import annotations

import pytest

from gunicorn.config import Config
from gunicorn.config.settings import SECTIONS

VERSIONS = [f"gunicorn (version 27.1.0, {parser} HTTP parser)\n" for parser in ("fast", "python")]


@pytest.fixture
def parser():
    return Config(usage="%(prog)s [OPTIONS] [APP_MODULE]", environ={}).parser()


def test_values_and_their_flags(parser) -> None:
    options = parser.parse_args(
        ["-w", "3", "-b", ":1", "--bind=:2", "--reload", "--no-sendfile", "--log-file", "x", "a:b"]
    )
    assert options.args == ["a:b"]
    assert (options.workers, options.bind, options.errorlog) == ("3", [":1", ":2"], "x")
    assert options.reload is True
    assert options.sendfile is False
    assert options.timeout is None
    assert options.flags == {
        "workers": "-w",
        "bind": "--bind",
        "reload": "--reload",
        "sendfile": "--no-sendfile",
        "errorlog": "--log-file",
    }


def test_parses_leave_nothing_behind(parser) -> None:
    parser.parse_args(["-w", "3"])
    assert parser.parse_args([]).flags == {}


@pytest.mark.parametrize(
    ("words", "mode", "args"),
    [
        (["--proxy-protocol", "app:app"], "auto", ["app:app"]),
        (["app:app", "--proxy-protocol"], "auto", ["app:app"]),
        (["--proxy-protocol", "-w", "1"], "auto", []),
        (["--proxy-protocol", "v2", "app:app"], "v2", ["app:app"]),
        (["--proxy-protocol=v1", "app:app"], "v1", ["app:app"]),
    ],
)
def test_proxy_protocol_may_stand_alone(parser, words, mode, args) -> None:
    options = parser.parse_args(words)
    assert (options.proxy_protocol, options.args) == (mode, args)


def test_misspelt_flag(parser, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--bnd=:1", "app:app"])
    assert caught.value.code == 2
    assert "unrecognized arguments: --bnd=:1 (did you mean --bind?)" in capsys.readouterr().err


def test_help_has_every_section_and_flag(parser) -> None:
    text = parser.format_help()
    for section in SECTIONS:
        flags = [flag for item in section.settings for flag in item.cli]
        assert (f"\n{section.title}:\n" in text) == bool(flags)
        for flag in flags:
            assert flag in text
    assert "%(h)s" in text


def test_version(parser, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["-v"])
    assert caught.value.code == 0
    assert capsys.readouterr().out in VERSIONS
