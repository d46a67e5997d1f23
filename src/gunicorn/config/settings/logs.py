"""What is logged, how, and to where."""

from __future__ import annotations

from gunicorn.config import validators
from gunicorn.config.declaration import Declaration, Section
from gunicorn.config.settings.statsd import SETTINGS as STATSD

ACCESS_LOG_FORMAT = Declaration(
    name="access_log_format",
    cli=("--access-logformat",),
    meta="STRING",
    validator=validators.string,
    default='%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"',
    help="""
    The form of a line of the access log, or `json`.

    `h` remote address, `l` `-`, `u` user name, `t` time of the request, `r` request line,
    `m` method, `U` path, `q` query, `H` protocol, `s` status code, `B` response length,
    `b` the same or `-`, `f` referrer, `a` user agent, `T` seconds, `M` milliseconds,
    `D` microseconds, `L` seconds with decimals, `p` process id; `{name}i` a request field,
    `{name}o` a response field, `{name}e` a variable of the environ. Each is written
    `%(ATOM)s`, and is `-` where there is nothing. `json` writes an object for each
    request.
    """,
)

SECTION = Section(
    "Logging",
    (
        Declaration(
            name="accesslog",
            cli=("--access-logfile",),
            meta="FILE",
            validator=validators.optional_path,
            help="""
            The file that gets one line for each request.

            `-` is standard output. None, the default, keeps no access log in a file.
            """,
        ),
        Declaration(
            name="disable_redirect_access_to_syslog",
            cli=("--disable-redirect-access-to-syslog",),
            action="store_true",
            validator=validators.boolean,
            default=False,
            help="""
            Keep the access log out of syslog when `syslog` is on.

            Only error-log lines are sent then.
            """,
        ),
        ACCESS_LOG_FORMAT,
        Declaration(
            name="errorlog",
            cli=("--error-logfile", "--log-file"),
            meta="FILE",
            validator=validators.optional_path,
            default="-",
            help="""
            The file of the error log, where the server tells what it does.

            `-`, the default, is standard error.
            """,
        ),
        Declaration(
            name="loglevel",
            cli=("--log-level",),
            meta="LEVEL",
            validator=validators.log_level,
            default="info",
            help="""
            The least severe level that gets into the error log.

            One of debug, info, warning, error, critical.
            """,
        ),
        Declaration(
            name="capture_output",
            cli=("--capture-output",),
            action="store_true",
            validator=validators.boolean,
            default=False,
            help="""
            Send what the application prints to the file of the error log.

            Standard output and standard error of the workers are redirected to `errorlog`.
            """,
        ),
        Declaration(
            name="logger_class",
            cli=("--logger-class",),
            meta="STRING",
            validator=validators.class_or_name,
            default="gunicorn.glogging.Logger",
            help="""
            The class that logs: a dotted path, or the class itself in a configuration file.

            It has the methods of `gunicorn.glogging.Logger`, best by being a subclass of it.
            """,
        ),
        Declaration(
            name="logconfig",
            cli=("--log-config",),
            meta="FILE",
            validator=validators.optional_path,
            help="""
            A file in the format of `logging.config.fileConfig`.

            The loggers are `gunicorn.error` and `gunicorn.access`.
            """,
        ),
        Declaration(
            name="logconfig_dict",
            validator=validators.mapping,
            default={},
            help="""
            A dictionary for `logging.config.dictConfig`.

            It has precedence over `logconfig_json` and `logconfig`.
            """,
        ),
        Declaration(
            name="logconfig_json",
            cli=("--log-config-json",),
            meta="FILE",
            validator=validators.optional_path,
            help="""
            A JSON file that holds a dictionary for `logging.config.dictConfig`.

            It has precedence over `logconfig`.
            """,
        ),
        Declaration(
            name="syslog_addr",
            cli=("--log-syslog-to",),
            meta="SYSLOG_ADDR",
            validator=validators.syslog_address,
            default="udp://localhost:514",
            help="""
            Where `syslog` sends lines: udp://HOST:PORT, tcp://HOST:PORT or unix://PATH.

            A unix path may end in `#stream` or `#dgram`; without it both are tried.
            """,
        ),
        Declaration(
            name="syslog",
            cli=("--log-syslog",),
            action="store_true",
            validator=validators.boolean,
            default=False,
            help="""
            Send the logs to syslog as well.

            See `syslog_addr`, `syslog_prefix` and `syslog_facility`.
            """,
        ),
        Declaration(
            name="syslog_prefix",
            cli=("--log-syslog-prefix",),
            meta="SYSLOG_PREFIX",
            validator=validators.optional_string,
            help="""
            The program name in syslog lines is `gunicorn.PREFIX`.

            Without a prefix it is made from the process name.
            """,
        ),
        Declaration(
            name="syslog_facility",
            cli=("--log-syslog-facility",),
            meta="SYSLOG_FACILITY",
            validator=validators.syslog_facility,
            default="user",
            help="""
            The syslog facility, such as user, daemon or local0.
            """,
        ),
        Declaration(
            name="enable_stdio_inheritance",
            cli=("-R", "--enable-stdio-inheritance"),
            action="store_true",
            validator=validators.boolean,
            default=False,
            help="""
            Keep standard output and standard error open in daemon mode.

            Without it they are /dev/null once the process is a daemon. To see prints at once,
            set PYTHONUNBUFFERED.
            """,
        ),
        *STATSD,
    ),
)
