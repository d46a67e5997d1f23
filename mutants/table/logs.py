"""Logs: whole lines, every line, and nothing of a client's that could be taken for more."""

from __future__ import annotations

from mutants.entry import Mutation

QUIT = "tests/integration/test_quit.py::"
CUT = "tests/logging/test_lines_cut_short.py::"
HANDLERS = ("tests/logging/test_handlers.py", "tests/logging/test_stuck.py")
FORMAT = ("tests/logging/test_access_format.py",)

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "workers/loop.py",
        """\
            # A worker that is made to quit leaves from the middle of a round.
            if self.flush_access_log is not None:
                self.flush_access_log()
""",
        "            pass\n",
        "requests answered just before QUIT are not in the access log",
        (QUIT + "test_the_lines_of_what_was_answered_are_written",),
        required=True,
    ),
    Mutation(
        "workers/leader.py",
        """\
            if self.flush_access_log is not None:
                with self.lock:
                    self.flush_access_log()
            raise
""",
        "            raise\n",
        "gthread: requests answered just before QUIT are not in the access log",
        (QUIT + "test_the_lines_of_what_was_answered_are_written",),
    ),
    Mutation(
        "logs/handlers.py",
        '            self.put(self.fd, b"\\n")\n',
        "            pass\n",
        "a line that was cut short runs into the next",
        (CUT + "test_the_next_line_begins_where_lines_begin", *HANDLERS),
        required=True,
    ),
    Mutation(
        "logs/handlers.py",
        "            self.put = self._put_after_cut\n",
        "            pass\n",
        "a line that a full disk cut short runs into the next",
        (CUT + "test_the_next_line_begins_where_lines_begin",),
        required=True,
    ),
    Mutation(
        "logs/handlers.py",
        "        self.lost += lines\n",
        "",
        "nobody learns that lines were lost",
        HANDLERS,
    ),
    Mutation(
        "logs/handlers.py",
        "            os.dup2(fd, self.fd, inheritable=False)\n",
        "            pass\n",
        "USR1 does not reopen a log",
        HANDLERS,
    ),
    Mutation(
        "logs/opening.py",
        "os.O_WRONLY | os.O_APPEND | os.O_CREAT",
        "os.O_WRONLY | os.O_CREAT",
        "workers write over each other's lines",
        (
            "tests/logging/test_lines_cut_short.py::test_lines_of_several_processes_stand_one_behind_the_other",
        ),
    ),
    Mutation(
        "logs/batch.py",
        "        if seconds > LONG or len(lines) >= MOST_LINES:\n            self.flush()\n",
        "",
        "the line of a long request waits for the end of its round",
        (
            "tests/integration/test_quit.py::test_the_line_of_a_request_that_took_long_waits_for_no_other",
        ),
    ),
    Mutation(
        "logs/access.py",
        '    if scheme.lower() != "basic":\n',
        '    if scheme != "basic":\n',
        "the user of Basic credentials is not in the access log",
        FORMAT,
    ),
    Mutation(
        "logs/access.py",
        "int(seconds * 1000000)",
        "int(seconds * 1000)",
        "%(D)s counts milliseconds",
        FORMAT,
    ),
    Mutation(
        "logs/access.py",
        "        if line.translate(None, SAFE_BYTES) == expected:\n            return line\n",
        "        return line\n",
        "a client can write quotes and line ends into the access log",
        FORMAT,
    ),
    Mutation(
        "logs/access.py",
        "        if known != second:\n",
        "        if known < 0:\n",
        "the time of the access log stands still",
        FORMAT,
    ),
    Mutation(
        "logs/access.py",
        '    return ", ".join(values) if values else NOTHING\n',
        "    return values[0] if values else NOTHING\n",
        "only the first of several fields is in the access log",
        FORMAT,
    ),
    Mutation(
        "logs/access.py",
        '        if key.startswith("{"):\n            key = key.lower()\n',
        "",
        "%({User-Agent}i)s is empty for a logger of one's own",
        FORMAT,
    ),
)
