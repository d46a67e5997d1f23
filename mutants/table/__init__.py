"""The faults, in the order in which a request meets what they break."""

from __future__ import annotations

from mutants.entry import Mutation
from mutants.table import arbiter, clients, configuration, logs, loop, protocol, reload, threads

MUTATIONS: tuple[Mutation, ...] = (
    *protocol.MUTATIONS,
    *clients.MUTATIONS,
    *loop.MUTATIONS,
    *threads.MUTATIONS,
    *arbiter.MUTATIONS,
    *reload.MUTATIONS,
    *configuration.MUTATIONS,
    *logs.MUTATIONS,
)
