"""The loop: what it does for each connection, twice a second, and at the end."""

from __future__ import annotations

from mutants.entry import Mutation

LIMITS = "tests/integration/test_limits.py"
CONNECTIONS = "tests/integration/test_connections.py"
ACCEPTING = "tests/workers/test_accepting.py::"
BASE = "tests/workers_base/"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "workers/loop.py",
        "                grace = following if connection.used else first\n"
        "                connection.deadline = min(connection.deadline, grace)\n",
        "",
        "a graceful stop waits for idle clients",
        ("tests/integration/test_limits.py::test_a_graceful_stop_finishes_what_was_begun",),
    ),
    Mutation(
        "workers/loop.py",
        "        while self.connections and monotonic() < deadline:\n            self.step()\n",
        "",
        "a graceful stop finishes nothing",
        ("tests/integration/test_limits.py::test_a_graceful_stop_finishes_what_was_begun",),
    ),
    Mutation(
        "workers/loop.py",
        "            if not self.accepting and len(self.connections) >= self.max_connections:\n",
        "            if False:\n",
        "nobody learns that all places are taken",
        ("tests/integration/test_limits.py::test_who_comes_beyond_the_limit_waits_for_a_place",),
    ),
    Mutation(
        "workers/loop.py",
        "        return connection.state == READING and connection.used and connection.http.idle\n",
        "        return connection.state == READING and connection.used\n",
        "a client in the middle of an upload makes way for a new one",
        (
            "tests/hostile/test_slow_clients.py::test_more_slow_clients_than_places",
            "tests/integration/test_limits.py::test_slow_ones_make_way_when_others_wait",
        ),
    ),
    Mutation(
        "workers/connection.py",
        "        elif self.http.unread_body or self.http.buffer:\n            self.linger()\n",
        "",
        "a client that is still sending does not get the answer",
        ("tests/hostile/test_early_answers.py",),
    ),
    Mutation(
        "workers/connection.py",
        "        if response.aborted and response.delimiting == CLOSE:\n            self.abort()\n",
        "        if False:\n            self.abort()\n",
        "a response that was cut is taken for whole (HTTP/1.0)",
        (
            "tests/integration/test_failures.py::test_an_error_after_the_head_cuts_the_response",
            "tests/integration/test_failures.py::test_a_response_shorter_than_announced_ends_the_connection",
        ),
    ),
    Mutation(
        "workers/connection.py",
        "                self.try_to_send(CONTINUE)\n",
        "                pass\n",
        "curl waits a second before each upload",
        ("tests/integration/test_connections.py::test_expect_100_continue",),
    ),
    Mutation(
        "workers/connection.py",
        "        elif self.state == READING and not self.fresh and not self.http.idle:\n",
        "        elif self.state == READING:\n",
        "a kept connection that times out is answered with 408",
        (
            "tests/integration/test_connections.py::test_keepalive_of_one_second",
            "tests/integration/test_slow_clients.py::test_silent_connections",
        ),
    ),
    Mutation(
        "workers/client.py",
        "            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)\n",
        "            pass\n",
        "a client that does not read is closed as if it had everything",
        (
            "tests/integration/test_slow_clients.py::test_responses_that_nobody_reads",
            "tests/integration/test_failures.py::test_an_error_after_the_head_cuts_the_response",
        ),
    ),
    Mutation(
        "workers/outbox.py",
        "            if sent == first.nbytes:\n                queue.popleft()\n"
        "                self.resize(-footprint(first))\n"
        "            else:\n                queue[0] = first[sent:]\n",
        "            queue.popleft()\n            self.resize(-footprint(first))\n",
        "a slow reader misses parts of a response",
        (
            "tests/workers/test_outbox.py::"
            "test_what_is_added_while_the_first_is_being_sent_comes_behind_it",
        ),
    ),
    Mutation(
        "workers/response_spool.py",
        "        if self.backlog(outbox) + len(data) > self.limit:\n            return False\n",
        "",
        "one client can fill the disk",
        (
            "tests/hostile/test_refusals.py::"
            "test_a_response_beyond_every_bound_waits_for_its_client",
        ),
    ),
    Mutation(
        "workers/turns.py",
        "        fewer = connections - connections // 8\n",
        "        fewer = 0\n",
        "a worker takes connections that idle siblings wait for",
        (ACCEPTING + "test_a_worker_steps_aside_only_in_a_row_and_for_an_idle_sibling_with_fewer",),
    ),
    Mutation(
        "workers/turns.py",
        "        return not any(map(self.slot.accepts_at, self.others))\n",
        "        return True\n",
        "a worker takes a burst of connections for itself",
        (ACCEPTING + "test_a_worker_knows_whether_the_listener_is_all_its_own",),
    ),
    Mutation(
        "workers/temporary.py",
        "                first = first or error\n        assert first is not None\n",
        "                raise\n        assert first is not None\n",
        "a full /tmp is the end, though there is room in /var/tmp",
        ("tests/hostile/test_temporary_folders.py",),
    ),
    Mutation(
        "workers/handler.py",
        "        if worker.nr >= worker.max_requests:\n",
        "        if worker.nr > worker.max_requests:\n",
        "max_requests = 1 serves two",
        ("tests/workers_base/test_counting.py::test_max_requests_of_one_is_one",),
    ),
    Mutation(
        "workers/handler.py",
        "        if response.short:\n",
        "        if False:\n",
        "nobody learns that a response was shorter than announced",
        (
            "tests/integration/test_failures.py::test_a_response_shorter_than_announced_ends_the_connection",
        ),
    ),
    Mutation(
        "workers/base.py",
        "    return max_requests + random.randint(0, jitter)",
        "    return max_requests",
        "workers that were started together retire together",
        (
            "tests/workers_base/test_counting.py::test_workers_that_were_started_together_retire_apart",
        ),
    ),
    Mutation(
        "workers/base.py",
        "            sock.set_inheritable(False)\n",
        "            pass\n",
        "programs that the application starts keep the port",
        (
            "tests/workers_base/test_life.py::test_listeners_do_not_reach_programs_that_the_application_starts",
        ),
    ),
    Mutation(
        "workers/privileges.py",
        "os.setgroups(",
        "list(",
        "a worker that drops its user keeps root's groups",
        (BASE + "test_privileges.py",),
    ),
)
