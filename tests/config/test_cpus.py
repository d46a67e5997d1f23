"""`workers = "auto"`: the CPUs of affinities and of control groups, from trees like real ones."""

from __future__ import annotations

import copy
import os
import signal
from pathlib import Path

import pytest

from gunicorn.config import Config
from gunicorn.cpus import UsableCPUs, usable_cpus
from gunicorn.errors import ConfigError
from tests.servers import HELLO, Server

V2_HOST = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1_HOST = (
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)


def tree(root: Path, groups: str, mounts: str, files: dict[str, str]) -> str:
    """A file system with /proc/self/{cgroup,mountinfo}, and files of /sys/fs/cgroup."""
    everything = {"proc/self/cgroup": groups, "proc/self/mountinfo": mounts}
    everything |= {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in everything.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    found = usable_cpus(6, str(tmp_path))
    assert (found, found.reason) == (6, "6 CPUs by affinity")
    assert usable_cpus(1, str(tmp_path)).reason == "1 CPU by affinity"


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        ("max 100000\n", 8, "8 CPUs by affinity"),
        ("200000 100000\n", 2, "2 CPUs by the quota of control group / (of 8 by affinity)"),
        ("150000 100000\n", 2, "1.5 CPUs by the quota of control group / (of 8 by affinity)"),
        ("50000 100000\n", 1, "0.5 CPUs by the quota of control group / (of 8 by affinity)"),
        ("1600000 100000\n", 8, "8 CPUs by affinity"),
        ("nonsense\n", 8, "8 CPUs by affinity"),
        ("0 100000\n", 8, "8 CPUs by affinity"),
    ],
)
def test_version_2_in_a_container(tmp_path: Path, text: str, expected: int, reason: str) -> None:
    found = usable_cpus(8, tree(tmp_path, "0::/\n", V2_HOST, {"cpu.max": text}))
    assert (found, found.reason) == (expected, reason)


def test_version_2_the_tightest_group_around_counts(tmp_path: Path) -> None:
    files = {
        "web.slice/cpu.max": "300000 100000",
        "web.slice/a.service/cpu.max": "max 100000",
        "web.slice/a.service/inner/cpu.max": "500000 100000",
    }
    found = usable_cpus(8, tree(tmp_path, "0::/web.slice/a.service/inner\n", V2_HOST, files))
    assert found == 3
    assert "control group /web.slice (" in found.reason


def test_version_1_by_quota_and_period(tmp_path: Path) -> None:
    files = {
        "cpu,cpuacct/docker/ab/cpu.cfs_quota_us": "-1\n",
        "cpu,cpuacct/docker/ab/cpu.cfs_period_us": "100000\n",
        "cpu,cpuacct/docker/cpu.cfs_quota_us": "100000\n",
        "cpu,cpuacct/docker/cpu.cfs_period_us": "25000\n",
        "memory/docker/ab/cpu.cfs_quota_us": "1\n",
    }
    groups = "4:memory:/docker/ab\n3:cpu,cpuacct:/docker/ab\n1:name=systemd:/docker/ab\n"
    found = usable_cpus(8, tree(tmp_path, groups, V1_HOST, files))
    assert found == 4
    assert "control group /docker (" in found.reason


def test_a_mount_that_begins_at_the_containers_group(tmp_path: Path) -> None:
    """A container without a namespace of its own for groups sees its path, but not its parents."""
    mounts = "32 31 0:29 /docker/ab /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n"
    files = {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}
    found = usable_cpus(8, tree(tmp_path, "1:cpu:/docker/ab\n", mounts, files))
    assert found == 2
    assert "control group /docker/ab (" in found.reason


@pytest.mark.parametrize("path", ["/../other", "/elsewhere"])
def test_a_group_that_the_namespace_does_not_show(tmp_path: Path, path: str) -> None:
    mounts = "30 23 0:26 /../here /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    found = usable_cpus(8, tree(tmp_path, f"0::{path}\n", mounts, {"cpu.max": "100000 100000"}))
    assert found == 1


def test_both_versions_at_once(tmp_path: Path) -> None:
    """A hybrid: version 2 is mounted for systemd, version 1 governs CPU time."""
    mounts = V1_HOST + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    files = {
        "cpu,cpuacct/x/cpu.cfs_quota_us": "300000",
        "cpu,cpuacct/x/cpu.cfs_period_us": "100000",
    }
    assert usable_cpus(8, tree(tmp_path, "0::/x\n2:cpu,cpuacct:/x\n", mounts, files)) == 3


def test_blanks_in_the_mount_point(tmp_path: Path) -> None:
    mounts = "30 23 0:26 / /sys/fs/cgroup/my\\040groups rw - cgroup2 cgroup2 rw\n"
    files = {"my groups/cpu.max": "100000 100000"}
    assert usable_cpus(8, tree(tmp_path, "0::/\n", mounts, files)) == 1


def test_the_setting() -> None:
    cfg = Config(environ={})
    cfg.set("workers", " Auto ")
    assert isinstance(cfg.workers, int)
    assert 1 <= cfg.workers <= len(os.sched_getaffinity(0))
    assert copy.deepcopy(cfg.workers) == cfg.workers
    assert isinstance(Config(environ={"WEB_CONCURRENCY": "auto"}).workers, UsableCPUs)
    cfg.set("workers", "3")
    assert cfg.workers == 3
    assert not isinstance(cfg.workers, UsableCPUs)
    with pytest.raises(ConfigError, match="expected a whole number, 0 or more, or 'auto'"):
        cfg.set("workers", "automatic")


def test_a_server_with_one_cpu_says_so(tmp_path: Path) -> None:
    config = """\
    def nworkers_changed(server, new, old):
        server.log.info("hook: %r workers", new + 0)
    """
    files = {"app.py": HELLO, "gunicorn.conf.py": config.replace("\n    ", "\n").strip() + "\n"}
    everything = os.sched_getaffinity(0)
    # A child inherits the affinity of the thread that forks it.
    os.sched_setaffinity(0, {min(everything)})
    try:
        server = Server("app:app", "--workers", "auto", cwd=tmp_path, files=files)
    finally:
        os.sched_setaffinity(0, everything)
    with server:
        server.wait_workers(1)
        server.wait_for(r"\[INFO\] Using 1 worker: 1 CPU by affinity$")
        server.wait_for("hook: 1 workers")
        server.send_signal(signal.SIGHUP)
        server.wait_for("Reload done")
        server.wait_for("Using 1 worker: 1 CPU by affinity", count=2)
