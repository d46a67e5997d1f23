"""The memory that four workers of a Django site take together, with and without preloading.

    python3 -m benchmarks.install                     # the environments, once
    benchmarks/.build/venv/bin/python -m benchmarks.sharing [ROUNDS]

What counts is the proportional set size (PSS, proc(5)): a page that n processes share counts 1/n
in each, so the sum over a server's processes is the memory that it really takes. Each server is
asked for the same pages in ten languages until every worker has had each of them several times;
with `refork_after` a warmed-up worker becomes the template meanwhile, and after it the pages are
asked for once more. PyPI's Gunicorn has no counterpart to that. The floor is the same application
in bare processes (`bare.py`), without a supervisor or anything that makes a server, forked when
the application was loaded, or when it was warm. The figures do not depend on how busy the machine
is.
"""

from __future__ import annotations

import http.client
import re
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import places
from .process import POLL, ProcessError, ServerProcess
from .servers import NO_CONTROL

APP = "django_caches:app"
PATH = "/admin/login/"
LANGUAGES = ("en", "de", "fr", "es", "it", "pl", "ru", "ja", "pt-br", "sv")
WORKERS = 4
TIMES = 40
"""Times that each language is asked for, by CLIENTS at a time."""
CLIENTS = 8
REFORK_AFTER = TIMES * len(LANGUAGES) // (2 * WORKERS)
PATIENCE = 60.0
"""Seconds for a start, and for a passage from one template to the next."""


@dataclass(frozen=True)
class Variant:
    """One row."""

    title: str
    environment: Path
    options: tuple[str, ...]
    bare: bool = False

    def command(self) -> list[str]:
        """What starts it, on a port that it names."""
        python = str(places.python_of(self.environment))
        if self.bare:
            return [python, str(places.BARE), "0", APP, str(WORKERS), *self.options]
        return [
            *(python, "-m", "gunicorn", "--workers", str(WORKERS), "--bind", "127.0.0.1:0"),
            *("--pythonpath", str(places.APPS), *self.options, APP),
        ]


PYPI = Variant("gunicorn of PyPI", places.PYPI, (NO_CONTROL,))
PYPI_PRELOAD = Variant("gunicorn of PyPI, preload", places.PYPI, (NO_CONTROL, "--preload"))
VARIANTS = (
    PYPI,
    PYPI_PRELOAD,
    Variant("this tree", places.MAIN, ()),
    Variant("this tree, preload", places.MAIN, ("--preload",)),
    Variant(
        "this tree, preload, refork_after",
        places.MAIN,
        ("--preload", "--refork-after", str(REFORK_AFTER)),
    ),
    Variant("bare processes, preload", places.MAIN, ("--preload",), bare=True),
    Variant(
        "bare processes, forked when warm",
        places.MAIN,
        ("--warm", str(TIMES * len(LANGUAGES))),
        bare=True,
    ),
)


def main() -> None:
    """Measure every variant in turn, round after round, and print the medians."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    found: dict[Variant, list[tuple[int, int]]] = {variant: [] for variant in VARIANTS}
    for _ in range(rounds):
        for variant in VARIANTS:
            found[variant].append(measure(variant))
    median = {
        variant: [statistics.median(column) for column in zip(*taken, strict=True)]
        for variant, taken in found.items()
    }
    print(f"{'PSS, MB':36}{'started':>9}{'warm':>9}{'/ PyPI':>9}{'/ PyPI preload':>16}")
    for variant, (started, warm) in median.items():
        print(
            f"{variant.title:36}{started / 1024:9.1f}{warm / 1024:9.1f}"
            f"{warm / median[PYPI][1]:9.3f}{warm / median[PYPI_PRELOAD][1]:16.3f}"
        )


def measure(variant: Variant) -> tuple[int, int]:
    """PSS of the server's processes in kB, after the first response and when it is warm."""
    variables = {"PYTHONPATH": str(places.APPS)}
    with (
        tempfile.TemporaryDirectory(prefix="benchmarks-") as directory,
        ServerProcess(variant.command(), variables, Path(directory)) as server,
    ):
        port = int(await_line(server, r"Listening at: http://127\.0\.0\.1:(\d+)")[1])
        started = 0
        if "--warm" not in variant.options:
            await_line(server, "Booting worker", WORKERS)
            ask(port, LANGUAGES[0])
            started = settled(server)
        ask_for_all(port)
        if "--refork-after" in variant.options:
            await_line(server, "Refork: process")
            await_line(server, "Worker exiting", WORKERS - 1)
            ask_for_all(port)
        if "--warm" in variant.options:
            await_line(server, "Booting worker", WORKERS)
            ask_for_all(port)
        return started, settled(server)


def await_line(server: ServerProcess, pattern: str, count: int = 1) -> re.Match[str]:
    """The `count`-th place in the server's output that matches."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        matches = list(re.finditer(pattern, server.log.read_text(errors="replace")))
        if len(matches) >= count:
            return matches[count - 1]
        time.sleep(POLL)
    raise ProcessError(f"no {pattern!r} in the output; its last line: {server.last_words()}")


def ask_for_all(port: int) -> None:
    """Ask for the page in every language, many times, on fresh connections."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda language: ask(port, language), LANGUAGES * TIMES))


def ask(port: int, language: str) -> None:
    """One request on a connection of its own."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        client.request("GET", PATH, headers={"Accept-Language": language, "Connection": "close"})
        response = client.getresponse()
        body = response.read()
        if response.status != 200 or f'lang="{language}"'.encode() not in body:
            raise ProcessError(f"{language}: {response.status} {body[:100]!r}")
    finally:
        client.close()


def settled(server: ServerProcess) -> int:
    """The sum of PSS in kB, when it has stopped changing (or after ten looks)."""
    last = -1
    for _ in range(10):
        now = sum(pss(stat.pid) for stat in server.stats())
        if abs(now - last) < last // 200:
            break
        last = now
        time.sleep(0.5)
    return now


def pss(pid: int) -> int:
    """The proportional set size of a process in kB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+) kB$", text, re.MULTILINE)
    if found is None:
        raise ProcessError(f"no Pss of process {pid}")
    return int(found[1])


if __name__ == "__main__":
    main()
