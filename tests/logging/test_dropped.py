"""Logs of a server that root starts and whose workers are somebody else (`user`).

Folders that this user may write are the user's to set traps in; those that it may not enter are
entered by the arbiter.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gunicorn.logs.opening import Identity, open_to_append
from tests.logging.test_survival import inodes, told
from tests.servers import HELLO, Server
from tests.worker_classes import WORKER_CLASSES

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

NOBODY = pwd.getpwnam("nobody")
USER = Identity(NOBODY.pw_uid, NOBODY.pw_gid)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter, unlike tmp_path, whose parents are closed."""
    folder = Path(tempfile.mkdtemp(prefix="gunicorn-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def owner(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_uid, status.st_gid


def give(path: Path) -> None:
    os.chown(path, *USER, follow_symlinks=False)


def a_secret(place: Path) -> Path:
    secret = place / "secret"
    secret.write_text("of root\n")
    secret.chmod(0o600)
    return secret


def closed(fd: int) -> None:
    os.close(fd)


# Opening


def test_what_the_user_may_open_is_opened_as_the_user(place: Path) -> None:
    give(place)
    closed(open_to_append(str(place / "a.log"), USER))
    assert owner(place / "a.log") == USER
    assert (os.geteuid(), os.getegid()) == (0, 0)


def test_a_log_in_a_folder_of_root_is_given_to_the_user(place: Path) -> None:
    closed(open_to_append(str(place / "a.log"), USER))
    assert owner(place / "a.log") == USER
    (place / "old.log").touch()
    closed(open_to_append(str(place / "old.log"), USER))
    assert owner(place / "old.log") == USER


def test_links_that_root_has_made_are_followed(place: Path) -> None:
    (place / "disk").mkdir()
    (place / "log").symlink_to(place / "disk")
    (place / "disk" / "a.log").symlink_to("b.log")
    (place / "disk" / "b.log").symlink_to("../disk/./c.log")
    closed(open_to_append(str(place / "log" / "a.log"), USER))
    assert owner(place / "disk" / "c.log") == USER


@pytest.mark.parametrize("way", ["relative", "absolute", "of its folder", "dangling"])
def test_links_that_others_can_make_are_not(place: Path, way: str) -> None:
    secret = a_secret(place)
    theirs = place / "theirs"
    theirs.mkdir()
    path = theirs / "a.log"
    if way == "relative":
        path.symlink_to("../secret")
    elif way == "absolute":
        path.symlink_to(secret)
    elif way == "dangling":
        path.symlink_to(place / "made")
    else:
        (theirs / "sub").symlink_to(place)
        path = theirs / "sub" / "secret"
    give(theirs)
    with pytest.raises(OSError, match="is a symbolic link in a folder where others"):
        open_to_append(str(path), USER)
    assert owner(secret) == (0, 0)
    assert secret.read_text() == "of root\n"
    assert not (place / "made").exists()


def test_a_hard_link_is_not_taken_for_a_log(place: Path) -> None:
    secret = a_secret(place)
    theirs = place / "theirs"
    theirs.mkdir()
    os.link(secret, theirs / "a.log")
    give(theirs)
    with pytest.raises(OSError, match="no plain file with one name"):
        open_to_append(str(theirs / "a.log"), USER)
    assert owner(secret) == (0, 0)


def test_a_folder_that_others_may_write_by_its_mode_is_not_trusted(place: Path) -> None:
    secret = a_secret(place)
    for number, mode in enumerate((0o777, 0o1777, 0o775)):
        theirs = place / f"theirs{number}"
        theirs.mkdir()
        theirs.chmod(mode)
        if mode == 0o775:
            os.chown(theirs, 0, USER.gid)
        (theirs / "a.log").symlink_to(secret)
        with pytest.raises(OSError, match=r"symbolic link|Permission denied"):
            open_to_append(str(theirs / "a.log"), USER)
    assert owner(secret) == (0, 0)


def test_a_file_of_root_in_a_folder_of_the_user_is_written_and_not_given_away(place: Path) -> None:
    theirs = place / "theirs"
    theirs.mkdir()
    give(theirs)
    (theirs / "a.log").touch()
    (theirs / "a.log").chmod(0o600)
    fd = open_to_append(str(theirs / "a.log"), USER)
    os.write(fd, b"a line\n")
    os.close(fd)
    assert owner(theirs / "a.log") == (0, 0)
    assert (theirs / "a.log").read_text() == "a line\n"


def test_standard_output_by_its_path(place: Path) -> None:
    reader, writer = os.pipe()
    try:
        fd = open_to_append(f"/proc/self/fd/{writer}", USER)
        os.write(fd, b"a line\n")
        os.close(fd)
        assert os.read(reader, 99) == b"a line\n"
    finally:
        os.close(reader)
        os.close(writer)


def test_a_fifo_that_nobody_reads_holds_up_nobody(place: Path) -> None:
    os.mkfifo(place / "fifo")
    for user in (None, USER):
        fd = open_to_append(str(place / "fifo"), user)
        assert os.write(fd, b"a line\n") == 7
        os.close(fd)


# The command


def start(place: Path, *args: str) -> Server:
    return Server("app:app", "--user", "nobody", *args, cwd=place, files={"app.py": HELLO})


FLAGS = ("--error-logfile", "log/e.log", "--access-logfile", "log/a.log")
LOGCONFIG = """\
logconfig_dict = {
    "handlers": {
        "errors": {"class": "logging.FileHandler", "filename": "log/e.log"},
        "requests": {"class": "logging.handlers.RotatingFileHandler", "filename": "log/a.log"},
    },
    "loggers": {
        "gunicorn.error": {"handlers": ["errors"]},
        "gunicorn.access": {"handlers": ["requests"]},
    },
}
"""
BY_HANDLERS = {"own": FLAGS, "logconfig": ("--config", "conf.py")}


@pytest.mark.parametrize("handlers", BY_HANDLERS)
@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_a_link_in_place_of_a_log_gives_nothing_away(
    place: Path, preload: tuple[str, ...], handlers: str
) -> None:
    (place / "conf.py").write_text(LOGCONFIG)
    secrets = [place / "of-root", place / "of-root-too"]
    for secret in secrets:
        secret.write_text("secret\n")
        secret.chmod(0o600)
    (place / "log").mkdir()
    give(place / "log")
    with start(place, *BY_HANDLERS[handlers], *preload) as server:
        assert server.get("/").status == 200
        for name, secret in zip(("e.log", "a.log"), secrets, strict=True):
            (place / "log" / name).rename(place / "log" / f"{name}.1")
            (place / "log" / name).symlink_to(secret)
        server.send_signal(signal.SIGUSR1)
        server.until(
            lambda: (place / "log/e.log.1").read_text().count("could not be reopened") >= 2,
            "the refusals",
        )
        assert server.get("/after").status == 200
        told((place / "log/a.log.1").read_text, "GET /after ")
    for secret in secrets:
        assert owner(secret) == (0, 0)
        assert secret.read_text() == "secret\n"


@pytest.mark.parametrize("handlers", BY_HANDLERS)
@pytest.mark.parametrize("daemon", [(), ("--daemon", "--pid", "pid")])
def test_a_link_that_is_there_at_the_start_refuses_it(
    place: Path, daemon: tuple[str, ...], handlers: str
) -> None:
    (place / "conf.py").write_text(LOGCONFIG)
    secret = a_secret(place)
    (place / "log").mkdir()
    give(place / "log")
    (place / "log" / "a.log").symlink_to(secret)
    options = (*BY_HANDLERS[handlers], "--user", "nobody", *daemon)
    with Server("app:app", *options, cwd=place, files={"app.py": HELLO}, wait=False) as server:
        assert server.wait() == (0 if daemon else 1)
        server.until(lambda: not server.leftovers(), "the end of the daemon")
        if not daemon:
            assert "a.log" in server.log() and "Traceback" not in server.log()
    assert owner(secret) == (0, 0)
    assert secret.read_text() == "of root\n"


@pytest.mark.parametrize("preload", [(), ("--preload",)])
@pytest.mark.parametrize("name", WORKER_CLASSES)
def test_workers_get_new_logs_that_they_may_not_open(
    place: Path, name: str, preload: tuple[str, ...]
) -> None:
    folder = place / "log"
    folder.mkdir()
    options = ("--user", "nobody", *WORKER_CLASSES[name], *FLAGS, *preload)
    with Server("app:app", *options, cwd=place, files={"app.py": HELLO}) as server:
        count = 2 if name == "sync-siblings" else 1
        # And the template.
        server.wait_workers(count + len(preload))
        for number in range(3):
            assert server.get(f"/before/{number}").status == 200
            told((folder / "a.log").read_text, f"GET /before/{number} ")
            folder.chmod(0o700)
            for log in ("e.log", "a.log"):
                (folder / log).rename(folder / f"{log}.{number}")
            server.send_signal(signal.SIGUSR1)

            def renewed() -> bool:
                logs = [folder / "e.log", folder / "a.log"]
                if not all(log.exists() for log in logs):
                    return False
                wanted = {log.stat().st_ino for log in logs}
                return all(wanted <= set(inodes(pid)) for pid in server.workers())

            server.until(renewed, "the new files in every worker")
            assert server.get(f"/after/{number}").status == 200
            told((folder / "a.log").read_text, f"GET /after/{number} ")
        workers = server.workers()
    said = "".join(log.read_text() for log in folder.glob("e.log*"))
    assert "[ERROR]" not in said
    if not preload:
        assert all(f"Worker exiting (pid: {pid})" in said for pid in workers)
    assert owner(folder / "a.log") == USER


def test_a_log_configuration_gets_new_logs_that_workers_may_not_open(place: Path) -> None:
    folder = place / "log"
    folder.mkdir()
    (place / "conf.py").write_text(LOGCONFIG)
    with start(place, "--threads", "3", "--config", "conf.py") as server:
        assert server.get("/before").status == 200
        told((folder / "a.log").read_text, "GET /before ")
        folder.chmod(0o700)
        (folder / "a.log").rename(folder / "a.log.1")
        (worker,) = server.wait_workers(1)
        server.send_signal(signal.SIGUSR1)
        server.until(
            lambda: (
                (folder / "a.log").exists()
                and (folder / "a.log").stat().st_ino in set(inodes(worker))
            ),
            "the new file in the worker",
        )
        assert server.get("/after").status == 200
        told((folder / "a.log").read_text, "GET /after ")


STEALING = """\
import os
import socket

def app(environ, start_response):
    stolen = b""
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            sock = socket.socket(fileno=os.dup(number))
        except OSError:
            continue
        if sock.type == socket.SOCK_SEQPACKET:
            try:
                sock.send(b"injected")
            except OSError as error:
                stolen += type(error).__name__.encode() + b" "
            try:
                stolen += sock.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                stolen += b"nothing"
        sock.close()
    start_response("200 OK", [("Content-Length", str(len(stolen)))])
    return [stolen]
"""


def test_a_worker_that_was_taken_over_cannot_put_files_into_its_siblings(place: Path) -> None:
    (place / "log").mkdir()
    options = (*FLAGS, "--user", "nobody", "--workers", "2")
    with Server("app:app", *options, cwd=place, files={"app.py": STEALING}) as server:
        pids = server.wait_workers(2)
        (place / "log").chmod(0o700)
        server.send_signal(signal.SIGUSR1)
        said = server.get("/").body
        # It can send nothing, and at most take away what was meant for all.
        assert said.startswith(b"BrokenPipeError")
        for _ in range(3):
            server.send_signal(signal.SIGUSR1)
            assert server.get("/").body.startswith(b"BrokenPipeError")
        assert server.workers() == pids


# The user


def test_the_socket_belongs_to_the_user(place: Path) -> None:
    path = place / "gunicorn.sock"
    options = ("--user", "nobody")
    with Server(
        "app:app", *options, cwd=place, files={"app.py": HELLO}, bind=f"unix:{path}"
    ) as server:
        assert server.get("/").status == 200
        assert stat.S_ISSOCK(path.lstat().st_mode)
        assert owner(path) == USER


WHO = """\
import os

def app(environ, start_response):
    body = f"{os.getresuid()} {os.getresgid()} {sorted(os.getgroups())}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def who(place: Path, *options: str) -> tuple[str, str]:
    with Server("app:app", *options, cwd=place, files={"app.py": WHO}) as server:
        return server.get("/").text, server.log()


def test_a_user_alone_takes_its_own_group(place: Path) -> None:
    body, _ = who(place, "--user", "nobody")
    uid, gid = USER
    assert body.startswith(f"({uid}, {uid}, {uid}) ({gid}, {gid}, {gid}) ")
    assert "[0" not in body


def test_a_group_that_is_named_is_taken(place: Path) -> None:
    other = next(each for each in grp.getgrall() if each.gr_gid not in {0, USER.gid})
    body, _ = who(place, "--user", "nobody", "--group", other.gr_name)
    uid, gid = USER.uid, other.gr_gid
    assert body.startswith(f"({uid}, {uid}, {uid}) ({gid}, {gid}, {gid}) ")


def test_a_user_without_an_entry_keeps_the_group_and_is_warned_of(place: Path) -> None:
    body, log = who(place, "--user", "54321")
    assert body.startswith("(54321, 54321, 54321) (0, 0, 0)")
    assert "user 54321 is not in the user database" in log


@pytest.mark.parametrize("group", [(), ("--group", "43210")])
def test_initgroups_without_an_entry_sets_the_group_alone(
    place: Path, group: tuple[str, ...]
) -> None:
    body, log = who(place, "--user", "54321", "--initgroups", *group)
    gid = 43210 if group else 0
    assert body.startswith(f"(54321, 54321, 54321) ({gid}, {gid}, {gid})")
    assert "initgroups: user 54321 is not in the user database" in log


def test_initgroups_takes_the_groups_of_the_user(place: Path) -> None:
    body, log = who(place, "--user", "nobody", "--initgroups")
    assert body.endswith(f"{sorted(os.getgrouplist('nobody', USER.gid))}")
    assert "[WARNING]" not in log


AS_STRANGER = """\
import os
import gunicorn.app.loading, gunicorn.arbiter.arbiter, gunicorn.glogging, gunicorn.workers.sync
from gunicorn.app import wsgiapp
from gunicorn.config import Config
from gunicorn.workers import provisions
import locale
# The user that this process becomes may be unable to read the installation.
for name in (*provisions.STANDARD, *provisions.OWN, *provisions.COMPILED):
    __import__(name)
Config().parser().format_help()
os.setgroups([])
os.setgid(54321)
os.setuid(54321)
wsgiapp.run()
"""


def test_initgroups_of_a_stranger_that_is_no_root(place: Path) -> None:
    """As on container platforms that give every container a user of its own."""
    command = (sys.executable, "-c", AS_STRANGER)
    files = {"app.py": WHO}
    with Server("app:app", "--initgroups", cwd=place, command=command, files=files) as server:
        body = server.get("/").text
        server.wait_for("initgroups: user 54321 is not in the user database")
    assert body == "(54321, 54321, 54321) (54321, 54321, 54321) []"
