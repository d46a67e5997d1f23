"""The facts that figures depend on: the machine, Python, and the versions of what is compared."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from . import places
from .servers import Server

VERSION_OF = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))"


@dataclass(frozen=True)
class Machine:
    """Where and when the figures were taken."""

    date: str
    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    load: float
    """Load average of the minute before the start: more than a little spoils the figures."""


def look() -> Machine:
    """The machine as it is now."""
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Machine(
        date=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        cpu=cpu_model(Path("/proc/cpuinfo").read_text()),
        cores=os.cpu_count() or 1,
        memory_gib=round(pages * page / (1 << 30), 1),
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}, {python_build()}",
        load=round(os.getloadavg()[0], 2),
    )


def python_build() -> str:
    """Whether Python was built with optimisation by profile: worth 10 to 20%."""
    if "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""):
        return "an optimised build"
    # Distributions have means of their own to optimise, which leave no trace in the arguments.
    if sysconfig.get_config_var("prefix") == "/usr":
        return "the distribution's build"
    return "not an optimised build"


def cpu_model(cpuinfo: str) -> str:
    """The name of the CPU in the text of /proc/cpuinfo."""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def versions(servers: Iterable[Server]) -> dict[str, str]:
    """Server -> its version; those that are not installed are left out."""
    found: dict[str, str] = {}
    for server in servers:
        if server.distribution is not None:
            version = version_of(server.environment, server.distribution)
            if version is not None:
                found[server.key] = version
    return found


def builds(servers: Iterable[Server]) -> dict[str, str]:
    """Server -> what its `gunicorn --version` says, for those that are built from this tree.

    An installation without the compiled module works as well, only slower: figures must say which
    of the two they are of.
    """
    found: dict[str, str] = {}
    for server in servers:
        command = server.environment / "bin" / "gunicorn"
        if server.distribution == "gunicorn" and not server.peer and command.exists():
            said = subprocess.run(
                [str(command), "--version"], capture_output=True, text=True, check=False
            )
            found[server.key] = " ".join((said.stdout + said.stderr).split())
    return found


def frameworks() -> dict[str, str]:
    """The versions of what the applications are made with, and of wrk."""
    found = {
        name: version
        for name in ("flask", "django")
        if (version := version_of(places.MAIN, name)) is not None
    }
    said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    match = re.match(r"wrk (\S+)", said.stdout + said.stderr)
    found["wrk"] = match[1] if match else "of unknown version"
    return found


def version_of(environment: Path, distribution: str) -> str | None:
    """The version of a distribution in an environment; None when it is not there."""
    python = places.python_of(environment)
    if not python.exists():
        return None
    said = subprocess.run(
        [str(python), "-I", "-c", VERSION_OF, distribution],
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() if said.returncode == 0 else None
