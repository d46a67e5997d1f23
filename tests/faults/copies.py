"""An application that forks, in every way that one can go wrong or right."""

from __future__ import annotations

APP = """\
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import time

def be_a_copy(way, environ, start_response):
    if way == "execs":
        os.execv("/no/such/tool", ["x"])
    elif way == "raises":
        raise LookupError("in the copy")
    elif way == "raises-no-exception":
        raise KeyboardInterrupt
    elif way == "exits":
        sys.exit(7)
    elif way == "exits-hard":
        os._exit(8)
    elif way == "sleeps":
        time.sleep(1.5)
        os._exit(9)
    elif way == "forks-again":
        if os.fork():
            os._exit(10)
        time.sleep(1.5)
        raise LookupError("in the copy's copy")
    elif way == "writes":
        start_response("200 OK", [("Content-Length", "7")])(b"copied\\n")
    elif way == "reads":
        environ["wsgi.input"].read()
    elif way == "prints":
        sys.stdout.write("printed by the copy\\n")
    start_response("200 OK", [("Content-Length", "7")])
    return [b"copied\\n"]

RETURNED = {}

def reap(pid):
    return str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

class Blocks:
    def __init__(self, way, environ, start_response):
        self.way, self.environ, self.start_response = way, environ, start_response
    def __iter__(self):
        yield f"worker {os.getpid()} ".encode()
        if not self.environ["QUERY_STRING"] == "close":
            yield from self.fork()
    def fork(self):
        pid = os.fork()
        if not pid:
            yield from be_a_copy(self.way, self.environ, lambda *args: None)
        else:
            yield reap(pid).encode()
    def close(self):
        if self.environ["QUERY_STRING"] == "close":
            for _ in self.fork():
                pass

def nap(seconds):
    time.sleep(seconds)

def long_work(path):
    pathlib.Path(path).write_text(str(os.getpid()))
    time.sleep(60)

def multiprocess(way):
    fork = multiprocessing.get_context("fork")
    if way == "terminate":
        process = fork.Process(target=nap, args=(60,))
        process.start()
        process.terminate()
        process.join()
        return str(process.exitcode)
    if way == "pool":
        with fork.Pool(2) as pool:
            result = str(pool.map(abs, [-1, 2]))
        pool.join()
        return result
    if way == "raise":
        process = fork.Process(target=int, args=("no number",))
        process.start()
        process.join()
        return str(process.exitcode)
    fork.Process(target=long_work, args=("child",)).start()
    return "started"

def program(way):
    command = [sys.executable, "-c", "import signal; print(repr(signal.getsignal(signal.SIGTERM)))"]
    if way == "preexec":
        return subprocess.check_output(command, preexec_fn=os.getpid, text=True)
    return subprocess.check_output(command, text=True)

def app(environ, start_response):
    _, kind, way, *_ = environ["PATH_INFO"].split("/") + [""]
    if kind == "generator":
        start_response("200 OK", [])
        return Blocks(way, environ, start_response)
    body = ""
    if kind == "fork":
        pid = os.fork()
        if not pid:
            return be_a_copy(way, environ, start_response)
        body = reap(pid)
    elif kind == "daemon":
        pid = os.fork()
        if not pid:
            pathlib.Path("child").write_text(str(os.getpid()))
            time.sleep(60)
            os._exit(0)
    elif kind == "multiprocessing":
        body = multiprocess(way)
    elif kind == "program":
        body = program(way)
    body = f"worker {os.getpid()} {body}".encode()
    start_response("200 OK", [("Content-Length", str(len(body))), ("X-Worker", str(os.getpid()))])
    return [body]
"""
