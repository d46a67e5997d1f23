"""What a client may take of the worker, and that it is given back."""

from __future__ import annotations

from mutants.entry import Mutation

BACK = "tests/hostile/test_bounds_are_given_back.py::"
FAIR = "tests/hostile/test_fair_turns.py::"
PLACES = "tests/hostile/test_places.py::"
IN_TIME = "tests/hostile/test_who_is_in_time.py::"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "workers/outbox.py",
        "        if self.size:\n            self.resize(-self.size)\n",
        "",
        "clients that leave without reading use up the room in memory for good",
        (BACK + "test_memory_of_responses_that_nobody_read",),
        required=True,
    ),
    Mutation(
        "workers/spool.py",
        "            self.spooler.memory_room.add(-self.counted)\n",
        "            pass\n",
        "bodies that are broken off use up the room in memory for good",
        (BACK + "test_memory_of_bodies_that_were_broken_off",),
        required=True,
    ),
    Mutation(
        "workers/spool.py",
        "            self.spooler.file_room.add(-self.spooled)\n",
        "",
        "bodies that are broken off use up the room in files for good",
        (BACK + "test_files_of_bodies_that_were_broken_off",),
        required=True,
    ),
    Mutation(
        "workers/spool.py",
        "            spooler.file_room.add(-size)\n",
        "",
        "bodies that a full disk had no place for use up the room in files for good",
        (BACK + "test_what_a_full_disk_had_no_place_for",),
        required=True,
    ),
    Mutation(
        "workers/response_spool.py",
        "            self.room.add(-size)\n",
        "",
        "responses that a full disk had no place for use up the room in files for good",
        (BACK + "test_what_a_full_disk_had_no_place_for",),
        required=True,
    ),
    Mutation(
        "workers/response_spool.py",
        "        self.room.add(-self.count)\n",
        "",
        "responses that nobody read use up the room in files for good",
        (BACK + "test_files_of_responses_that_nobody_read",),
        required=True,
    ),
    Mutation(
        "workers/loop.py",
        "        self.large_heads.discard(connection)\n",
        "",
        "heads that were broken off count on, and who came before them is refused",
        (BACK + "test_large_heads_that_were_broken_off",),
        required=True,
    ),
    Mutation(
        "workers/greenlets.py",
        "        self.large_heads.discard(connection)\n",
        "",
        "gevent, eventlet: heads that were broken off count on",
        (BACK + "test_large_heads_that_were_broken_off",),
        required=True,
    ),
    Mutation(
        "workers/connection.py",
        """\
            self.on_event(READ)
            if self.deadline > self.loop.now:
                return
""",
        "            pass\n",
        "what came in time is lost when the worker was busy at the deadline",
        (IN_TIME + "test_what_came_while_the_worker_was_busy_has_come_in_time",),
        required=True,
    ),
    Mutation(
        "workers/connection.py",
        """\
        if self.outbox.settled:
            self.deadline = self.loop.now + self.loop.timeouts.send
""",
        "",
        "who reads a long response steadily is cut off after send_timeout",
        (IN_TIME + "test_who_reads_slowly_and_steadily_gets_everything",),
        required=True,
    ),
    Mutation(
        "workers/call.py",
        "            patience.pause(started - patience.last)\n",
        "            pass\n",
        "the application's own pause counts against its client's body_timeout",
        (IN_TIME + "test_the_pause_of_the_application_is_not_the_clients",),
        required=True,
    ),
    Mutation(
        "http/body.py",
        "        self.began += seconds\n",
        "",
        "the application's own pause counts against its client's min_body_rate",
        (IN_TIME + "test_the_pause_of_the_application_is_not_the_clients",),
        required=True,
    ),
    Mutation(
        "http/body.py",
        "        self.last += seconds\n",
        "",
        "the application's own pause counts as its client's silence",
        (IN_TIME + "test_the_pause_of_the_application_is_not_the_clients",),
        required=True,
    ),
    Mutation(
        "workers/connection.py",
        "BODY_SHARE = 1024 * 1024\n",
        "BODY_SHARE = 1 << 40\n",
        "who sends as fast as the worker receives has it alone until the end of the body",
        (FAIR + "test_others_are_served_during_an_upload",),
        required=True,
    ),
    Mutation(
        "workers/outbox.py",
        "FAIR_SHARE = 8 * 1024 * 1024\n",
        "FAIR_SHARE = 1 << 40\n",
        "who reads as fast as the worker sends has it alone until the end of the response",
        (FAIR + "test_others_are_served_during_a_download",),
        required=True,
    ),
    Mutation(
        "workers/loop.py",
        """\
        if not self.accepting and self.worker.alive and self.now >= self.resume_at:
            self.start_accepting()
""",
        "",
        "who waits for a place waits half a second longer than needed",
        (PLACES + "test_a_place_that_is_free_is_taken_without_a_pause",),
        required=True,
    ),
    Mutation(
        "workers/greenlets.py",
        """\
        if not self.accepting and self.worker.alive and self.now >= self.resume_at:
            self.start_accepting()
""",
        "",
        "gevent, eventlet: who waits for a place waits half a second longer than needed",
        (PLACES + "test_a_place_that_is_free_is_taken_without_a_pause",),
        required=True,
    ),
    Mutation(
        "workers/connection.py",
        """\
        # There is no time to linger.
        self.close()
""",
        "",
        "who had to make way keeps the place for seconds more",
        (PLACES + "test_who_had_to_make_way_does_not_keep_the_place",),
        required=True,
    ),
    Mutation(
        "workers/greenlets.py",
        """\
                connection.give_up("too slow while others are waiting")
                connection.close()
""",
        """\
                connection.give_up("too slow while others are waiting")
""",
        "gevent, eventlet: who had to make way keeps the place for seconds more",
        (PLACES + "test_who_had_to_make_way_does_not_keep_the_place",),
        required=True,
    ),
)
