"""Django in one module: no database, one view, and the middleware that adds Content-Length."""

from __future__ import annotations

# Django brings no types.
from django.conf import settings  # type: ignore[import-untyped]
from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]
from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]

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
