"""Metrics to a StatsD server."""

from __future__ import annotations

from gunicorn.config import validators
from gunicorn.config.declaration import Declaration

SETTINGS = (
    Declaration(
        name="statsd_host",
        cli=("--statsd-host",),
        meta="STATSD_ADDR",
        validator=validators.optional_string,
        supported=False,
        help="The address of the StatsD server, HOST:PORT or unix://PATH.",
    ),
    Declaration(
        name="dogstatsd_tags",
        cli=("--dogstatsd-tags",),
        meta="DOGSTATSD_TAGS",
        validator=validators.string,
        default="",
        supported=False,
        help="Tags to add to each metric in the format of DogStatsD, with commas between them.",
    ),
    Declaration(
        name="statsd_prefix",
        cli=("--statsd-prefix",),
        meta="STATSD_PREFIX",
        validator=validators.string,
        default="",
        supported=False,
        help="What the names of metrics begin with.",
    ),
    Declaration(
        name="enable_backlog_metric",
        cli=("--enable-backlog-metric",),
        action="store_true",
        validator=validators.boolean,
        default=False,
        supported=False,
        help="Measure how many connections wait to be accepted.",
    ),
)
