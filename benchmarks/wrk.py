"""Drive wrk and read what it prints.

wrk takes its duration in whole seconds only; it ends early and in order at SIGINT, so that any
duration can be had.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import places

TIMEOUT = 10
"""Seconds after which wrk calls a request timed out."""
GRACE = 30.0
"""Seconds that wrk may take to end after its time is up."""

UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

TOTAL = re.compile(r"(\d+) requests in ([\d.]+)(us|ms|s|m|h), ([\d.]+)(B|KB|MB|GB|TB) read")
SOCKET_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
BAD_STATUS = re.compile(r"Non-2xx or 3xx responses: (\d+)")
PERCENTILE = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m|h)\s*$", re.MULTILINE)


class WrkError(Exception):
    """wrk did not do its work; the message holds what it said."""


@dataclass(frozen=True)
class Load:
    """What wrk saw: times in seconds, sizes in bytes."""

    requests: int
    seconds: float
    bytes_read: int
    errors: int
    """Socket errors of every kind and responses with a status of 400 or above."""
    latency_50: float
    latency_99: float


def parse(output: str) -> Load:
    """Read the output of `wrk --latency`; WrkError when it is not that."""
    total = TOTAL.search(output)
    if total is None:
        raise WrkError(f"no total in the output of wrk: {output.strip()!r}")
    requests, seconds, unit, size, size_unit = total.groups()
    errors = sum(int(number) for match in SOCKET_ERRORS.findall(output) for number in match)
    errors += sum(int(number) for number in BAD_STATUS.findall(output))
    latency = {
        percent: float(value) * SECONDS[unit] for percent, value, unit in PERCENTILE.findall(output)
    }
    return Load(
        requests=int(requests),
        seconds=float(seconds) * SECONDS[unit],
        bytes_read=round(float(size) * UNITS[size_unit]),
        errors=errors,
        latency_50=latency.get("50", 0.0),
        latency_99=latency.get("99", 0.0),
    )


def run(url: str, connections: int, duration: float, script: str | None, core: int) -> Load:
    """Run wrk on one core for `duration` seconds; WrkError when it fails."""
    command = ["taskset", "-c", str(core), "wrk", "--threads", "1", "--latency"]
    command += ["--connections", str(connections), "--timeout", f"{TIMEOUT}s"]
    command += ["--duration", f"{int(duration) + 60}s"]
    if script is not None:
        command += ["--script", str(places.WRK_SCRIPTS / script)]
    wrk = subprocess.Popen(
        [*command, url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(os.sep),
    )
    try:
        output, _ = wrk.communicate(timeout=duration)
    except subprocess.TimeoutExpired:
        wrk.send_signal(signal.SIGINT)
        try:
            output, _ = wrk.communicate(timeout=GRACE)
        except subprocess.TimeoutExpired:
            wrk.kill()
            wrk.communicate()
            raise WrkError(f"wrk did not end within {GRACE:.0f} s of its signal") from None
    if wrk.returncode != 0:
        raise WrkError(f"wrk ended with {wrk.returncode}: {output.strip()}")
    return parse(output)
