"""A Flask application, as most users have one."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Serve
from tests.integration.wire import one, wire
from tests.servers import Server

APP = """\
import hashlib
from flask import Flask, Response, abort, jsonify, make_response, request, send_file

app = Flask(__name__)


@app.get("/")
def index():
    return "hello"


@app.get("/user/<name>")
def user(name):
    return jsonify(name=name, query=request.args.to_dict(flat=False))


@app.post("/form")
def form():
    return jsonify(request.form)


@app.post("/upload")
def upload():
    sent = request.files["file"]
    data = sent.read()
    return jsonify(name=sent.filename, size=len(data), digest=hashlib.sha256(data).hexdigest(),
                   note=request.form["note"])


@app.get("/stream")
def stream():
    return Response((f"line {number}\\n" for number in range(100)), mimetype="text/plain")


@app.get("/file")
def file():
    return send_file("big.bin", conditional=True)


@app.get("/login")
def login():
    response = make_response("in")
    response.set_cookie("session", "s3cret", httponly=True)
    response.set_cookie("theme", "dark")
    return response


@app.get("/whoami")
def whoami():
    return request.cookies.get("session", "nobody")


def helper():
    raise RuntimeError("the secret reason")


@app.get("/error")
def error():
    helper()


def hello(environ, start_response):
    return app.wsgi_app(environ, start_response)


def broken(environ, start_response):
    helper()


def breaks_later(environ, start_response):
    start_response("200 OK", [])
    def pieces():
        helper()
        yield b""
    return pieces()
"""


@pytest.fixture(scope="module", params=["sendfile", "no-sendfile"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("flask")
    (folder / "big.bin").write_bytes(os.urandom(3_000_000))
    options = ["--no-sendfile"] if request.param == "no-sendfile" else []
    with Server("app:app", *options, cwd=folder, files={"app.py": APP}) as server:
        yield server


def test_routes_and_json(server: Server) -> None:
    assert server.get("/").text == "hello"
    reply = server.get("/user/J%C3%BCrgen%20M?a=1&a=2&b=")
    assert reply.getheader("Content-Type") == "application/json"
    assert '"J\\u00fcrgen M"' in reply.text
    assert '"a":["1","2"]' in reply.text
    assert server.get("/nowhere").status == 404
    assert server.request("POST", "/", b"").status == 405


def test_a_form(server: Server) -> None:
    reply = server.request(
        "POST", "/form", b"a=1&b=%20x", {"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert reply.text.strip() == '{"a":"1","b":" x"}'


def test_an_upload_of_a_file(server: Server) -> None:
    content = os.urandom(5 * 1024 * 1024)
    body = io.BytesIO()
    body.write(b'--XX\r\nContent-Disposition: form-data; name="note"\r\n\r\nmine\r\n')
    body.write(b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n')
    body.write(content + b"\r\n--XX--\r\n")
    reply = server.request(
        "POST", "/upload", body.getvalue(), {"Content-Type": "multipart/form-data; boundary=XX"}
    )
    assert reply.status == 200
    assert hashlib.sha256(content).hexdigest() in reply.text
    assert f'"size":{len(content)}' in reply.text
    assert '"note":"mine"' in reply.text


def test_a_stream(server: Server) -> None:
    with wire(server) as client:
        answer = client.get("/stream")
        assert answer.get("Transfer-Encoding") == "chunked"
        assert answer.body.decode().splitlines() == [f"line {number}" for number in range(100)]
        assert client.get("/").body == b"hello", "the connection is kept"


def test_send_file(server: Server) -> None:
    content = (server.cwd / "big.bin").read_bytes()
    with wire(server) as client:
        answer = client.get("/file")
        assert answer.body == content
        etag = answer.get("ETag")
        part = client.get("/file", "Range: bytes=1000-1999")
        assert (part.status, part.body) == (206, content[1000:2000])
        assert client.ask("HEAD /file HTTP/1.1\nHost: a").get("Content-Length") == "3000000"
        unchanged = client.get("/file", f"If-None-Match: {etag}")
        assert (unchanged.status, unchanged.body) == (304, b"")
        assert client.get("/").body == b"hello"


def test_cookies(server: Server) -> None:
    answer = one(server, "GET /login HTTP/1.1\nHost: a")
    cookies = [value for name, value in answer.fields if name == "Set-Cookie"]
    assert [cookie.split(";")[0] for cookie in cookies] == ["session=s3cret", "theme=dark"]
    assert server.get("/whoami", {"Cookie": "session=s3cret; theme=dark"}).text == "s3cret"


def test_an_error_that_flask_answers(server: Server) -> None:
    reply = server.get("/error")
    assert reply.status == 500
    assert "secret" not in reply.text
    server.wait_for("RuntimeError: the secret reason")


@pytest.mark.parametrize("name", ["broken", "breaks_later"])
def test_an_error_that_reaches_the_server(serve: Serve, name: str) -> None:
    server = serve(APP, app=f"app:{name}")
    with wire(server) as client:
        answer = client.get("/x?y=1")
        assert answer.status == 500
        assert answer.reason == "Internal Server Error"
        assert b"secret" not in answer.body
        assert b"app.py" not in answer.body
        assert client.get("/").status == 500, "the connection is kept"
    server.wait_for("RuntimeError: the secret reason")
    log = server.log()
    assert "[ERROR] Error handling request GET /x?y=1" in log
    frames = [line for line in log.splitlines() if line.strip().startswith("File ")]
    assert frames, log
    assert all("app.py" in frame for frame in frames), "only the user's frames"
