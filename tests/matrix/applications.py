"""What is deployed: the same small shop in Flask, in a plain Django project, and in FastAPI.

GET  /hello?N   prints "printed N" and answers "hello"
POST /echo?N    the SHA-256 of the body
GET  /error?N   a view raises ValueError("failed N"), and the framework answers with 500
GET  /crash?N   what is around the framework raises RuntimeError("crashed N")
"""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
from pathlib import Path

CRASHES = """\

class Crashes:
    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/crash":
            raise RuntimeError("crashed " + environ["QUERY_STRING"])
        return self.app(environ, start_response)
"""

FLASK = f"""\
import hashlib

from flask import Flask, request
{CRASHES}
app = Flask(__name__)
app.wsgi_app = Crashes(app.wsgi_app)

@app.get("/hello")
def hello():
    print("printed", request.query_string.decode(), flush=True)
    return "hello"

@app.post("/echo")
def echo():
    return hashlib.sha256(request.get_data()).hexdigest()

@app.get("/error")
def error():
    raise ValueError("failed " + request.query_string.decode())
"""

DJANGO_URLS = """
import hashlib

from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt

def hello(request):
    print("printed", request.META["QUERY_STRING"], flush=True)
    return HttpResponse("hello")

@csrf_exempt
def echo(request):
    return HttpResponse(hashlib.sha256(request.body).hexdigest())

def error(request):
    raise ValueError("failed " + request.META["QUERY_STRING"])

urlpatterns += [path("hello", hello), path("echo", echo), path("error", error)]
"""

FASTAPI = """\
import hashlib

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

class Crashes:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/crash":
            raise RuntimeError("crashed " + scope["query_string"].decode())
        await self.app(scope, receive, send)

api = FastAPI()

@api.get("/hello", response_class=PlainTextResponse)
def hello(request: Request):
    print("printed", request.url.query, flush=True)
    return "hello"

@api.post("/echo", response_class=PlainTextResponse)
async def echo(request: Request):
    return hashlib.sha256(await request.body()).hexdigest()

@api.get("/error")
def error(request: Request):
    raise ValueError("failed " + request.url.query)

app = Crashes(api)
"""

APPLICATIONS = {"flask": "app:app", "django": "proj.wsgi", "fastapi": "app:app"}
"""What the command is told to serve."""


def write(framework: str, folder: Path) -> None:
    """Put the application's files into `folder`."""
    if framework == "django":
        for name, text in project().items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
    else:
        (folder / "app.py").write_text(FLASK if framework == "flask" else FASTAPI)


@functools.cache
def project() -> dict[str, str]:
    """What `django-admin startproject` writes, with our views."""
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "django", "startproject", "proj", "."]
        subprocess.run(command, cwd=name, check=True)
        folder = Path(name)
        files = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*.py")}
    files["proj/urls.py"] += DJANGO_URLS
    files["proj/wsgi.py"] += f"{CRASHES}\napplication = Crashes(application)\n"
    return files
