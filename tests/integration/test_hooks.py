"""Every server hook: when it is called, in which process, and with what."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Serve
from tests.servers import Server, alive
from tests.worker_classes import WORKER_CLASSES

APP = """\
import time

def app(environ, start_response):
    deadline = time.monotonic() + 60
    while environ["PATH_INFO"] == "/hang" and time.monotonic() < deadline:
        time.sleep(0.1)
    start_response("200 OK", [("X", "y")])
    return [b"hello"]
"""

CONFIG = """\
import json
import os

workers = 1
timeout = 2

def note(name, *arguments):
    with open("hooks.log", "a") as file:
        file.write(json.dumps([name, os.getpid(), *map(describe, arguments)]) + "\\n")

def describe(argument):
    kind = type(argument).__name__.removeprefix("Fast")
    if kind == "Arbiter":
        assert argument.pid and argument.cfg.timeout == 2 and argument.log.info
        assert all(worker.pid == pid for pid, worker in argument.WORKERS.items())
        return [kind, argument.pid, argument.num_workers, len(argument.LISTENERS)]
    if kind.endswith("Worker"):
        assert argument.cfg.timeout == 2 and argument.log.info and argument.timeout == 1
        return [kind, argument.pid, argument.age, argument.booted, argument.aborted]
    if kind == "Request":
        return [kind, argument.method, argument.uri, argument.path, argument.query,
                argument.version, argument.headers, argument.scheme, argument.remote_addr]
    if kind == "Response":
        return [kind, argument.status, argument.status_code, argument.headers,
                argument.headers_sent, argument.sent, argument.response_length]
    if kind == "dict":
        return [kind, argument["PATH_INFO"]]
    return argument

def on_starting(server): note("on_starting", server)
def on_reload(server): note("on_reload", server)
def when_ready(server): note("when_ready", server)
def pre_fork(server, worker): note("pre_fork", server, worker)
def post_fork(server, worker): note("post_fork", server, worker)
def post_worker_init(worker): note("post_worker_init", worker)
def worker_int(worker): note("worker_int", worker)
def worker_abort(worker): note("worker_abort", worker)
def pre_exec(server): note("pre_exec", server)
def pre_request(worker, req): note("pre_request", worker, req)
def post_request(worker, req, environ, resp): note("post_request", worker, req, environ, resp)
def child_exit(server, worker): note("child_exit", server, worker)
def worker_exit(server, worker): note("worker_exit", server, worker)
def nworkers_changed(server, new_value, old_value):
    note("nworkers_changed", server, new_value, old_value)
