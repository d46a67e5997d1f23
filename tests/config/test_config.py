"""Config: attributes, what follows from settings, and classes by name."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from gunicorn.config import Config, Setting, UnknownSettingError
from gunicorn.errors import ConfigError


@pytest.fixture
def cfg() -> Config:
    return Config(environ={})


def test_attributes(cfg: Config) -> None:
    cfg.workers = "3"
    assert cfg.workers == 3
    assert cfg.settings["workers"].get() == 3
    assert isinstance(cfg.settings["workers"], Setting)
    assert cfg.settings["workers"].section == "Worker Processes"
    assert cfg.settings["workers"].cli == ("-w", "--workers")
    assert cfg.settings["workers"].source == "set by the application"
    with pytest.raises(ConfigError):
        cfg.workers = "many"


def test_unknown_names(cfg: Config) -> None:
    with pytest.raises(UnknownSettingError, match="did you mean 'workers'"):
        cfg.set("worker", 3)
    with pytest.raises(AttributeError):
        cfg.set("nothing_like_it", 3)
    with pytest.raises(UnknownSettingError, match="did you mean 'workers'"):
        cfg.worker = 3
    assert not hasattr(cfg, "nothing_like_it")
    cfg.nothing_like_it = 3
    assert cfg.nothing_like_it == 3


def test_defaults_are_not_shared(cfg: Config) -> None:
    cfg.secure_scheme_headers["X"] = "y"
    cfg.raw_env.append("A=b")
    fresh = Config(environ={})
    assert "X" not in fresh.secure_scheme_headers
    assert fresh.raw_env == []


def test_copies(cfg: Config) -> None:
    cfg.workers = 3
    assert copy.copy(cfg).workers == 3
    twin = copy.deepcopy(cfg)
    twin.workers = 4
    assert cfg.workers == 3


def test_what_follows(cfg: Config) -> None:
    cfg.set("bind", "127.0.0.1:1,unix:/x,fd://5")
    cfg.set("raw_env", ["A=b=c"])
    cfg.set("raw_paste_global_conf", ["k=v"])
    assert cfg.address == [("127.0.0.1", 1), "/x", 5]
    assert cfg.env == {"A": "b=c"}
    assert cfg.paste_global_conf == {"k": "v"}
    assert (cfg.uid, cfg.gid) == (cfg.user, cfg.group)
    assert cfg.proc_name == "gunicorn"
    cfg.set("default_proc_name", "app:app")
    assert cfg.proc_name == "app:app"
    cfg.set("proc_name", "shop")
    assert cfg.proc_name == "shop"
    assert cfg.sendfile is True
    cfg.set("sendfile", False)
    assert cfg.sendfile is False


def test_tls(cfg: Config, tmp_path: Path) -> None:
    assert not cfg.is_ssl
    pem = tmp_path / "x.pem"
    cfg.set("keyfile", str(pem), "c.py:1")
    with pytest.raises(ConfigError, match=r"keyfile = .* \(c.py:1\): there is no file"):
        cfg.check()
    pem.write_text("")
    with pytest.raises(ConfigError, match="needs certfile"):
        cfg.check()
    cfg.set("certfile", str(pem))
    cfg.check()
    assert cfg.is_ssl
    assert cfg.ssl_options["certfile"] == str(pem)
    assert "ca_certs" not in cfg.ssl_options
    cfg.set("cert_reqs", 2, "c.py:3")
    with pytest.raises(ConfigError, match=r"cert_reqs = 2 \(c.py:3\) needs ca_certs"):
        cfg.check()


def test_files_are_looked_for_from_chdir(cfg: Config, tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text("{}")
    cfg.set("logconfig_json", "log.json")
    with pytest.raises(ConfigError, match="there is no file"):
        cfg.check()
    cfg.set("chdir", str(tmp_path))
    cfg.check()


def test_printed(cfg: Config) -> None:
    lines = str(cfg).splitlines()
    names = [line.partition(" ")[0] for line in lines]
    assert names == sorted(cfg.settings)
    assert "workers                            = 1" in lines
    assert "bind                               = ['127.0.0.1:8000']" in lines
    assert "pre_fork                           = <pre_fork()>" in lines


class TestClasses:
    def test_by_name(self, cfg: Config) -> None:
        from gunicorn.glogging import Logger

        assert cfg.logger_class is Logger

    def test_threads_make_sync_gthread(self, cfg: Config) -> None:
        assert cfg.worker_class_str == "sync"
        cfg.set("threads", 2)
        assert cfg.worker_class_str == "gthread"
        cfg.set("worker_class", "collections.OrderedDict")
        assert cfg.worker_class_str == "collections.OrderedDict"

    def test_by_path_and_itself(self, cfg: Config) -> None:
        from gunicorn.workers.base import Worker

        for value in ("gunicorn.workers.base.Worker", "gunicorn.workers.base:Worker", Worker):
            cfg.set("worker_class", value)
            assert cfg.worker_class is Worker
            assert cfg.worker_class_str in ("gunicorn.workers.base.Worker", value)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("snyc", "neither known nor a dotted path to a class; known are sync,"),
            ("asgi", "'asgi' is not supported yet"),
            ("no_such_package.Worker", "cannot be imported: No module named 'no_such_package'"),
            ("collections.Worker", "collections has no 'Worker'"),
            ("egg:no-such-dist#x", "'no-such-dist' is not installed"),
            ("egg:flask#x", "'flask' has no 'x' in gunicorn.workers"),
        ],
    )
    def test_what_cannot_be_found(self, cfg: Config, value: str, message: str) -> None:
        cfg.set("worker_class", value)
        with pytest.raises(ConfigError) as caught:
            _ = cfg.worker_class
        assert message in str(caught.value)

    def test_missing_package_says_what_to_install(
        self, cfg: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "needs_tornado.py").write_text(
            "raise ModuleNotFoundError('No module', name='tornado.web')"
        )
        monkeypatch.syspath_prepend(tmp_path)
        cfg.set("worker_class", "needs_tornado.Worker")
        with pytest.raises(ConfigError, match=r"needs the package tornado: pip install gunicorn\["):
            _ = cfg.worker_class
