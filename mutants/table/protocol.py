"""Requests and responses: heads, bodies, the PROXY protocol, and what an application sees of them.

Most of these are one character of a rule of RFC 9110, RFC 9112 or PEP 3333.
"""

from __future__ import annotations

from mutants.entry import Mutation

LIMITS = "tests/hostile/test_heads_without_limits.py::"

PARSED = ("tests/http/test_corpus.py", "tests/http/test_connection.py")
INPUT = ("tests/wsgi/test_input.py",)
PARTS = ("tests/wsgi/test_parts.py",)
RESPONSE = ("tests/wsgi/test_response.py", "tests/http/test_response.py")

HEADS: tuple[Mutation, ...] = (
    Mutation(
        "http/policy.py",
        "UNLIMITED_HEAD = 16 * 1024 * 1024\n",
        "UNLIMITED_HEAD = 1 << 40\n",
        "a head without end is kept in memory without end where limits are off",
        (LIMITS + "test_a_head_without_end_is_refused",),
        required=True,
    ),
    Mutation(
        "http/careful.py",
        "    if 0 < policy.limit_request_line < len(line) - 2:\n",
        "    if 0 < policy.limit_request_line < len(line):\n",
        "limit_request_line counts the CRLF",
        PARSED,
    ),
    Mutation(
        "http/careful.py",
        '    if method == "CONNECT":\n',
        "    if False:\n",
        "CONNECT reaches the application",
        PARSED,
    ),
    Mutation(
        "http/careful.py",
        "(minor > 1 and not policy.permit_unconventional_http_version)",
        "(minor > 2 and not policy.permit_unconventional_http_version)",
        "HTTP/1.2 is served without the permission",
        PARSED,
    ),
    Mutation(
        "http/careful.py",
        '    if target == "*" and method == "OPTIONS":\n',
        '    if target == "*":\n',
        "GET * reaches the application",
        PARSED,
    ),
    Mutation(
        "http/careful.py",
        '        if line[-1:] != b"\\r" or b"\\r" in line[:-1]:\n',
        '        if line[-1:] != b"\\r":\n',
        "a bare CR in a field reaches the application",
        PARSED,
    ),
    Mutation(
        "http/careful.py",
        '        if not line.startswith((" ", "\\t")):\n',
        '        if not line.startswith(" "):\n',
        "a folded line that begins with a tab is taken for a field",
        PARSED,
    ),
    Mutation(
        "http/careful.py",
        "        elif fields and policy.permit_obsolete_folding:\n",
        "        elif fields:\n",
        "obsolete folding is accepted without the permission",
        PARSED,
    ),
    Mutation(
        "http/careful.py",
        '        if policy.header_map == "drop":\n            return\n',
        "",
        "a field with an underscore stands for one with a hyphen",
        PARSED,
    ),
    Mutation(
        "http/careful.py",
        '    if variable == "HTTP_HOST":\n',
        "    if False:\n",
        "a request with two Hosts is served",
        PARSED,
    ),
    Mutation(
        "http/careful.py",
        '"; " if variable == "HTTP_COOKIE" else ","',
        '","',
        "several Cookie fields are joined as no cookie parser expects",
        PARSED,
    ),
    Mutation(
        "http/careful.py",
        '    if path == prefix or path.startswith(prefix + "/"):\n',
        "    if path.startswith(prefix):\n",
        "/appendix belongs to an application mounted at /app",
        PARSED,
    ),
    Mutation(
        "http/careful.py",
        "        if self.fields > policy.max_fields or len(data) > policy.max_head + 2:\n",
        "        if len(data) > policy.max_head + 2:\n",
        "too many fields are noticed only when the head is whole",
        PARSED,
    ),
    Mutation(
        "http/careful.py",
        '    if data.startswith(b"\\r\\n", start):\n'
        '        raise InvalidRequestLine("more than one empty line before it")\n',
        "",
        "empty lines before a request are read without end",
        PARSED,
    ),
    Mutation(
        "http/proxy.py",
        "    if max(ports) > 65535:\n",
        "    if max(ports) > 99999:\n",
        "a PROXY header may name a port that is none",
        PARSED,
    ),
    Mutation(
        "http/proxy.py",
        "    if address.version != family:\n",
        "    if False:\n",
        "a PROXY header of TCP4 may name an IPv6 address",
        PARSED,
    ),
    Mutation(
        "http/proxy.py",
        "    if len(data) < size:\n        return None\n    if version_command & 0x0F == 0:\n",
        "    if version_command & 0x0F == 0:\n",
        "the end of a PROXY header that comes in pieces is read as a request",
        PARSED,
    ),
)

