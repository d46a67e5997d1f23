"""The compiled access format: every atom, escaping, conversions, and what is refused."""

from __future__ import annotations

import base64
import json
import os
import re

import pytest

from gunicorn.errors import ConfigError
from gunicorn.logs.access import Clock, SafeAtoms, atoms, compile_format
from gunicorn.logs.escape import escape
from tests.logging.conftest import Served

NOW = "[21/Nov/2026:06:40:40 +0000]"


def line(access_format: str, served: Served) -> str:
    render = compile_format(access_format, lambda: NOW)
    rendered = render(served.resp, served.req, served.environ, served.seconds).decode()
    assert rendered.endswith("\n")
    return rendered[:-1]


def by_dictionary(access_format: str, served: Served) -> str:
    """The same line by the road of subclasses: atoms, wrapped, and the % operator."""
    values = atoms(served.resp, served.req, served.environ, served.seconds, NOW)
    return access_format % SafeAtoms(values)


@pytest.mark.parametrize(
    ("atom", "expected"),
    [
        ("h", "192.0.2.7"),
        ("l", "-"),
        ("u", "-"),
        ("t", NOW),
        ("r", "GET /some%20path?x=1 HTTP/1.1"),
        ("m", "GET"),
        ("U", "/some path"),
        ("q", "x=1"),
        ("H", "HTTP/1.1"),
        ("s", "200"),
        ("B", "6"),
        ("b", "6"),
        ("f", "-"),
        ("a", "curl/8"),
        ("T", "1"),
        ("M", "1234"),
        ("D", "1234567"),
        ("L", "1.234567"),
        pytest.param("p", f"<{os.getpid()}>", id="p"),
        ("{Host}i", "example.org"),
        ("{x-twice}i", "a, b"),
        ("{missing}i", "-"),
        ("{content-type}o", "text/plain"),
        ("{Missing}o", "-"),
        ("{REMOTE_ADDR}e", "192.0.2.7"),
        ("{remote_addr}e", "192.0.2.7"),
        ("{missing}e", "-"),
        ("unknown", "-"),
        ("{host}z", "-"),
        ("", "-"),
    ],
)
def test_atom(atom: str, expected: str, served: Served) -> None:
    assert line(f"%({atom})s", served) == expected
    assert by_dictionary(f"%({atom})s", served) == expected


@pytest.mark.parametrize(
    "access_format",
    [
        '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"',
        "100%% of %(U)s{literal} 'quoted' \"twice\" \\n back\\slash",
        "plain text",
        "%(D)d|%(D)x|%(T)5d|%(s)6s|%(s)-6s|%(L).3s|%(m)r",
        "é and 漢字 %(h)s",
        "a\tb %(h)s",
    ],
)
def test_both_roads_give_the_same_line(access_format: str, served: Served) -> None:
    assert line(access_format, served) == by_dictionary(access_format, served)


def test_nothing_to_show_is_a_dash() -> None:
    served = Served({"REMOTE_ADDR": ""}, sent=None)
    assert line("%(h)s %(b)s %(B)s %(f)s", served) == "- - 0 -"


def test_a_request_without_an_environ_can_be_logged() -> None:
    served = Served()
    served.environ.clear()
    assert line("%(h)s %(m)s %(U)s %(a)s %(u)s", served) == "- - - - -"


HOSTILE = 'a"b\\c\nd\re\tf\x00g\x1b[31mh\x7fi\x85jé\u2028k'
ESCAPED = r"a\"b\\c\x0ad\x0de\x09f\x00g\x1b[31mh\x7fi\x85j\xe9\u2028k"


def test_escape() -> None:
    assert escape(HOSTILE) == ESCAPED
    assert escape("\U0001f600") == r"\U0001f600"
    assert escape("Mozilla/5.0 (X11; ~)") == "Mozilla/5.0 (X11; ~)"


@pytest.mark.parametrize(
    ("atom", "key"),
    [
        ("h", "REMOTE_ADDR"),
        ("m", "REQUEST_METHOD"),
        ("U", "PATH_INFO"),
        ("q", "QUERY_STRING"),
        ("H", "SERVER_PROTOCOL"),
        ("f", "HTTP_REFERER"),
        ("a", "HTTP_USER_AGENT"),
        ("{any.thing}e", "any.thing"),
    ],
)
def test_a_client_cannot_break_out_of_its_value(atom: str, key: str) -> None:
    served = Served({key: HOSTILE})
    access_format = f'"%({atom})s" end'
    assert line(access_format, served) == f'"{ESCAPED}" end'
    assert by_dictionary(access_format, served) == f'"{ESCAPED}" end'


