"""HUP: a new generation comes up, or the old one goes on."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.arbiter.conftest import Serve
from tests.servers import Server, free_port

VERSION = "def app(environ, start_response):\n    return [b'%s']\n"


def hup(server: Server) -> None:
    server.send_signal(signal.SIGHUP)


def test_new_code_is_served_by_new_workers(serve: Serve, tmp_path: Path) -> None:
    server = serve(files={"app.py": VERSION % "one"})
    old = server.wait_serving(2)
    assert server.get("/").text == "one"
    (tmp_path / "app.py").write_text(VERSION % "two")
    hup(server)
    server.wait_for("Hang up: Master")
    server.wait_for("Reload done")
    server.until(lambda: len(server.workers()) == 2 and not set(old) & set(server.workers()))
    assert server.get("/").text == "two"
    assert server.stop() == 0


def test_the_old_generation_serves_while_the_new_one_boots(serve: Serve, tmp_path: Path) -> None:
    server = serve(files={"app.py": VERSION % "one"})
    server.wait_serving(2)
    assert server.get("/").text == "one"
    wait = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.05)\n"
    (tmp_path / "app.py").write_text(wait + VERSION % "two")
    hup(server)
    server.wait_workers(3)
    for _ in range(10):
        assert server.get("/").text == "one"
    (tmp_path / "go").touch()
    server.wait_for("Reload done")
    server.wait_workers(2)
    assert server.get("/").text == "two"


def test_a_broken_application_calls_the_reload_off(serve: Serve, tmp_path: Path) -> None:
    server = serve(files={"app.py": VERSION % "one"})
    old = server.wait_serving(2)
    (tmp_path / "app.py").write_text("1 / 0\n")
    hup(server)
    server.wait_for(r"\[ERROR\] Reload called off: worker \d+ of the new generation failed")
    server.wait_for("ZeroDivisionError")
    server.until(lambda: server.workers() == old)
    assert server.get("/").text == "one"
    (tmp_path / "app.py").write_text(VERSION % "three")
    hup(server)
    server.wait_for("Reload done")
    server.wait_workers(2)
    assert server.get("/").text == "three"


def test_a_broken_configuration_changes_nothing(serve: Serve, tmp_path: Path) -> None:
    server = serve(files={"gunicorn.conf.py": "timeout = 20\n"})
    old = server.wait_workers(2)
    server.get("/")
    for count, text in enumerate(("timeout = 'soon'\n", "timeout =\n", "workerz = 3\n"), 1):
        (tmp_path / "gunicorn.conf.py").write_text(text)
        hup(server)
        server.wait_for(r"\[ERROR\] Reload called off: ", count=count)
    assert server.get("/").text == "hello"
    assert server.workers() == old
    assert server.stop() == 0


def test_settings_are_taken_anew(serve: Serve, tmp_path: Path) -> None:
    conf = (
        "import os\nraw_env = ['COLOUR=%s']\n"
        "def on_reload(server):\n    print('reloading', os.getpid(), flush=True)\n"
    )
    source = (
        "import os\ndef app(environ, start_response):\n    return [os.environ['COLOUR'].encode()]\n"
    )
    server = serve(files={"app.py": source, "gunicorn.conf.py": conf % "red"})
    assert server.get("/").text == "red"
    (tmp_path / "gunicorn.conf.py").write_text(conf % "blue")
    hup(server)
    server.wait_for("Reload done")
    server.wait_workers(2)
    assert server.get("/").text == "blue"
    assert re.findall(r"^reloading (\d+)$", server.log(), re.MULTILINE) == [str(server.pid)]


def test_the_number_of_workers_follows(serve: Serve) -> None:
    server = serve()
    server.wait_workers(2)
    server.send_signal(signal.SIGTTIN)
    server.wait_workers(3)
    hup(server)
    server.wait_for("Reload done")
    server.wait_workers(2)


def test_hups_during_a_reload_fold_into_one(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    server.wait_serving(2)
    wait = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.05)\n"
    (tmp_path / "app.py").write_text(wait + VERSION % "two")
    hup(server)
    server.wait_workers(3)
    for count in range(2, 6):
        hup(server)
        server.wait_for("Handling signal: hup", count=count)
    (tmp_path / "go").touch()
    server.wait_for("Reload done", count=2)
    server.wait_workers(2)
    assert server.get("/").text == "two"
    assert server.log().count("Hang up: Master") == 2


def test_term_during_a_reload_stops_all(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    server.wait_serving(2)
    (tmp_path / "app.py").write_text("import time\ntime.sleep(60)\n")
    hup(server)
    server.wait_workers(3)
    assert server.stop() == 0


def test_an_address_that_changes(serve: Serve, tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text(f"bind = ['127.0.0.1:{first}', 'unix:{tmp_path}/old.sock']\n")
    server = serve(bind="", address=("127.0.0.1", first))
    assert server.get("/").status == 200
    assert (tmp_path / "old.sock").exists()
    conf.write_text(f"bind = ['127.0.0.1:{second}']\n")
    hup(server)
    server.wait_for("Reload done")
    server.wait_workers(2)
    server.address = ("127.0.0.1", second)
    assert server.get("/").status == 200
    assert not (tmp_path / "old.sock").exists()
    server.address = ("127.0.0.1", first)
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_an_address_that_cannot_be_bound_calls_the_reload_off(serve: Serve, tmp_path: Path) -> None:
    port = free_port()
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text(f"bind = ['127.0.0.1:{port}']\n")
    server = serve(bind="", address=("127.0.0.1", port))
    old = server.wait_workers(2)
    server.get("/")
    conf.write_text(f"bind = ['127.0.0.1:{port}', 'unix:{tmp_path}/no/such/folder.sock']\n")
    hup(server)
    server.wait_for(r"\[ERROR\] Reload called off: ")
    assert server.get("/").status == 200
    assert server.workers() == old


def test_logs_and_pidfile_follow_the_configuration(serve: Serve, tmp_path: Path) -> None:
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text("errorlog = 'one.log'\npidfile = 'one.pid'\n")
    server = serve()
    server.wait_serving(2)
    conf.write_text("errorlog = 'two.log'\npidfile = 'two.pid'\n")
    hup(server)
    two = tmp_path / "two.log"
    server.until(lambda: two.exists() and "Reload done" in two.read_text(), "the new log")
    assert (tmp_path / "two.pid").read_text() == f"{server.pid}\n"
    assert not (tmp_path / "one.pid").exists()
    assert server.stop() == 0
    assert not (tmp_path / "two.pid").exists()


def test_a_broken_reload_with_preload(serve: Serve, tmp_path: Path) -> None:
    server = serve("--preload", files={"gunicorn.conf.py": "timeout = 20\n"})
    assert server.get("/").text == "hello"
    (tmp_path / "gunicorn.conf.py").write_text("timeout = 'soon'\n")
    hup(server)
    server.wait_for(r"\[ERROR\] Reload called off: ")
    (tmp_path / "gunicorn.conf.py").write_text("timeout = 21\n")
    hup(server)
    server.wait_for("Reload done")
    assert server.get("/").text == "hello"


def test_a_retired_worker_gets_its_graceful_time_and_no_more(serve: Serve, tmp_path: Path) -> None:
    source = (
        "import os, time\ndef app(environ, start_response):\n"
        "    if environ['PATH_INFO'] == '/stuck':\n"
        "        open('began', 'w').close()\n        time.sleep(60)\n    return [b'hello']\n"
    )
    server = serve("-w", "1", "--graceful-timeout", "1", files={"app.py": source})
    (old,) = server.wait_workers(1)
    with server.connect() as client:
        client.sendall(b"GET /stuck HTTP/1.1\r\n\r\n")
        server.until((tmp_path / "began").exists, "a request in progress")
        hup(server)
        server.wait_for("Reload done")
        assert server.get("/").text == "hello"
        server.wait_for(f"Killing worker {old}: still busy after its graceful time")
        server.until(lambda: old not in server.workers())
    server.never_says("out of memory")


def test_what_a_reload_changed_is_in_the_log(serve: Serve, tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    (tmp_path / "gunicorn.conf.py").write_text(f"bind = '127.0.0.1:{first}'\n")
    server = serve(bind="", address=("127.0.0.1", first))
    hup(server)
    server.wait_for("Reload done")
    assert server.log().count("Listening at") == 1, "nothing has changed"
    (tmp_path / "gunicorn.conf.py").write_text(f"bind = '127.0.0.1:{second}'\n")
    hup(server)
    server.wait_for("Reload done", count=2)
    server.address = ("127.0.0.1", second)
    server.wait_for(rf"Listening at: http://127\.0\.0\.1:{second} \({server.pid}\)")
