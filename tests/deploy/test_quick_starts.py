"""The quick starts of the README, taken from its text: Flask, and Django in both ways."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.places import ROOT
from tests.servers import Server, free_port

README = (ROOT / "README.md").read_text()


def section(title: str) -> str:
    return README.partition(f"## {title}\n")[2].partition("\n## ")[0]


def code(title: str) -> str:
    (found,) = re.findall(r"```python\n(.*?)```", section(title), re.DOTALL)
    return str(found)


def command(title: str, start: str) -> list[str]:
    """The words after `start` of the command in that section that begins with it."""
    (found,) = re.findall(rf"^    {start} (.*)$", section(title), re.MULTILINE)
    return shlex.split(found)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A new Django project as django-admin makes it, with the README's settings."""
    made = subprocess.run(
        [sys.executable, "-m", "django", "startproject", "project", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    settings = tmp_path / "project" / "settings.py"
    added = code("Quick start: Django").replace("INSTALLED_APPS =", "INSTALLED_APPS +=")
    settings.write_text(settings.read_text() + added)
    return tmp_path


def test_flask(tmp_path: Path) -> None:
    *flags, app = command("Quick start: Flask", "gunicorn")
    (tmp_path / "hello.py").write_text(code("Quick start: Flask"))
    position = flags.index("--bind")
    del flags[position : position + 2]  # the test has a port of its own
    with Server(app, *flags, cwd=tmp_path) as server:
        assert server.get("/").text == "Hello\n"
        assert len(server.wait_workers(3)) == 3


def test_django(project: Path) -> None:
    *flags, app = command("Quick start: Django", "gunicorn")
    with Server(app, *flags, cwd=project) as server:
        assert "The install worked successfully" in server.get("/").text
        assert len(server.wait_workers(3)) == 3


def test_django_by_manage_py(project: Path) -> None:
    arguments = command("Quick start: Django", "python")
    settings = project / "project" / "settings.py"
    port = free_port()
    settings.write_text(settings.read_text().replace("127.0.0.1:8000", f"127.0.0.1:{port}"))
    with Server(
        None,
        *arguments,
        cwd=project,
        bind="",
        address=("127.0.0.1", port),
        command=(sys.executable,),
    ) as server:
        assert "The install worked successfully" in server.get("/").text
        assert len(server.wait_workers(3)) == 3
