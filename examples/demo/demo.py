"""A WSGI application without a framework, to look at a server with.

/           who served this request, and with what environ
/slow       answers after ?seconds=N (2 by default, 10 at most)
/stream     sends ten lines, one every 300 ms
/upload     a form; POST it, or any body, to have it counted and hashed
/error      raises an exception: the server answers 500 and logs the traceback
/health     "ok", for probes
"""

from __future__ import annotations

import hashlib
import html
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

STARTED = time.time()
PIECE = 64 * 1024

#: Requests that this process has served.
served = 0

STYLE = """
:root { color-scheme: light dark; --accent: #2a8f4f; --line: #8884; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 46rem; margin: auto; padding: 3rem 1.2rem }
h1 { font-size: 1.7rem; margin: 0 0 .2rem } h2 { font-size: 1rem; margin: 2.2rem 0 .5rem }
h1 b { color: var(--accent) } p { margin: .3rem 0 } a { color: var(--accent) }
.cards { display: grid; gap: .8rem; margin-top: 1.6rem;
  grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)) }
.cards div { border: 1px solid var(--line); border-radius: .6rem; padding: .8rem 1rem }
.cards span { display: block; font-size: .8rem; opacity: .7 }
.cards strong { font-size: 1.35rem; font-variant-numeric: tabular-nums }
table { border-collapse: collapse; width: 100%; font-size: .88rem }
td { border-top: 1px solid var(--line); padding: .3rem .4rem; vertical-align: top;
  overflow-wrap: anywhere }
td:first-child { white-space: nowrap; opacity: .75; width: 1% }
code { font-family: ui-monospace, monospace }
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""

LINKS = """
<h2>Try</h2>
<p><a href="/slow?seconds=2">/slow</a> sleeps in the application: the other worker serves.</p>
<p><a href="/stream">/stream</a> sends a response of unknown length, piece by piece.</p>
<p><a href="/upload">/upload</a> counts and hashes what you send.</p>
<p><a href="/error">/error</a> fails on purpose: look at the log.</p>
"""

FORM = """
<h1>Upload</h1>
<form method="post" enctype="multipart/form-data"><p><input type="file" name="file">
<button>Send</button></p></form>
<p>Or: <code>curl --data-binary @FILE {url}</code></p>
<p><a href="/">Back</a></p>
"""


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    global served  # noqa: PLW0603 - one counter a process is what the page shows
    served += 1
    route = ROUTES.get(environ["PATH_INFO"])
    if route is None:
        return page(start_response, "404 Not Found", "<h1>Not here</h1><p><a href='/'>Back</a></p>")
    return route(environ, start_response)


def home(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    cards = {
        "worker process": os.getpid(),
        "its requests": served,
        "up for": f"{time.time() - STARTED:.0f} s",
        "over": environ["SERVER_PROTOCOL"],
    }
    body = f"<h1>Served by <b>{html.escape(environ['SERVER_SOFTWARE'])}</b></h1>"
    body += "<p>Reload the page: requests are spread over the workers.</p><div class='cards'>"
    for label, value in cards.items():
        body += f"<div><span>{label}</span><strong>{html.escape(str(value))}</strong></div>"
    body += f"</div>{LINKS}<h2>The environ of this request</h2><table>"
    for name in sorted(environ):
        if isinstance(environ[name], (str, bool, int, tuple)) and name not in os.environ:
            shown = html.escape(str(environ[name]))
            body += f"<tr><td><code>{html.escape(name)}</code></td><td>{shown}</td></tr>"
    return page(start_response, "200 OK", body + "</table>")


def slow(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    wanted = parse_qs(environ["QUERY_STRING"]).get("seconds", ["2"])[0]
    try:
        seconds = min(10.0, max(0.0, float(wanted)))
    except ValueError:
        return text(start_response, "400 Bad Request", "seconds must be a number\n")
    time.sleep(seconds)
    return text(start_response, "200 OK", f"process {os.getpid()} slept for {seconds:g} s\n")


def stream(_: Environ, start_response: StartResponse) -> Iterable[bytes]:
    def lines() -> Iterator[bytes]:
        for number in range(1, 11):
            yield f"line {number} of 10 from process {os.getpid()}\n".encode()
            time.sleep(0.3)

    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return lines()


def upload(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    if environ["REQUEST_METHOD"] not in ("POST", "PUT"):
        host = html.escape(environ.get("HTTP_HOST") or environ["SERVER_NAME"])
        url = f"{environ['wsgi.url_scheme']}://{host}/upload"
        return page(start_response, "200 OK", FORM.format(url=url))
    digest, size = hashlib.sha256(), 0
    while piece := environ["wsgi.input"].read(PIECE):
        digest.update(piece)
        size += len(piece)
    return text(start_response, "200 OK", f"{size} bytes, sha256 {digest.hexdigest()}\n")


def error(_: Environ, __: StartResponse) -> Iterable[bytes]:
    raise RuntimeError("raised on purpose by /error")


def health(_: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return text(start_response, "200 OK", "ok\n")


def page(start_response: StartResponse, status: str, body: str) -> list[bytes]:
    title = "Gunicorn demo"
    return respond(
        start_response, status, "text/html", PAGE.format(title=title, style=STYLE, body=body)
    )


def text(start_response: StartResponse, status: str, body: str) -> list[bytes]:
    return respond(start_response, status, "text/plain", body)


def respond(start_response: StartResponse, status: str, kind: str, body: str) -> list[bytes]:
    data = body.encode()
    start_response(
        status,
        [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(data)))],
    )
    return [data]


ROUTES: dict[str, Callable[[Environ, StartResponse], Iterable[bytes]]] = {
    "/": home,
    "/slow": slow,
    "/stream": stream,
    "/upload": upload,
    "/error": error,
    "/health": health,
}