BODIES: tuple[Mutation, ...] = (
    Mutation(
        "http/body.py",
        "            if 0 < self.limit < self.received:\n",
        "            if 0 < self.limit < self.received - 1:\n",
        "limit_request_body lets one byte more through",
        PARSED,
    ),
    Mutation(
        "wsgi/input.py",
        "        if end <= len(self.content):\n            self.position = end\n",
        "        if end <= len(self.content):\n            self.position = position\n",
        "the application reads the same part of a body again and again",
        INPUT,
    ),
    Mutation(
        "wsgi/input.py",
        "            self.pieces.reverse()\n",
        "",
        "the pieces of an upload come in the wrong order",
        INPUT,
    ),
    Mutation(
        "wsgi/input.py",
        "            if hint is not None and 0 < hint <= total:\n",
        "            if hint is not None and 0 < hint < total:\n",
        "readlines(hint) reads a line too many",
        INPUT,
    ),
    Mutation(
        "wsgi/input.py",
        '            if piece.endswith(b"\\n"):\n                break\n',
        "",
        "readline returns everything",
        INPUT,
    ),
    Mutation(
        "workers/spool.py",
        "        self.unread -= len(self.content)\n",
        "        self.unread = 0\n",
        "an upload in a file reaches the application cut",
        ("tests/hostile/test_refusals.py::test_a_slow_upload_does_not_occupy_the_worker",),
    ),
    Mutation(
        "workers/handler.py",
        '            del variables["HTTP_TRANSFER_ENCODING"]\n',
        "",
        "a chunked body is announced twice to the application",
        ("tests/integration/test_decoded_bodies.py",),
    ),
)

ENVIRONS: tuple[Mutation, ...] = (
    Mutation(
        "wsgi/environ.py",
        '        "wsgi.input_terminated": True,\n',
        "",
        "Flask takes a chunked body for empty",
        PARTS,
    ),
    Mutation(
        "wsgi/environ.py",
        '    variables["SERVER_NAME"] = name or "localhost"\n',
        '    variables["SERVER_NAME"] = name\n',
        "an application behind a unix socket has an empty SERVER_NAME without Host",
        PARTS,
    ),
    Mutation(
        "wsgi/environ.py",
        '"443" if variables["wsgi.url_scheme"] == "https" else "80"',
        '"80"',
        "URLs of an application behind a unix socket name port 80 for https",
        PARTS,
    ),
    Mutation(
        "wsgi/environ.py",
        '    if secure:\n        variables["wsgi.url_scheme"] = "https"\n',
        "",
        "applications on TLS make URLs of http",
        PARTS,
    ),
    Mutation(
        "wsgi/file_wrapper.py",
        "        count = status.st_size - offset\n",
        "        count = status.st_size\n",
        "a file that the application has read from is announced too long",
        PARTS,
    ),
    Mutation(
        "wsgi/file_wrapper.py",
        "            self.close = filelike.close\n",
        "            pass\n",
        "files that are sent are never closed",
        PARTS,
    ),
)

RESPONSES: tuple[Mutation, ...] = (
    Mutation(
        "wsgi/response.py",
        "                if self.headers_sent:\n"
        "                    raise exc_info[1].with_traceback(exc_info[2])\n",
        "                pass\n",
        "an error after the head was sent is lost",
        RESPONSE,
    ),
    Mutation(
        "wsgi/response.py",
        "        data = data[: self.remaining]\n",
        "",
        "a response longer than announced runs into the next",
        RESPONSE,
    ),
    Mutation(
        "wsgi/response.py",
        "            self.short = True\n            self.keep_alive = False\n\n    def send_file",
        "            self.short = True\n\n    def send_file",
        "a client waits for the rest of a response shorter than announced",
        RESPONSE,
    ),
    Mutation(
        "wsgi/response.py",
        '        if status.startswith("1") and not status.startswith("101"):\n',
        "        if False:\n",
        "an application may answer with 100 Continue, and the client waits",
        RESPONSE,
    ),
    Mutation(
        "wsgi/response.py",
        "next request would begin.\n            self.keep_alive = False\n",
        "next request would begin.\n            pass\n",
        "the rest of an unread body is not told of in the head",
        ("tests/integration/test_bodies.py::test_an_answer_before_the_end_of_the_body",),
    ),
    Mutation(
        "http/response.py",
        'LAST_CHUNK = b"0\\r\\n\\r\\n"\n',
        'LAST_CHUNK = b"0\\r\\n"\n',
        "chunked responses do not end",
        RESPONSE,
    ),
)

MUTATIONS = (*HEADS, *BODIES, *ENVIRONS, *RESPONSES)
