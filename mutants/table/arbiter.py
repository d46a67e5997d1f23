"""The supervisor: who is started, watched, replaced and ended, and when."""

from __future__ import annotations

from mutants.entry import Mutation

UNITS = ("tests/arbiter/test_units.py",)
LIFE = ("tests/arbiter/test_life.py",)
BOOT = ("tests/arbiter/test_boot.py",)
PROCESS = ("tests/arbiter/test_process.py",)
HANGS = ("tests/faults/test_hangs.py",)
STOPPING = ("tests/faults/test_stopping.py",)
QUIT = "tests/integration/test_quit.py::"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "arbiter/watch.py",
        "                member.outgrown = replacing = True\n",
        "                member.outgrown = True\n",
        "workers that have grown together are replaced together",
        ("tests/arbiter/test_one_at_a_time.py",),
        required=True,
    ),
    Mutation(
        "arbiter/watch.py",
        "any(member.outgrown and not member.asked_to_go for member in members)",
        "False",
        "workers that have grown are replaced before the last has a successor",
        ("tests/arbiter/test_one_at_a_time.py",),
        required=True,
    ),
    Mutation(
        "arbiter/workforce.py",
        "        slot.stopping = arbiter.stop_at is not None\n",
        "",
        "the health check of a worker born during shutdown_delay says that all is well",
        ("tests/arbiter/test_in_the_delay.py",),
        required=True,
    ),
    Mutation(
        "workers/handler.py",
        "        self.cells[BUSY_SINCE] = 0.0\n        return True\n",
        "        return True\n",
        "a worker is killed for a client that downloads slowly",
        (QUIT + "test_a_download_is_not_the_time_of_the_application",),
        required=True,
    ),
    Mutation(
        "workers/handler.py",
        "response.abandon()\n                self.close(result, request)\n                raise\n",
        "response.abandon()\n                raise\n",
        "QUIT in the middle of a response leaves the application's iterable open",
        (QUIT + "test_the_iterable_of_the_application_is_closed",),
        required=True,
    ),
    Mutation(
        "arbiter/watch.py",
        "            if size > limit * HARD_LIMIT:\n",
        "            if False:\n",
        "a worker that grows fast takes all memory",
        ("tests/faults/test_hangs.py::test_a_worker_that_grows_fast_is_killed",),
    ),
    Mutation(
        "arbiter/watch.py",
        "        elif since >= PATIENCE and not member.dumped:\n",
        "        elif False:\n",
        "a worker stuck in C code is killed without its stacks",
        ("tests/faults/test_hangs.py::test_also_when_it_cannot_run_python_any_more",),
    ),
    Mutation(
        "arbiter/watch.py",
        "        if since >= PATIENCE + DUMPING:\n",
        "        if False:\n",
        "a worker stuck in C code is never killed",
        (
            "tests/faults/test_hangs.py::test_also_when_it_cannot_run_python_any_more",
            "tests/faults/test_hangs.py::test_also_when_its_main_thread_is_stuck_in_c",
        ),
    ),
    Mutation(
        "arbiter/backoff.py",
        "            self.rounds += 1\n",
        "",
        "a worker that cannot boot is tried ten times a second",
        UNITS,
    ),
    Mutation(
        "arbiter/backoff.py",
        "min(FIRST * 2**self.rounds, LONGEST)",
        "FIRST * 2**self.rounds",
        "a server that failed for a night needs days to come back",
        UNITS,
    ),
    Mutation(
        "arbiter/backoff.py",
        "        if now >= self.until:\n            self.until",
        "        if True:\n            self.until",
        "four workers that fail at once count as four failures",
        UNITS,
    ),
    Mutation(
        "arbiter/pool.py",
        "        staying.sort(key=lambda member: member.booted)\n",
        "",
        "TTOU ends a worker that serves in place of one that boots",
        ("tests/arbiter/test_who_goes_first.py",),
    ),
    Mutation(
        "arbiter/pool.py",
        "        leaving.sort(key=lambda member: member.booted)\n",
        "",
        "a worker that serves is replaced before one that does not",
        ("tests/arbiter/test_who_goes_first.py",),
    ),
    Mutation(
        "arbiter/signals.py",
        "        if signum in COUNTED or signum not in self._waiting:\n",
        "        if signum not in self._waiting:\n",
        "two TTIN are one worker",
        UNITS,
    ),
    Mutation(
        "arbiter/signals.py",
        "            signal.signal(signum, signal.SIG_IGN)\n",
        "            pass\n",
        "TERM twice ends with the exit code of a crash",
        (
            "tests/arbiter/test_life.py::test_who_signals_until_the_very_end_does_not_change_the_exit_code",
        ),
    ),
    Mutation(
        "arbiter/signals.py",
        "        signal.signal(signal.SIGUSR1, _receive)\n",
        "",
        "a rotation of logs kills workers that boot",
        ("tests/arbiter/test_log_rotation.py::test_a_worker_survives_before_it_has_handlers",),
    ),
    Mutation(
        "arbiter/commands.py",
        "    if arbiter.num_workers > 1:\n",
        "    if arbiter.num_workers > 0:\n",
        "TTOU ends the last worker",
        ("tests/arbiter/test_life.py::test_ttin_and_ttou",),
    ),
    Mutation(
        "arbiter/shutdown.py",
        "            if signum == signal.SIGUSR1:\n                arbiter.reopen_logs()\n",
        "            if False:\n                pass\n",
        "logs are not reopened while requests are finished",
        (
            "tests/arbiter/test_log_rotation.py::test_logs_are_reopened_while_the_last_requests_are_finished",
        ),
    ),
    Mutation(
        "arbiter/shutdown.py",
        "                graceful, asked = False, now\n"
        "                arbiter.workforce.end_all(graceful=False)\n",
        "                pass\n",
        "INT after TERM does not hurry",
        ("tests/arbiter/test_hurry.py",),
    ),
    Mutation(
        "arbiter/reaper.py",
        "        if self.signum == signal.SIGKILL:\n",
        "        if False:\n",
        "the log does not say that memory may be short",
        UNITS,
    ),
    Mutation(
        "arbiter/pidfile.py",
        "        if self.pid is not None and self.read() == self.pid:\n",
        "        if self.pid is not None:\n",
        "the pidfile of another server is removed",
        UNITS,
    ),
    Mutation(
        "arbiter/pidfile.py",
        "                os.rename(temporary, path)\n",
        "                os.rename(temporary, path + 'x')\n",
        "the pidfile has another name",
        UNITS,
    ),
    Mutation(
        "arbiter/pidfile.py",
        "        with contextlib.suppress(FileNotFoundError):\n"
        "            os.unlink(self.path)\n        self.path = new\n",
        "        self.path = new\n",
        "a pidfile that is renamed stays under its old name, too",
        UNITS,
    ),
    Mutation(
        "arbiter/pidfile.py",
        'return _stat_of(pid)[:1] != [b"Z"]',
        "return True",
        "a zombie keeps the pidfile",
        UNITS,
    ),
    Mutation(
        "arbiter/workforce.py",
        "            signum = signal.SIGINT\n",
        "            pass\n",
        "a worker that still imports is not ended by TERM",
        (
            "tests/arbiter/test_reload.py::test_term_during_a_reload_stops_all",
            "tests/arbiter/test_life.py::test_what_outlasts_graceful_timeout_is_killed",
        ),
    ),
    Mutation(
        "arbiter/workforce.py",
        "            if death.code == child.APP_LOAD_ERROR:\n",
        "            if False:\n",
        "an application that is not there ends with another exit code than 4",
        ("tests/arbiter/test_boot.py::test_an_application_that_is_not_there_ends_with_four",),
    ),
    Mutation(
        "scoreboard.py",
        "        slot.pid = 0\n",
        "",
        "a worker that is alone believes in siblings that are gone",
        ("tests/workers_base/test_counting.py::test_who_is_gone_is_no_sibling",),
    ),
    Mutation(
        "scoreboard.py",
        "            and not block[place + BUSY_SINCE]\n",
        "",
        "a worker leaves connections to a sibling that is busy",
        ("tests/workers/test_accepting.py", "tests/workers_base/test_scoreboard.py"),
    ),
    Mutation(
        "scoreboard.py",
        "        if not self._free:\n            self._grow()\n",
        "",
        "TTIN ends at the size of the scoreboard",
        ("tests/workers_base/test_scoreboard.py",),
    ),
)
