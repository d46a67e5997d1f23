"""Several threads, and several processes: who has a connection when."""

from __future__ import annotations

from mutants.entry import Mutation

LEAD = "tests/workers/test_changes_of_the_lead.py::"
ASIDE = "tests/workers/test_what_the_lookout_set_aside.py::"
BALANCE = "tests/workers/test_balance.py"
LOOKOUT = "tests/workers/test_lookout.py"
THREADS = "tests/workers/test_gthread.py"
COPIES = "tests/faults/test_copies_of_clients.py::"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "workers/leader.py",
        "        self.sweeping = False\n",
        "",
        "gthread: nobody's time-out is seen to while a call lasts that a last look has found",
        (LEAD + "test_time_outs_go_on_when_a_last_look_finds_a_long_call",),
        required=True,
    ),
    Mutation(
        "workers/leader.py",
        "        connection.deadline = deadline\n",
        "",
        "gthread: a client that had to wait for a thread has no time-out any more",
        (LEAD + "test_who_waited_for_a_thread_has_its_time_out_again",),
        required=True,
    ),
    Mutation(
        "workers/leader.py",
        "                self.drop(seat)\n",
        "",
        "gthread: the client hangs on which an internal error came up",
        (LEAD + "test_a_fault_of_the_server_itself_ends_the_connection_and_nothing_else",),
        required=True,
    ),
    Mutation(
        "workers/balanced_sync.py",
        "            interest, channel.interest = channel.interest, 0\n",
        "            channel.interest = 0\n",
        "a response that could go on during a call of another client never does",
        (ASIDE + "test_a_response_that_could_go_on_meanwhile",),
        required=True,
    ),
    Mutation(
        "workers/balanced_sync.py",
        "                channel.want(interest)\n",
        "                channel.want(READ)\n",
        "a response that could go on during a call of another client never does",
        (ASIDE + "test_a_response_that_could_go_on_meanwhile",),
        required=True,
    ),
    Mutation(
        "workers/loop.py",
        """\
        for connection in self.connections.values():
            connection.sock.close()
        self.connections.clear()
""",
        "        self.connections.clear()\n",
        "connections seem open when the worker closes them, as the template has copies",
        (COPIES + "test_a_connection_ends_when_its_worker_ends_it",),
        required=True,
    ),
    Mutation(
        "workers/lookout.py",
        "            if monotonic() - since >= patience:\n                return Seen.LASTING\n",
        "            pass\n",
        "nobody takes over from a worker whose call lasts",
        ("tests/workers/test_lookout.py",),
    ),
    Mutation(
        "workers/lookout.py",
        "            if busy * GLANCE > LONG_CALL * max(answered - sampled, 1.0):\n",
        "            if False:\n",
        "clients wait for calls of some milliseconds though a worker is free",
        ("tests/workers/test_lookout.py",),
    ),
    Mutation(
        "workers/sharing.py",
        "        connection.used = given.used\n",
        "        connection.used = False\n",
        "a connection that was passed on is kept from those who need its place",
        (
            "tests/workers/test_balance.py::test_a_graceful_stop_answers_what_is_queued",
            "tests/workers/test_balance.py::test_the_queue_gives_what_was_put_in",
        ),
    ),
    Mutation(
        "workers/sharing.py",
        "            or not connection.http.at_rest\n",
        "",
        "a request whose head has come in part is passed on without it",
        ("tests/workers/test_lookout.py::test_what_cannot_go_waits_and_is_served",),
    ),
    Mutation(
        "workers/sharing.py",
        "            or not connection.plain\n",
        "",
        "TLS connections are passed on to workers that have not the key",
        ("tests/workers/test_balance.py::test_tls_connections_stay",),
    ),
    Mutation(
        "workers/outside.py",
        "        self.cells[REQUESTS] = self.worker.nr - running\n",
        "",
        "gthread: the scoreboard counts no requests",
        ("tests/arbiter/test_one_at_a_time.py",),
    ),
    Mutation(
        "workers/threads.py",
        "                self.worker.ask_for_successor()\n",
        "                pass\n",
        "gthread: a worker with threads that hang goes on with fewer and fewer",
        ("tests/workers/test_gthread.py::test_a_hanging_thread_is_named_and_its_worker_replaced",),
    ),
    Mutation(
        "workers/threads.py",
        "            and seat.connection not in self.taken\n        ]\n",
        "        ]\n",
        "gthread: a WebSocket that is quiet for timeout costs the worker",
        ("tests/workers/test_takeover.py::test_a_socket_may_stay_for_longer_than_the_timeout",),
    ),
    Mutation(
        "workers/outside.py",
        "        self.own.seat.moved = monotonic()\n        self.worker.notify()\n",
        "        self.worker.notify()\n",
        "gthread: a response that makes progress for longer than timeout is taken for a hang",
        (
            "tests/workers/test_gthread.py::test_a_request_over_its_limit_costs_no_other",
            "tests/integration/test_slow_clients.py::test_a_response_that_makes_progress_outlives_the_timeout",
            "tests/integration/test_slow_clients.py::test_a_body_that_makes_progress_outlives_the_timeout",
        ),
    ),
)
