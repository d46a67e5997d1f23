"""What the documents point to is there, and the commands they name are those of the Makefile."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from gunicorn.config import Config
from tests.deploy.places import ROOT

DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text()):
        assert (document.parent / target).exists(), target


def test_the_commands_of_the_documents_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for document in DOCUMENTS:
        named = re.findall(r"(?:^|`)make ([a-z]+)", document.read_text(), re.MULTILINE)
        assert set(named) <= targets, document


def test_the_script_of_ci_is_sound() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111, "executable"
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name", ["nginx.conf", "gunicorn.service", "gunicorn.socket", "Dockerfile", "kubernetes.yaml"]
)
def test_files_to_deploy_with_are_described(name: str) -> None:
    assert f"deploy/{name}" in (ROOT / "docs" / "deploy.md").read_text()


def test_every_setting_that_is_not_supported_is_listed() -> None:
    text = (ROOT / "docs" / "differences.md").read_text().partition("## Not supported yet")[2]
    named = re.findall(r"`([a-z0-9_]+\*?)`", text)
    settings = Config().settings.values()
    unsupported = {each.name for each in settings if not each.declaration.supported}
    listed = {
        name
        for name in Config().settings
        if any(name == one or (one[-1] == "*" and name.startswith(one[:-1])) for one in named)
    }
    assert unsupported == listed
