"""What to believe from proxies, and which oddities of requests to let through."""

from __future__ import annotations

from gunicorn.config import validators
from gunicorn.config.declaration import Declaration

_LOCAL = "127.0.0.1,::1"


def _permission(name: str, flag: str, text: str) -> Declaration:
    return Declaration(
        name=name,
        cli=(flag,),
        action="store_true",
        validator=validators.boolean,
        default=False,
        help=text,
    )


SETTINGS = (
    Declaration(
        name="secure_scheme_headers",
        validator=validators.scheme_headers,
        default={
            "X-FORWARDED-PROTOCOL": "ssl",
            "X-FORWARDED-PROTO": "https",
            "X-FORWARDED-SSL": "on",
        },
        help="""
        Fields by which a trusted proxy says that the client came by https.

        A dictionary from the name of the field to the value that means https. Believed only from
        peers in `forwarded_allow_ips`. Fields that contradict each other are refused with 400.
        """,
    ),
    Declaration(
        name="forwarded_allow_ips",
        cli=("--forwarded-allow-ips",),
        meta="STRING",
        validator=validators.networks,
        default=_LOCAL,
        variable="FORWARDED_ALLOW_IPS",
        help="""
        The proxies whose `secure_scheme_headers` and `forwarder_headers` are believed.

        Addresses and networks such as 10.0.0.0/8, with commas between them, or `*` for every
        peer: only where no one but the proxy can connect. The default is FORWARDED_ALLOW_IPS
        where that is set in the environment.
        """,
    ),
    Declaration(
        name="proxy_protocol",
        cli=("--proxy-protocol",),
        meta="MODE",
        const="auto",
        validator=validators.proxy_mode,
        default="off",
        help="""
        Expect the PROXY protocol at the start of connections: off, v1, v2 or auto.

        `auto`, which the flag alone means, takes either version. The peer must be in
        `proxy_allow_ips`.
        """,
    ),
    Declaration(
        name="proxy_allow_ips",
        cli=("--proxy-allow-from",),
        validator=validators.networks,
        default=_LOCAL,
        help="""
        The proxies that may send the PROXY protocol.

        Addresses and networks with commas between them, or `*` for every peer.
        """,
    ),
    Declaration(
        name="protocol",
        cli=("--protocol",),
        meta="STRING",
        validator=validators.string,
        default="http",
        supported=False,
        help="The protocol that clients speak.",
    ),
    Declaration(
        name="uwsgi_allow_ips",
        cli=("--uwsgi-allow-from",),
        validator=validators.networks,
        default=_LOCAL,
        supported=False,
        help="The peers that may speak the uwsgi protocol.",
    ),
    _permission(
        "permit_obsolete_folding",
        "--permit-obsolete-folding",
        """
        Accept field values that go on in the next line (RFC 9112, 5.2).

        Folds become spaces. Without it such a request is refused with 400.
        """,
    ),
    _permission(
        "strip_header_spaces",
        "--strip-header-spaces",
        """
        Accept blanks between a field's name and its colon (RFC 9112, 5.1), and drop them.

        Servers that disagree about such fields can be played off against each other: for old
        clients only, with no proxy in between.
        """,
    ),
    _permission(
        "permit_unconventional_http_method",
        "--permit-unconventional-http-method",
        """
        Accept every method that is a token (RFC 9110, 9.1).

        Without it a method has 3 to 20 characters, none of them a lower-case letter or `#`.
        """,
    ),
    _permission(
        "permit_unconventional_http_version",
        "--permit-unconventional-http-version",
        """
        Accept requests that say HTTP/1.2 to HTTP/1.9, and read them as HTTP/1.1.

        Without it they are answered with 505.
        """,
    ),
    _permission(
        "casefold_http_method",
        "--casefold-http-method",
        """
        Turn methods into upper case. By RFC 9110, 9.1 methods are case-sensitive.
        """,
    ),
    Declaration(
        name="forwarder_headers",
        cli=("--forwarder-headers",),
        validator=validators.field_names,
        default="SCRIPT_NAME,PATH_INFO",
        help="""
        Fields with a `_` in their name that a trusted proxy may set, names in upper case.

        They pass `header_map` when the peer is in `forwarded_allow_ips`. SCRIPT_NAME becomes the
        application's mount point.
        """,
    ),
    Declaration(
        name="header_map",
        cli=("--header-map",),
        validator=validators.one_of("drop", "refuse", "dangerous"),
        default="drop",
        help="""
        What becomes of fields whose names cannot be told apart in the environ: those with `_`.

        `X_User` and `X-User` are both HTTP_X_USER. `drop` leaves out the former, `refuse` answers
        400, and `dangerous` lets it through, so that a client can pretend to be the proxy.
        """,
    ),
    Declaration(
        name="root_path",
        cli=("--root-path",),
        meta="STRING",
        validator=validators.mount_point,
        default="",
        help="""
        The path under which the application is mounted, such as /shop.

        It is the SCRIPT_NAME of the environ, and taken off PATH_INFO. A variable SCRIPT_NAME in
        the environment does the same.
        """,
    ),
)
