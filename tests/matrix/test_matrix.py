"""All pairs of what meets in real deployments: started, used, reloaded, rotated, stopped.

A new way to deploy, to log or to load is a value more in tests/matrix/deployments.py, and meets all
others from then on.

Each deployment has a server of its own, and the same happens to all of them. Every answer must be
right, every request have its line in the access log once, and every error that was provoked its
traceback in the right log, and nothing else be in any of them that alarms somebody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import readable
from tests.matrix.deployments import Deployment, deployments
from tests.matrix.expected import records
from tests.matrix.logs import SEVERE
from tests.matrix.run import Run
from tests.programs import is_root

pytestmark = pytest.mark.matrix

TRACEBACK = "Traceback (most recent call last)"
MAINTAINED = "eventlet is only maintained"


@pytest.fixture
def run(deployment: Deployment, tmp_path: Path) -> Iterator[Run]:
    with readable.folder() as folder:
        place = folder if deployment.user == "nobody" else tmp_path
        run = Run(deployment, place)
        try:
            yield run
        finally:
            print(run)  # pytest shows it when the test fails
            run.clean_up()
            run.logs.close()


def of(user: str) -> list[Deployment]:
    return [deployment for deployment in deployments() if deployment.user == user]


@pytest.mark.parametrize("deployment", of("own"), ids=str)
def test_a_deployment(run: Run) -> None:
    live(run)


@pytest.mark.parametrize("deployment", of("nobody"), ids=str)
def test_a_deployment_as_nobody(run: Run) -> None:
    """Which takes root: tests/programs.py has it."""
    assert is_root()
    live(run)


def live(run: Run) -> None:
    """All that happens to a server, and then the looks at its logs."""
    run.wait_ready()
    first = run.children()
    for path in ("/hello", "/echo", "/error", "/crash", "/hello"):
        run.request(path)
    if run.deployment.recycling == "recycled":
        run.recycled(first)
    run.reload()
    for path in ("/hello", "/echo"):
        run.request(path)
    run.rotate()
    for path in ("/hello", "/crash", "/hello"):
        run.request(path)
    run.stop()
    check_access_log(run)
    check_error_log(run)
    check_errors(run)
    check_streams(run)


def check_access_log(run: Run) -> None:
    """A line for each request, and nothing else; after USR1 in the new file."""
    assert run.logs.requests(run.logs.access()) == run.asked
    if run.logs.in_files:
        new = (run.folder / "logs/access.log").read_text()
        assert run.logs.requests(new) == run.asked - run.asked_before_usr1


def check_error_log(run: Run) -> None:
    """What is logged after USR1 is in the new file, to the last line."""
    if run.logs.in_files:
        new = (run.folder / "logs/error.log").read_text()
        assert new.count(TRACEBACK) == 1
        assert f"crashed {run.crashed[-1]}\n" in new
        assert "Shutting down: Master" in new.splitlines()[-1]


def check_errors(run: Run) -> None:
    """A traceback for each error where it belongs, and nothing else above the level info."""
    messages = [f"RuntimeError: crashed {n}\n" for n in run.crashed]
    messages += [f"ValueError: failed {n}\n" for n in run.failed]
    texts = run.texts()
    found = {place: Counter({m: text.count(m) for m in messages}) for place, text in texts.items()}
    expected = {place: Counter(dict.fromkeys(messages, 0)) for place in texts}
    levels = dict.fromkeys(texts, 0)
    for record in records(run):
        if record.place in texts:
            expected[record.place][record.message] += 1
            levels[record.place] += record.has_level
    assert found == expected
    tracebacks = {place: text.count(TRACEBACK) for place, text in texts.items()}
    assert tracebacks == {place: counts.total() for place, counts in expected.items()}
    severe = {
        place: [x for x in text.splitlines() if SEVERE.search(x) and MAINTAINED not in x]
        for place, text in texts.items()
    }
    assert {place: len(lines) for place, lines in severe.items()} == levels, severe


def check_streams(run: Run) -> None:
    """What is printed goes to standard output, or into the error log; nobody else says anything."""
    printed = [f"printed {n}" for n in run.printed]
    out, error = run.logs.stream("out").splitlines(), run.logs.error().splitlines()
    captured = run.deployment.logs == "capture"
    assert [line for line in error if line.startswith("printed ")] == (printed if captured else [])
    requests = run.logs.access().splitlines() if run.deployment.logs == "streams" else []
    visible = [] if captured or run.deployment.process == "daemon" else printed
    assert Counter(out) == Counter(requests + visible)
    if run.logs.in_files and TRACEBACK not in run.logs.stream("err"):
        assert run.logs.stream("err") == ""
