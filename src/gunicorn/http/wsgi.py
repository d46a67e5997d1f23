"""Compatible names: the WSGI classes that users of Gunicorn import from here."""

from gunicorn.wsgi.file_wrapper import FileWrapper
from gunicorn.wsgi.response import Response

__all__ = ["FileWrapper", "Response"]