@pytest.mark.parametrize("byte", [chr(code) for code in range(256)])
def test_every_byte_of_a_path(byte: str) -> None:
    shown = line('"%(r)s"', Served({"RAW_URI": f"/{byte}"}))
    assert shown == f'"GET /{escape(byte)} HTTP/1.1"'
    assert re.fullmatch(r"[\x20-\x7e]*", shown)


def test_request_and_response_fields_are_escaped() -> None:
    served = Served(headers=[("X-Out", HOSTILE)])
    served.req.headers = [("X-IN", HOSTILE)]
    assert line("%({x-in}i)s|%({x-out}o)s", served) == f"{ESCAPED}|{ESCAPED}"
    assert by_dictionary("%({X-In}i)s|%({X-Out}o)s", served) == f"{ESCAPED}|{ESCAPED}"


def test_a_quote_in_the_format_hides_none_in_a_value() -> None:
    """The check counts what is left of the whole line, so it must not mix up whose it is."""
    assert line('"%(a)s', Served({"HTTP_USER_AGENT": '"'})) == '"\\"'


def test_a_conversion_cannot_cut_an_escape_in_two() -> None:
    assert line('"%(a).1s"', Served({"HTTP_USER_AGENT": '"; x'})) == '"\\""'


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ("Basic " + base64.b64encode(b"ann:secret").decode(), "ann"),
        ("basic   " + base64.b64encode(b"ann:se:cret").decode(), "ann"),
        ("Basic " + base64.b64encode(b'a"\n:x').decode(), r"a\"\x0a"),
        ("Basic " + base64.b64encode("é:x".encode()).decode(), r"\xc3\xa9"),
        ("Basic " + base64.b64encode(b":x").decode(), "-"),
        ("Basic !!!", "-"),
        ("Basic \xe9", "-"),
        ("Basic", "-"),
        ("Bearer abc", "-"),
        ("", "-"),
    ],
)
def test_user(authorization: str, expected: str) -> None:
    served = Served({"HTTP_AUTHORIZATION": authorization})
    assert line("%(u)s", served) == expected
    assert by_dictionary("%(u)s", served) == expected


@pytest.mark.parametrize(
    "access_format", ["%(h", "%(h)", "50% of", "%", "%d", "%s", "%(h)s %(a", "%*d", "%(s)q"]
)
def test_a_malformed_format_is_refused(access_format: str) -> None:
    with pytest.raises(ConfigError, match="access_log_format"):
        compile_format(access_format, lambda: NOW)


@pytest.mark.parametrize("access_format", ["%(a)d", "%(s)d", "%(unknown)x", "%(m)c"])
def test_a_number_format_for_text_is_refused(access_format: str) -> None:
    with pytest.raises(ConfigError, match="the atom is text"):
        compile_format(access_format, lambda: NOW)


def test_nothing_of_the_format_is_run_as_code(served: Served) -> None:
    text = "{1/0} {environ} ''' \"\"\" \\ \\N{DASH} %({'+1/0+'}i)s"
    assert line(text, served) == "{1/0} {environ} ''' \"\"\" \\ \\N{DASH} -"


def test_json() -> None:
    served = Served(
        {
            "HTTP_USER_AGENT": HOSTILE,
            "HTTP_HOST": "example.org",
            "HTTP_AUTHORIZATION": "Basic " + base64.b64encode(b"ann:x").decode(),
        },
        sent=None,
    )
    text = line("json", served)
    assert "\n" not in text and text.isascii()
    assert json.loads(text) == {
        "time": NOW,
        "remote_addr": "192.0.2.7",
        "user": "ann",
        "method": "GET",
        "target": "/some%20path?x=1",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes_sent": None,
        "seconds": 1.234567,
        "host": "example.org",
        "referer": None,
        "user_agent": HOSTILE,
        "pid": os.getpid(),
    }


def test_json_of_an_anonymous_request(served: Served) -> None:
    value = json.loads(line("json", served))
    assert value["user"] is None
    assert value["bytes_sent"] == 6


def test_the_clock_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock("%S")
    monkeypatch.setattr("time.time", lambda: 100.9)
    first = clock()
    assert clock() is first
    monkeypatch.setattr("time.time", lambda: 101.0)
    assert int(clock()) == int(first) + 1


def test_the_clock_has_the_form_of_the_common_log() -> None:
    assert re.fullmatch(r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]", Clock()())


def test_status_as_other_workers_give_it() -> None:
    for status in ("404 Not Found", b"404 Not Found", 404, "404"):
        served = Served(status=status)
        assert by_dictionary("%(s)s", served) == "404"
