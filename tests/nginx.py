"""A real nginx in front of a server, as long as a test needs it."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.ports import free_port
from tests.programs import program
from tests.waiting import until

CONFIGURATION = """\
{user}
pid {prefix}/nginx.pid;
error_log {prefix}/error.log;
worker_processes 1;
daemon off;
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi;
    scgi_temp_path {prefix}/scgi;
    {site}
}}
"""


@contextlib.contextmanager
def nginx(prefix: Path, site: Callable[[int], str]) -> Iterator[int]:
    """An nginx that keeps its files in the new folder `prefix`; yields its port.

    `site` is given the port and returns what the http block is to contain.
    """
    prefix.mkdir()
    port = free_port()
    configuration = prefix / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    configuration.write_text(CONFIGURATION.format(prefix=prefix, site=site(port), user=user))
    command = [program("nginx"), "-p", str(prefix), "-c", str(configuration)]
    tested = subprocess.run(
        [*command, "-t"], capture_output=True, text=True, timeout=30, check=False
    )
    assert tested.returncode == 0, tested.stderr
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def listens() -> bool:
        assert process.poll() is None, (prefix / "error.log").read_text()
        pidfile = prefix / "nginx.pid"
        return pidfile.exists() and pidfile.read_text().strip() == str(process.pid)

    try:
        until(listens, "nginx listens")
        yield port
    finally:
        process.terminate()
        process.wait(20)
