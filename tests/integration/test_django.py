"""A Django project, served by the command and through manage.py with django-prodserver."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator

import pytest

from tests.integration.wire import chunked, one, wire
from tests.servers import Server, free_port

FILES = {
    "manage.py": """\
import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
execute_from_command_line(sys.argv)
""",
    "project/__init__.py": "",
    "project/settings.py": """\
import os

SECRET_KEY = "not so secret"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
INSTALLED_APPS = ["django_prodserver"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
FILE_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
PRODUCTION_PROCESSES = {
    "web": {
        "BACKEND": "django_prodserver.backends.servers.gunicorn.GunicornServer",
        "ARGS": {
            "bind": os.environ.get("BIND", ""),
            "workers": "2",
            "preload": None,
            "access-logfile": "-",
        },
    },
}
""",
    "project/wsgi.py": """\
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
application = get_wsgi_application()
""",
    "project/urls.py": """\
import hashlib

from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path


def index(request):
    return HttpResponse(f"{request.scheme} {request.path} {request.GET.get('q')}")


def form(request):
    return JsonResponse(dict(request.POST.items()))


def upload(request):
    digest, size = hashlib.sha256(), 0
    if request.FILES:
        pieces = request.FILES["file"].chunks()
    else:
        pieces = iter(lambda: request.read(65536), b"")
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
    return JsonResponse({"size": size, "digest": digest.hexdigest()})


def body(request):
    return HttpResponse(request.body)


def stream(request):
    return StreamingHttpResponse((f"line {n}\\n" for n in range(1000)), content_type="text/plain")


def file(request):
    return FileResponse(open("big.bin", "rb"), as_attachment=True)


def error(request):
    raise RuntimeError("the secret reason")


urlpatterns = [
    path("", index), path("form", form), path("upload", upload), path("stream", stream),
    path("file", file), path("error", error), path("body", body), path("caf\\u00e9/", index),
]
""",
}


@pytest.fixture(scope="module", params=["gunicorn", "manage.py"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("django")
    (folder / "big.bin").write_bytes(os.urandom(3_000_000))
    if request.param == "gunicorn":
        server = Server("project.wsgi", "-w", "2", cwd=folder, files=FILES)
        children = 2
    else:
        # Its settings preload: beside the workers there is the template they are forked from.
        children = 3
        port = free_port()
        server = Server(
            None,
            cwd=folder, files=FILES, command=(sys.executable, "manage.py", "server", "web"),
            bind="", address=("127.0.0.1", port), env={"BIND": f"127.0.0.1:{port}"},
        )  # fmt: skip
    with server:
        server.wait_workers(children)
        yield server


def test_pages(server: Server) -> None:
    assert server.get("/?q=a%20b").text == "http / a b"
    assert server.get("/", {"X-Forwarded-Proto": "https"}).text == "https / None"
    assert server.get("/caf%C3%A9/").text == "http /café/ None"
    assert server.get("/caf%C3%A9").getheader("Location") == "/caf%C3%A9/"
    assert server.get("/nowhere").status == 404


def test_a_form(server: Server) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert server.request("POST", "/form", b"a=1&b=x+y", kind).text == '{"a": "1", "b": "x y"}'


def multipart(content: bytes) -> bytes:
    head = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    return head + content + b"\r\n--XX--\r\n"


@pytest.mark.parametrize("size", [0, 100, 5_000_000])
@pytest.mark.parametrize("coding", ["length", "chunked"])
@pytest.mark.parametrize("kind", ["multipart", "plain"])
def test_uploads(server: Server, size: int, coding: str, kind: str) -> None:
    content = os.urandom(size)
    body = multipart(content) if kind == "multipart" else content
    head = "POST /upload HTTP/1.1\nHost: a\nContent-Type: "
    head += "multipart/form-data; boundary=XX" if kind == "multipart" else "application/x-y"
    with wire(server) as client:
        for _ in range(2):
            if coding == "length":
                answer = client.ask(f"{head}\nContent-Length: {len(body)}", body)
            else:
                pieces = [body[start : start + 50_000] for start in range(0, len(body), 50_000)]
                answer = client.ask(f"{head}\nTransfer-Encoding: chunked", chunked(pieces))
            assert answer.status == 200
            expected = {"size": size, "digest": hashlib.sha256(content).hexdigest()}
            assert answer.body.decode() == str(expected).replace("'", '"')


@pytest.mark.parametrize("size", [10, 2_000_000])
def test_the_body_of_a_chunked_request(server: Server, size: int) -> None:
    """Django reads as far as CONTENT_LENGTH goes, which a chunked request does not have."""
    head = "POST /body HTTP/1.1\nHost: a\nTransfer-Encoding: chunked"
    assert one(server, head, chunked([b"x" * size])).body == b"x" * size


def test_a_stream(server: Server) -> None:
    with wire(server) as client:
        for _ in range(2):
            answer = client.get("/stream")
            assert answer.get("Transfer-Encoding") == "chunked"
            assert answer.body.decode() == "".join(f"line {number}\n" for number in range(1000))


def test_a_file(server: Server) -> None:
    content = (server.cwd / "big.bin").read_bytes()
    with wire(server) as client:
        for _ in range(2):
            answer = client.get("/file")
            assert answer.body == content
            assert answer.get("Content-Length") == str(len(content))
            assert answer.get("Content-Disposition") == 'attachment; filename="big.bin"'


def test_an_error(server: Server) -> None:
    reply = server.get("/error")
    assert reply.status == 500
    assert "secret" not in reply.text


def test_what_manage_py_asked_for(server: Server) -> None:
    log = server.log()
    assert f"Listening at: http://127.0.0.1:{server.port} ({server.pid})" in log
    if "manage.py" in server.command:
        server.get("/?q=logged")
        server.wait_for(r'"GET /\?q=logged HTTP/1.1" 200 ')
