"""Django in one module: no database, one view, and the middleware that adds Content-Length."""

from __future__ import annotations

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(
    DEBUG=False,
    SECRET_KEY="not one",  # noqa: S106 - nothing is signed with it
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)


def hello(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - how Django calls a view
    """Answer with a small text."""
    return HttpResponse("Hello, World!", content_type="text/plain")


urlpatterns = [path("", hello)]

app = get_wsgi_application()