def on_exit(server): note("on_exit", server)
"""


class Story:
    """What the hooks have noted, read step by step."""

    def __init__(self, server: Server, path: Path) -> None:
        self.server = server
        self.path = path
        self.read = 0

    def next(self, *names: str) -> list[list[Any]]:
        """Wait for as many more calls as there are names, and insist on their order."""
        calls = self.some(*names)
        assert [call[0] for call in calls] == list(names)
        return calls

    def some(self, *names: str) -> list[list[Any]]:
        """The same for calls of several processes, whose order among one another is open."""
        wanted = self.read + len(names)
        self.server.until(
            lambda: self.path.exists() and len(self.path.read_text().splitlines()) >= wanted,
            f"calls of {', '.join(names)} after {self.calls()[self.read :]}",
        )
        calls = self.calls()[self.read : wanted]
        assert sorted(call[0] for call in calls) == sorted(names)
        self.read = wanted
        return calls

    def calls(self) -> list[list[Any]]:
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text().splitlines()]


def test_every_hook(serve: Serve, tmp_path: Path) -> None:
    server = serve(APP, "-c", "conf.py", files={"conf.py": CONFIG})
    story = Story(server, tmp_path / "hooks.log")
    master = server.pid

    # The start: everything up to the fork is the arbiter's, the rest is the worker's.
    changed, starting, ready, pre, post, init = story.next(
        "nworkers_changed", "on_starting", "when_ready", "pre_fork", "post_fork", "post_worker_init"
    )
    (first,) = server.workers()
    assert changed[1:] == [master, ["Arbiter", master, 1, 0], 1, None]
    assert starting[1:] == [master, ["Arbiter", master, 1, 0]]
    assert ready[1:] == [master, ["Arbiter", master, 1, 1]]
    arbiter = ["Arbiter", master, 1, 1]
    assert pre[1:] == [master, arbiter, ["SyncWorker", 0, 1, False, False]]
    assert post[1:] == [first, arbiter, ["SyncWorker", first, 1, False, False]]
    assert init[1:] == [first, ["SyncWorker", first, 1, False, False]]

    # A request.
    server.get("/a%20b?c=d", {"X-Field": "value"})
    before, after = story.next("pre_request", "post_request")
    worker = ["SyncWorker", first, 1, True, False]
    request = before[3]
    assert before[1:3] == [first, worker]
    assert request[:6] == ["Request", "GET", "/a%20b?c=d", "/a%20b", "c=d", [1, 1]]
    assert ["X-FIELD", "value"] in request[6]
    assert request[7:] == ["http", "127.0.0.1"]
    assert after[1:5] == [first, worker, request, ["dict", "/a b"]]
    assert after[5] == ["Response", "200 OK", 200, [["X", "y"]], True, 5, 5]

    # A worker that falls silent is aborted, and replaced without waiting for its end.
    with server.connect() as client:
        client.sendall(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
        story.next("pre_request")
        calls = story.some(
            "worker_abort", "worker_exit", "child_exit", "pre_fork", "post_fork", "post_worker_init"
        )
    abort, leaving = [call for call in calls if call[1] == first]
    (gone,) = [call for call in calls if call[0] == "child_exit"]
    assert calls.index(leaving) < calls.index(gone)
    aborted = ["SyncWorker", first, 1, True, True]
    assert abort[1:] == [first, aborted]
    assert leaving[1:] == [first, arbiter, aborted]
    assert gone[1] == master
    assert gone[3][:3] == ["SyncWorker", first, 1]
    post, init = [call for call in calls if call[1] not in (first, master)]
    second = post[1]
    assert post[3] == ["SyncWorker", second, 2, False, False]
    assert init[2] == post[3]

    # One worker more.
    server.send_signal(signal.SIGTTIN)
    (changed, *_, init) = story.next(
        "nworkers_changed", "pre_fork", "post_fork", "post_worker_init"
    )
    assert changed[1:] == [master, ["Arbiter", master, 2, 1], 2, 1]
    third = init[1]

    # A reload goes back to the number that is configured, and replaces both workers.
    server.send_signal(signal.SIGHUP)
    changed, reloaded, *_, init = story.next(
        "nworkers_changed", "on_reload", "pre_fork", "post_fork", "post_worker_init"
    )
    assert changed[2:] == [["Arbiter", master, 1, 1], 1, 2]
    assert reloaded[1:] == [master, ["Arbiter", master, 1, 1]]
    fourth = init[1]
    server.wait_for("Reload done")
    ends = story.some("worker_exit", "worker_exit", "child_exit", "child_exit")
    for name in ("worker_exit", "child_exit"):
        assert {call[3][1] for call in ends if call[0] == name} == {second, third}

    # The end, in a hurry.
    assert server.stop(signal.SIGINT) == 0
    interrupted, leaving, gone, end = story.next(
        "worker_int", "worker_exit", "child_exit", "on_exit"
    )
    assert interrupted[1] == leaving[1] == fourth
    assert gone[1] == end[1] == master
    assert len(story.calls()) == story.read, "no call beyond these"


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_hooks_around_a_request(serve: Serve, tmp_path: Path, worker_class: str) -> None:
    """Before and after, in the worker that serves it, whatever its class."""
    server = serve(APP, *WORKER_CLASSES[worker_class], "-c", "conf.py", files={"conf.py": CONFIG})
    path = tmp_path / "hooks.log"
    server.get("/a%20b?c=d", {"X-Field": "value"})
    server.until(lambda: "post_request" in path.read_text(), "the last hook")
    story = Story(server, path)
    (before,) = [call for call in story.calls() if call[0] == "pre_request"]
    (after,) = [call for call in story.calls() if call[0] == "post_request"]
    assert before[1] == after[1] == before[2][1] == after[2][1]
    assert before[1] in server.workers()
    request = before[3]
    assert request[:6] == ["Request", "GET", "/a%20b?c=d", "/a%20b", "c=d", [1, 1]]
    assert ["X-FIELD", "value"] in request[6]
    assert after[3:5] == [request, ["dict", "/a b"]]
    assert after[5] == ["Response", "200 OK", 200, [["X", "y"]], True, 5, 5]


def test_pre_exec(serve: Serve, tmp_path: Path) -> None:
    server = serve(APP, "-c", "conf.py", files={"conf.py": CONFIG})
    story = Story(server, tmp_path / "hooks.log")
    server.wait_workers(1)
    server.get("/")
    server.send_signal(signal.SIGUSR2)
    server.until(lambda: any(call[0] == "pre_exec" for call in story.calls()), "pre_exec")
    (call,) = [call for call in story.calls() if call[0] == "pre_exec"]
    assert call[2][:2] == ["Arbiter", server.pid]
    child = call[1]
    assert child != server.pid, "it runs in the process that becomes the new arbiter"
    server.until(lambda: server.workers(child), "the new arbiter's worker")
    os.kill(child, signal.SIGTERM)
    server.until(lambda: not alive(child), "the end of the new arbiter")


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_hooks_that_fail_are_logged_and_the_server_goes_on(serve: Serve, worker_class: str) -> None:
    config = """\
def post_request(worker, req, environ, resp): raise RuntimeError("post_request failed")
def child_exit(server, worker): raise RuntimeError("child_exit failed")
def worker_exit(server, worker): raise RuntimeError("worker_exit failed")
"""
    options = (*WORKER_CLASSES[worker_class], "-c", "conf.py")
    server = serve(APP, *options, files={"conf.py": config})
    assert server.get("/").status == 200
    assert server.get("/").status == 200
    assert server.stop() == 0
    for hook in ("post_request", "child_exit", "worker_exit"):
        assert f"RuntimeError: {hook} failed" in server.log()


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_a_pre_request_hook_that_fails_is_a_500(serve: Serve, worker_class: str) -> None:
    config = "def pre_request(worker, req): raise RuntimeError('not today')\n"
    options = (*WORKER_CLASSES[worker_class], "-c", "conf.py")
    server = serve(APP, *options, files={"conf.py": config})
    reply = server.get("/")
    assert reply.status == 500
    assert "not today" not in reply.text
    server.wait_for("RuntimeError: not today")
