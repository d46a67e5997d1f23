"""What each kind of setting accepts, and how it says no."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from gunicorn.config import Config
from gunicorn.errors import ConfigError


@pytest.fixture
def cfg() -> Config:
    return Config(environ={})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("workers", "4", 4),
        ("workers", " 4 ", 4),
        ("workers", 0, 0),
        ("reload", "true", True),
        ("reload", "False", False),
        ("reload", 1, True),
        ("sendfile", None, True),
        ("sendfile", False, False),
        ("umask", "0o22", 0o22),
        ("umask", "022", 0o22),
        ("umask", 18, 18),
        ("umask", "0", 0),
        ("umask", "18", 18),
        ("user", os.geteuid(), os.geteuid()),
        ("user", "root", 0),
        ("user", None, os.geteuid()),
        ("group", "0", 0),
        ("bind", "a:1, b:2", ["a:1", "b:2"]),
        ("bind", ["[::1]:80", "unix:/x", "fd://3"], ["[::1]:80", "unix:/x", "fd://3"]),
        ("forwarded_allow_ips", "*", ["*"]),
        ("forwarded_allow_ips", "10.0.0.0/8,::1", ["10.0.0.0/8", "::1"]),
        ("forwarded_allow_ips", "", []),
        ("proxy_allow_ips", ["1.2.3.4"], ["1.2.3.4"]),
        ("forwarder_headers", "script_name,X_Y", ["SCRIPT_NAME", "X_Y"]),
        ("secure_scheme_headers", {"x-proto": "https"}, {"X-PROTO": "https"}),
        ("header_map", "REFUSE", "refuse"),
        ("proxy_protocol", True, "auto"),
        ("proxy_protocol", "true", "auto"),
        ("proxy_protocol", False, "off"),
        ("proxy_protocol", "V2", "v2"),
        ("limit_request_line", 0, 0),
        ("limit_request_fields", 0, 32768),
        ("limit_request_body", "10M", 10 * 1024 * 1024),
        ("request_buffer_size", 4096, 4096),
        ("request_buffer_size", "4096", 4096),
        ("request_buffer_size", "512K", 512 * 1024),
        ("request_buffer_size", "64kb", 64 * 1024),
        ("response_buffer_size", "1.5 MiB", 1536 * 1024),
        ("response_spool_size", "2g", 2 * 1024**3),
        ("header_timeout", 5, 5.0),
        ("header_timeout", "0.5", 0.5),
        ("cert_reqs", ssl.CERT_REQUIRED, 2),
        ("cert_reqs", "CERT_OPTIONAL", 1),
        ("cert_reqs", "2", 2),
        ("ssl_version", "TLS", int(ssl.PROTOCOL_TLS)),
        ("loglevel", "DEBUG", "debug"),
        ("syslog_addr", "unix:///dev/log#dgram", "unix:///dev/log#dgram"),
        ("syslog_addr", "tcp://log:601", "tcp://log:601"),
        ("syslog_facility", "LOCAL3", "local3"),
        ("accesslog", Path("/tmp/x"), "/tmp/x"),
        ("reload_extra_files", Path("/tmp/x"), ["/tmp/x"]),
        ("raw_env", "A=b=c", ["A=b=c"]),
        ("raw_env", {"A": "b"}, ["A=b"]),
        ("http_parser", "python", "python"),
        ("root_path", "/shop/", "/shop"),
        ("root_path", "/", ""),
        ("control_socket_disable", True, True),
    ],
)
def test_accepted(cfg: Config, name: str, value: Any, expected: Any) -> None:
    cfg.set(name, value)
    found = getattr(cfg, name)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("workers", "x", "a whole number, 0 or more"),
        ("workers", -1, "a whole number, 0 or more"),
        ("workers", 2.5, "a whole number"),
        ("workers", None, "a whole number"),
        ("threads", 0, "1 or more"),
        ("limit_request_fields", 32769, "0 to 32768"),
        ("limit_request_body", -1, "such as 65536, 512K or 1M, 0 or more"),
        ("limit_request_body", "1X", "such as 65536, 512K or 1M"),
        ("limit_request_body", "M", "such as 65536, 512K or 1M"),
        ("limit_request_body", 1.5, "such as 65536, 512K or 1M"),
        ("header_timeout", 0, "a number of seconds, 0.1 or more"),
        ("header_timeout", "nan", "a number of seconds"),
        ("header_timeout", "inf", "a number of seconds"),
        ("send_timeout", "soon", "a number of seconds"),
        ("send_timeout", None, "a number of seconds"),
        ("reload", "perhaps", "True or False"),
        ("reload", 2, "True or False"),
        ("umask", "0o9", "permission bits"),
        ("umask", "08", "permission bits"),
        ("umask", 0o10000, "permission bits"),
        ("user", "no such user", "no such user"),
        ("group", "no such group", "no such group"),
        ("user", -1, "an id from 0"),
        ("bind", 5, "a list of strings"),
        ("bind", [], "at least one"),
        ("bind", "::1", "brackets: [::1]:PORT"),
        ("bind", "8000", "':8000'"),
        ("bind", "a:99999", "a port from 0 to 65535"),
        ("forwarded_allow_ips", "proxy.local", "10.0.0.0/8"),
        ("forwarded_allow_ips", "10.0.0.1/8", "host bits"),
        ("header_map", "x", "drop, refuse, dangerous"),
        ("proxy_protocol", "v3", "off, v1, v2, auto"),
        ("cert_reqs", 7, "CERT_REQUIRED"),
        ("ssl_version", "TLSv1", "ssl_context"),
        ("loglevel", "loud", "debug, info"),
        ("loglevel", 10, "a string"),
        ("syslog_addr", "localhost:514", "udp://HOST:PORT"),
        ("syslog_addr", "udp://", "udp://HOST:PORT"),
        ("syslog_addr", "unix:///dev/log#raw", "#dgram"),
        ("syslog_facility", "radio", "local0"),
        ("chdir", "/no/such/folder", "a folder that exists"),
        ("tmp_upload_dir", "/no/such/folder", "a folder that exists"),
        ("worker_tmp_dir", "/no/such/folder", "a folder that exists"),
        ("raw_env", ["A"], "NAME=VALUE"),
        ("secure_scheme_headers", {"a": 1}, "a dictionary such as"),
        ("logconfig_dict", [], "a dictionary"),
        ("reload_engine", "magic", "auto, poll, inotify"),
        ("worker_class", 3, "a dotted path"),
        ("pidfile", "", "a path"),
        ("root_path", "shop", "begins with /"),
        ("http_parser", "quick", "auto, fast, python"),
    ],
)
def test_refused(cfg: Config, name: str, value: Any, allowed: str) -> None:
    before = cfg.settings[name].get()
    with pytest.raises(ConfigError) as caught:
        cfg.set(name, value, "conf.py:3")
    message = str(caught.value)
    assert message.startswith(f"{name} = {value!r} (conf.py:3): ")
    assert allowed in message
    assert len(message.splitlines()) == 1
    assert cfg.settings[name].get() == before


def test_compiled_parser_must_be_installed(cfg: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gunicorn.compiled._installed", lambda: False)
    with pytest.raises(ConfigError, match="not part of this installation"):
        cfg.set("http_parser", "fast")
    monkeypatch.setattr("gunicorn.compiled._installed", lambda: True)
    cfg.set("http_parser", "fast")
    assert cfg.http_parser == "fast"


def test_folder_is_made_absolute(
    cfg: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    cfg.set("chdir", "sub")
    assert cfg.chdir == str(tmp_path / "sub")


def test_default_folder_keeps_symbolic_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "release").mkdir()
    link = tmp_path / "current"
    link.symlink_to("release")
    monkeypatch.chdir(link)
    monkeypatch.setenv("PWD", str(link))
    assert Config(environ={}).chdir == str(link)
    monkeypatch.setenv("PWD", "/")
    assert Config(environ={}).chdir == str(tmp_path / "release")


def test_long_values_are_cut_in_messages(cfg: Config) -> None:
    with pytest.raises(ConfigError) as caught:
        cfg.set("workers", "x" * 5000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "name",
    [name for name, item in Config(environ={}).settings.items() if not item.declaration.supported],
)
def test_not_supported_yet(cfg: Config, name: str) -> None:
    setting = cfg.settings[name]
    cfg.set(name, setting.default)
    others: dict[type, Any] = {
        int: 5,
        str: "other",
        bool: True,
        list: ["10.0.0.1"],
        type(None): "host",
    }
    other = others.get(type(setting.default), lambda *_: None)
    with pytest.raises(ConfigError, match=f"setting '{name}' is not supported yet"):
        cfg.set(name, other)
    assert setting.get() == setting.default
