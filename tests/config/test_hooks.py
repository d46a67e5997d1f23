"""Hooks are checked for their parameters when they are set."""

from __future__ import annotations

import functools
import os

import pytest

from gunicorn.config import Config
from gunicorn.errors import ConfigError


@pytest.fixture
def cfg() -> Config:
    return Config(environ={})


def test_unset_hooks_do_nothing_and_can_be_told(cfg: Config) -> None:
    assert cfg.settings["pre_fork"].is_default
    assert cfg.pre_fork(None, None) is None
    cfg.set("pre_fork", lambda server, worker: 1)
    assert not cfg.settings["pre_fork"].is_default


def test_unset_ssl_context_calls_the_factory(cfg: Config) -> None:
    assert cfg.ssl_context(cfg, lambda: "context") == "context"


def one(a): ...
def two(a, b): ...
def three(a, b, c): ...
def optional(a, b=None): ...
def keyword(a, b, *, c): ...


class Object:
    def __call__(self, a, b): ...
    def method(self, a, b): ...


@pytest.mark.parametrize(
    "function",
    [
        two,
        optional,
        lambda *args: None,
        Object(),
        Object().method,
        functools.partial(three, 1),
        "os.path.join",
    ],
)
def test_accepted(cfg: Config, function) -> None:
    cfg.set("pre_fork", function)
    assert cfg.pre_fork is (os.path.join if function == "os.path.join" else function)


@pytest.mark.parametrize("function", [one, three, keyword])
def test_refusal_names_both_parameter_lists(cfg: Config, function) -> None:
    with pytest.raises(ConfigError) as caught:
        cfg.set("pre_fork", function, "c.py:9")
    message = str(caught.value)
    assert f"pre_fork = <{function.__name__}()> (c.py:9)" in message
    assert "2 parameters (server, worker)" in message
    assert f"{function.__name__} is a function of (a" in message


@pytest.mark.parametrize("value", [5, None, "nothing", "no.such.module.at_all", "os.no_such"])
def test_what_is_no_function(cfg: Config, value) -> None:
    with pytest.raises(ConfigError, match="expected a function"):
        cfg.set("pre_fork", value)


def test_post_request_may_take_fewer(cfg: Config) -> None:
    seen = []
    cfg.set("post_request", lambda worker, req: seen.append((worker, req)))
    cfg.post_request(1, 2, 3, 4)
    cfg.set("post_request", lambda worker, req, environ: seen.append((worker, req, environ)))
    cfg.post_request(1, 2, 3, 4)
    cfg.set("post_request", lambda *args: seen.append(args))
    cfg.post_request(1, 2, 3, 4)
    assert seen == [(1, 2), (1, 2, 3), (1, 2, 3, 4)]
    with pytest.raises(ConfigError, match="4 parameters"):
        cfg.set("post_request", one)
