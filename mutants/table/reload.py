"""Reloads, templates and upgrades: one set of workers takes the place of another."""

from __future__ import annotations

from mutants.entry import Mutation

OFF = "tests/arbiter/test_called_off.py::"
RELOAD = ("tests/arbiter/test_reload.py",)
UPGRADE = ("tests/arbiter/test_upgrade.py",)
TEMPLATES = ("tests/faults/test_templates.py",)

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "arbiter/rollover.py",
        "        arbiter.rollover = None\n        self.new.end_template()\n",
        "        arbiter.rollover = None\n",
        "a reload that is called off leaves its template",
        (
            "tests/arbiter/test_called_off.py::test_its_template_ends_though_one_of_its_workers_goes_on",
        ),
        required=True,
    ),
    Mutation(
        "arbiter/rollover.py",
        "        self.failures += 1\n",
        "",
        "a reload most of whose workers fail is never called off",
        (OFF + "test_it_is_called_off_at_the_third_failure_where_others_boot",),
        required=True,
    ),
    Mutation(
        "arbiter/rollover.py",
        "self.failures >= FAILURES",
        "self.failures > FAILURES",
        "a reload is called off one failure later than said",
        (OFF + "test_it_is_called_off_at_the_third_failure_where_others_boot",),
        required=True,
    ),
    Mutation(
        "arbiter/rollover.py",
        "        arbiter.workforce.backoff.succeeded()\n",
        "",
        "a reload waits for the delay that failures of before have earned",
        (OFF + "test_the_delay_after_failures_is_not_that_of_the_next_reload",),
        required=True,
    ),
    Mutation(
        "arbiter/rollover.py",
        "            arbiter.num_workers = self.old_workers\n",
        "            pass\n",
        "a reload that is called off forgets TTIN and TTOU",
        (OFF + "test_the_number_of_workers_is_that_of_before",),
        required=True,
    ),
    Mutation(
        "arbiter/rollover.py",
        "        arbiter.app.cfg = self.old.cfg\n",
        "",
        "after a reload that was called off workers have the new configuration",
        (
            "tests/arbiter/test_called_off.py::test_a_worker_that_is_started_later_serves_the_application_of_before",
        ),
    ),
    Mutation(
        "arbiter/rollover.py",
        "        arbiter.log.reopen_files()\n",
        "",
        "a reload does not reopen the logs",
        ("tests/arbiter/test_log_rotation.py::test_a_reload_reopens_logs_too",),
    ),
    Mutation(
        "arbiter/rollover.py",
        "        pidfile.move(arbiter)\n",
        "",
        "a pidfile that a reload renames stays where it was",
        ("tests/arbiter/test_reload.py::test_logs_and_pidfile_follow_the_configuration",),
    ),
    Mutation(
        "arbiter/upgrade.py",
        "        arbiter.workforce.note_sharing(shared=True)\n",
        "",
        "the new server is deaf when the old arbiter is killed early",
        ("tests/arbiter/test_killed_during_an_upgrade.py",),
        required=True,
    ),
    Mutation(
        "arbiter/upgrade.py",
        "            signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n",
        "            signal.signal(signal.SIGUSR1, signal.SIG_DFL)\n",
        "a rotation of logs ends the new binary",
        ("tests/arbiter/test_log_rotation.py",),
        required=True,
    ),
    Mutation(
        "arbiter/upgrade.py",
        "                listener.set_inheritable(True)\n",
        "                pass\n",
        "the new binary finds no sockets",
        ("tests/arbiter/test_upgrade.py::test_up_to_the_new_binary",),
    ),
    Mutation(
        "arbiter/upgrade.py",
        "            arbiter.num_workers = arbiter.cfg.workers\n",
        "            pass\n",
        "after WINCH and a new binary that ended nobody serves",
        ("tests/arbiter/test_upgrade.py::test_back_to_the_old_binary",),
    ),
    Mutation(
        "arbiter/upgrade.py",
        "        os.chdir(self.cwd)\n",
        "",
        "an upgrade with --chdir is started somewhere else",
        ("tests/arbiter/test_upgrade.py::test_the_command_is_repeated_where_it_was_given",),
    ),
    Mutation(
        "arbiter/refork.py",
        "            member.outgrown = member is not self.member\n",
        "            pass\n",
        "refork leaves workers that share nothing",
        ("tests/faults/test_templates.py::test_refork_shares_what_a_worker_has_filled",),
    ),
    Mutation(
        "arbiter/templates.py",
        "        self._dismiss(template)\n        self._forget(template, template.ended_at)\n",
        "        self._forget(template, template.ended_at)\n",
        "a template that died is never replaced",
        ("tests/faults/test_templates.py::test_a_template_that_is_killed_is_replaced",),
    ),
)
