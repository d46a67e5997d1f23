"""The real command, for what ends before it serves."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from gunicorn.config import Config

APP = "def app(environ, start_response):\n    return []\nnumber = 3\n"

VERSIONS = [f"gunicorn (version 27.1.0, {parser} HTTP parser)\n" for parser in ("fast", "python")]


@pytest.fixture
def run(tmp_path: Path):
    (tmp_path / "shop.py").write_text(APP)

    def call(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if k not in ("PORT", "WEB_CONCURRENCY")}
        return subprocess.run(
            [sys.executable, "-m", "gunicorn", *words],
            cwd=tmp_path,
            env={**inherited, **variables},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return call


def test_version(run) -> None:
    result = run("--version")
    assert (result.returncode, result.stdout) in [(0, line) for line in VERSIONS]


def test_the_installed_command() -> None:
    command = Path(sysconfig.get_path("scripts"), "gunicorn")
    said = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout in VERSIONS


def test_help(run) -> None:
    result = run("--help")
    assert result.returncode == 0
    assert "usage: gunicorn [OPTIONS] [APP_MODULE]" in result.stdout
    assert "Worker Processes:" in result.stdout


def test_check_config(run) -> None:
    result = run("--check-config", "shop:app")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_check_config_refuses_what_the_start_refuses(run) -> None:
    result = run("--check-config", "--refork-after", "5", "-k", "gthread", "shop:app")
    assert result.returncode == 1
    assert "refork_after = 5 (flag --refork-after): workers of the class gthread" in result.stderr


def test_print_config(run) -> None:
    result = run("--print-config", "-w", "3", "shop:app")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert len(lines) == len(Config(environ={}).settings)
    assert "workers                            = 3" in lines
    assert "default_proc_name                  = shop:app" in lines


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 1, "Error: no application"),
        (["shop:number"], 1, "Error: application 'shop:number': it is an object of type int"),
        (["shop:ap"], 1, "did you mean 'app'?"),
        (["shpo:app"], 1, "Error: application 'shpo:app': there is no module 'shpo'; did you mean"),
        (["-k", "snyc", "shop:app"], 1, "Error: worker class 'snyc' is neither known"),
        (["--logger-class", "a.B", "shop:app"], 1, "logger class 'a.B' cannot be imported"),
        (["-k", "collections.OrderedDict", "shop:app"], 1, "is not a worker class"),
        (["--wrokers", "2", "shop:app"], 2, "did you mean --workers?"),
        (["-w", "x", "shop:app"], 1, "Error: workers = 'x' (flag -w): expected a whole number"),
        (["-c", "x.py", "shop:app"], 1, "Error: there is no configuration file 'x.py'"),
    ],
)
def test_errors(run, words: list[str], code: int, message: str) -> None:
    result = run("--check-config", *words)
    assert result.returncode == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_wrong_variables(run) -> None:
    result = run("--check-config", "shop:app", WEB_CONCURRENCY="abc")
    assert result.returncode == 1
    assert "Error: workers = 'abc' (environment variable WEB_CONCURRENCY): " in result.stderr
    result = run("--check-config", "shop:app", GUNICORN_CMD_ARGS="--timeout soon")
    assert result.returncode == 1
    assert "Error: timeout = 'soon' (GUNICORN_CMD_ARGS --timeout): " in result.stderr


def test_syntax_error_in_the_configuration(run, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("workers = = 2\n")
    result = run("--check-config", "shop:app")
    assert result.returncode == 1
    assert result.stderr == (
        "Error: syntax error in ./gunicorn.conf.py, line 1: invalid syntax\n"
        "    workers = = 2\n"
        "              ^\n"
    )


def test_application_that_raises_shows_the_users_frames(run, tmp_path: Path) -> None:
    (tmp_path / "raising.py").write_text("import helper\n")
    (tmp_path / "helper.py").write_text("{}['the key']\n")
    result = run("--check-config", "raising:app")
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert lines[0] == "Error: the application cannot be loaded"
    assert [line for line in lines if line.startswith("  File ")] == [
        f'  File "{tmp_path}/raising.py", line 1, in <module>',
        f'  File "{tmp_path}/helper.py", line 1, in <module>',
    ]
    assert lines[-1] == "KeyError: 'the key'"
