"""How many CPUs this process may really use, for `workers = "auto"`.

The machine's number is an upper bound only. Two things lower it: the affinity of the process (set
by taskset, by a cpuset, by a batch system) and the quota of its control group, which is how
containers get "1.5 CPUs" of a large machine: so much time in each period, whatever the CPU. A
group is bound by the quotas of the groups around it, too, so all of them are looked at.

    /proc/self/cgroup      which groups the process is in: "0::/a/b" (version 2), "3:cpu:/a/b" (1)
    /proc/self/mountinfo   where they can be read: mount point, and the group that is mounted there
    .../a/b/cpu.max        version 2: "150000 100000", or "max 100000" without a quota
    .../a/b/cpu.cfs_quota_us, cpu.cfs_period_us   version 1, -1 without a quota

See cgroups(7), proc(5), and Documentation/admin-guide/cgroup-v2.rst of Linux.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from typing import NamedTuple


class UsableCPUs(int):
    """A number of CPUs, at least 1, with the `reason` for it in words."""

    reason: str

    def __new__(cls, number: int, reason: str = "") -> UsableCPUs:
        self = super().__new__(cls, number)
        self.reason = reason
        return self


class Quota(NamedTuple):
    """CPU time that the processes of a control group may use together, in CPUs."""

    cpus: float
    group: str


def usable_cpus(affinity: int | None = None, root: str = "/") -> UsableCPUs:
    """Return the CPUs that this process may use, those of a quota rounded up.

    `affinity` is the number of CPUs that it may run on, by default as the system says; `root` is
    where /proc is looked for.
    """
    if affinity is None:
        allowed, source = _affinity()
    else:
        allowed, source = affinity, "affinity"
    quota = min(_quotas(root), key=lambda each: each.cpus, default=None)
    if quota is None or quota.cpus >= allowed:
        return UsableCPUs(allowed, f"{_counted(allowed)} by {source}")
    number = max(1, math.ceil(quota.cpus))
    return UsableCPUs(
        number,
        f"{_counted(quota.cpus)} by the quota of control group {quota.group}"
        f" (of {allowed} by {source})",
    )


def _affinity() -> tuple[int, str]:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)), "affinity"
    return os.cpu_count() or 1, "the machine"


def _counted(cpus: float) -> str:
    return f"{cpus:.3g} CPU{'' if cpus == 1 else 's'}"


# Control groups


def _quotas(root: str) -> Iterator[Quota]:
    """The quota of each group that this process is in, and of those around it."""
    memberships = [
        line.split(":", 2) for line in _read(root, "proc/self/cgroup").splitlines() if ":" in line
    ]
    for mount in _mounts(root):
        for _, controllers, path in memberships:
            if mount.holds(controllers.split(",")):
                yield from _quotas_above(root, mount, path)


class Mount(NamedTuple):
    """A hierarchy of control groups: the group `top` of it is found at `point`."""

    kind: str
    top: str
    point: str
    options: list[str]

    def holds(self, controllers: list[str]) -> bool:
        """Whether the groups of this line of /proc/self/cgroup are here, and govern CPU time."""
        if self.kind == "cgroup2":
            return controllers == [""]
        return "cpu" in controllers and "cpu" in self.options


def _mounts(root: str) -> Iterator[Mount]:
    for line in _read(root, "proc/self/mountinfo").splitlines():
        mounted, separator, filesystem = line.partition(" - ")
        fields, kind = mounted.split(), filesystem.split()
        if separator and len(fields) > 4 and len(kind) > 2 and kind[0] in ("cgroup", "cgroup2"):
            yield Mount(kind[0], _unescape(fields[3]), _unescape(fields[4]), kind[2].split(","))


def _quotas_above(root: str, mount: Mount, path: str) -> Iterator[Quota]:
    top = mount.top.rstrip("/")
    inside = path.removeprefix(top) if f"{path}/".startswith(f"{top}/") else ""
    parts = [part for part in inside.split("/") if part]
    if ".." in parts:
        # The group is outside of what this namespace shows; the top is the nearest around it.
        parts = []
    for depth in range(len(parts), -1, -1):
        folder = os.path.join(root, mount.point.lstrip("/"), *parts[:depth])
        cpus = _quota_v2(folder) if mount.kind == "cgroup2" else _quota_v1(folder)
        if cpus is not None:
            yield Quota(cpus, "/".join([top, *parts[:depth]]) or "/")


def _quota_v2(folder: str) -> float | None:
    quota, _, period = _read(folder, "cpu.max").strip().partition(" ")
    return _ratio(quota, period)


def _quota_v1(folder: str) -> float | None:
    return _ratio(
        _read(folder, "cpu.cfs_quota_us").strip(), _read(folder, "cpu.cfs_period_us").strip()
    )


def _ratio(quota: str, period: str) -> float | None:
    # "max" and "-1" stand for no quota; files that are not there were read as nothing.
    if not (quota.isdecimal() and period.isdecimal()) or not int(quota) or not int(period):
        return None
    return int(quota) / int(period)


def _read(folder: str, name: str) -> str:
    """The text of a small file; nothing when it is not there, as in a group without a quota."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _unescape(text: str) -> str:
    # proc(5): blanks and backslashes in paths are written as octal numbers.
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
