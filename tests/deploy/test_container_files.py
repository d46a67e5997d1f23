"""The Dockerfile and the Kubernetes manifest: what they copy, call and probe exists."""

from __future__ import annotations

import fnmatch
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.places import DEPLOY, ROOT, check_config
from tests.servers import Server

DEMO_FILES = {path.name: path.read_text() for path in (ROOT / "examples/demo").glob("*.py")}


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, comments and line continuations taken away."""
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if line.strip() and not line.startswith("#"))
    joined = text.replace("\\\n", " ").splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined]


def last(name: str) -> str:
    return [argument for each, argument in instructions() if each == name][-1]


def manifest(kind: str) -> dict[str, Any]:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    (found,) = [document for document in documents if document["kind"] == kind]
    return dict(found)


def container() -> dict[str, Any]:
    (found,) = manifest("Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def probed_paths() -> set[str]:
    probes = [container()["readinessProbe"], container()["livenessProbe"]]
    return {probe["httpGet"]["path"] for probe in probes} | {
        json.loads(last("HEALTHCHECK").partition("CMD ")[2])[2].split(":8000")[1].split("'")[0]
    }


def test_the_image_runs_a_command_that_gunicorn_accepts() -> None:
    program, *arguments = json.loads(last("CMD"))
    assert program == "gunicorn"
    check_config(arguments)


def test_the_image_listens_on_the_port_it_exposes() -> None:
    arguments = json.loads(last("CMD"))
    assert arguments[arguments.index("--bind") + 1] == f"0.0.0.0:{last('EXPOSE')}"


def test_the_image_is_not_run_by_root() -> None:
    assert int(last("USER")) > 0
    assert f"--uid {last('USER')}" in last("RUN")


def test_what_the_image_copies_is_in_the_context() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split("\n")
    allowed = [line[1:] for line in ignored if line.startswith("!")]
    for name, argument in instructions():
        words = shlex.split(argument)
        if name != "COPY" or words[0].startswith("--from"):
            continue
        for source in words[:-1]:
            assert (ROOT / source).exists(), source
            assert any(fnmatch.fnmatch(source, pattern) for pattern in allowed), source


def test_the_image_is_built_from_all_that_the_build_reads() -> None:
    """Without setup.py the installation succeeds too, but has no compiled modules."""
    copied = {
        source for name, words in instructions() if name == "COPY" for source in words.split()
    }
    assert {"pyproject.toml", "setup.py", "README.md", "LICENSE", "src"} <= copied


def test_the_pod_runs_a_command_that_gunicorn_accepts() -> None:
    assert container()["command"] == ["gunicorn"]
    check_config(container()["args"])


def test_the_pod_has_time_to_stop() -> None:
    pod = manifest("Deployment")["spec"]["template"]["spec"]
    program, seconds = container()["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    (graceful,) = [
        int(argument.partition("=")[2])
        for argument in container()["args"]
        if argument.startswith("--graceful-timeout")
    ]
    assert pod["terminationGracePeriodSeconds"] > int(seconds) + graceful


def test_the_service_finds_the_pods() -> None:
    deployment, service = manifest("Deployment")["spec"], manifest("Service")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == service["selector"] == labels
    (port,) = container()["ports"]
    assert service["ports"][0]["targetPort"] == port["name"]
    (bind,) = [argument for argument in container()["args"] if argument.startswith("--bind")]
    assert bind.endswith(f":{port['containerPort']}")


def test_the_pod_runs_as_the_user_of_the_image() -> None:
    pod = manifest("Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsUser"] == int(last("USER"))


@pytest.mark.parametrize("source", ["Dockerfile", "kubernetes"])
def test_the_command_serves_what_is_probed(source: str, tmp_path: Path) -> None:
    arguments = json.loads(last("CMD"))[1:] if source == "Dockerfile" else container()["args"]
    elsewhere = [
        argument
        for before, argument in zip(["", *arguments], arguments, strict=False)
        if "--bind" not in argument and before != "--bind" and argument != "demo:app"
    ]
    with Server("demo:app", *elsewhere, cwd=tmp_path, files=DEMO_FILES) as server:
        for path in probed_paths():
            assert server.get(path).status == 200
        line = server.wait_for(r'^\{"time":.*\}$').group()
        assert json.loads(line)["status"] == 200
