"""A Django project whose URLconf cannot be imported, which its first request alone would tell."""

from __future__ import annotations

import re
import signal
import textwrap
from pathlib import Path

import pytest

from tests.integration.test_django import FILES
from tests.servers import Server

ROOT = Path(__file__).parents[2]


def documented_hook() -> str:
    """The configuration that docs/reliability.md gives for it."""
    text = (ROOT / "docs/reliability.md").read_text()
    found = re.search(r"^    def post_worker_init.*?(?=^\S)", text, re.MULTILINE | re.DOTALL)
    assert found
    return textwrap.dedent(found[0])


@pytest.mark.parametrize("options", [(), ("--preload",)])
def test_a_urlconf_that_is_broken_calls_the_reload_off(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    files = {**FILES, "gunicorn.conf.py": documented_hook()}
    with Server("project.wsgi", *options, "-w", "2", cwd=tmp_path, files=files) as server:
        before = server.get("/").status
        assert before < 500
        urls = tmp_path / "project/urls.py"
        whole = urls.read_text()
        urls.write_text(whole + "\nfrom nowhere import views\n")
        server.send_signal(signal.SIGHUP)
        server.wait_for("Reload called off")
        server.wait_for("No module named 'nowhere'")
        assert server.get("/").status == before
        urls.write_text(whole)
        server.send_signal(signal.SIGHUP)
        server.wait_for("Reload done")
        assert server.get("/").status == before
