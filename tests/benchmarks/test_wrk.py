"""What wrk prints is read right, whatever its units and errors."""

from __future__ import annotations

import pytest

from benchmarks import places, wrk

QUIET = """\
Running 2s test @ http://127.0.0.1:8000/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.47ms  512.00us  12.35ms   93.10%
    Req/Sec    43.66k     1.07k   45.01k    63.64%
  Latency Distribution
     50%    1.40ms
     75%    1.52ms
     90%    1.79ms
     99%  940.00us
  47782 requests in 1.10s, 8.06MB read
Requests/sec:  43438.85
Transfer/sec:      7.33MB
"""

TROUBLED = """\
  3 requests in 1.00m, 512B read
  Socket errors: connect 1, read 20, write 300, timeout 4000
  Non-2xx or 3xx responses: 2
Requests/sec:      0.05
"""


def test_figures_and_their_units() -> None:
    load = wrk.parse(QUIET)
    assert (load.requests, load.errors) == (47782, 0)
    assert load.seconds == pytest.approx(1.1)
    assert load.bytes_read == round(8.06 * 2**20)
    assert load.latency_50 == pytest.approx(1.4e-3)
    assert load.latency_99 == pytest.approx(940e-6)


def test_errors_of_every_kind_are_counted() -> None:
    load = wrk.parse(TROUBLED)
    assert load.errors == 4321 + 2
    assert load.seconds == 60
    assert load.bytes_read == 512
    assert load.latency_99 == 0.0


def test_output_without_a_total_is_an_error_that_shows_it() -> None:
    with pytest.raises(wrk.WrkError, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:8000 Connection refused\n")


def test_the_browser_sends_13_field_lines() -> None:
    script = (places.WRK_SCRIPTS / "browser.lua").read_text()
    host = 1
    assert script.count("wrk.headers[") + host == 13
