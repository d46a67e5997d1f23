"""The process: its folder, its user, its environment, its files."""

from __future__ import annotations

import os

from gunicorn.config import validators
from gunicorn.config.declaration import Declaration


def current_folder() -> str:
    """The working directory, by the path that the shell came by where that is the same place.

    A deployment that switches a symbolic link is followed by a reload this way.
    """
    here = os.getcwd()
    shell = os.environ.get("PWD")
    if shell and os.path.isabs(shell) and os.path.isdir(shell) and os.path.samefile(shell, here):
        return shell
    return here


def _sendfile_of_variable(text: str) -> bool:
    return text.strip().lower() in ("y", "1", "yes", "true", "on")


SETTINGS = (
    Declaration(
        name="preload_app",
        cli=("--preload",),
        action="store_true",
        validator=validators.boolean,
        default=False,
        help="""
        Load the application once, before workers are forked.

        Workers then start faster and share memory. What the application opens while it is
        imported (connections, threads) is shared or lost by the fork, too.
        """,
    ),
    Declaration(
        name="sendfile",
        cli=("--no-sendfile",),
        action="store_false",
        validator=validators.optional_boolean,
        variable="SENDFILE",
        from_variable=_sendfile_of_variable,
        help="""
        Whether files given to wsgi.file_wrapper are sent by sendfile(2).

        The flag turns it off. None, the default, is on, or what SENDFILE in the environment says
        (`1`, `y`, `yes` or `true` for on).
        """,
    ),
    Declaration(
        name="reuse_port",
        cli=("--reuse-port",),
        action="store_true",
        validator=validators.boolean,
        default=False,
        help="""
        Listen on TCP addresses with SO_REUSEPORT, with as many sockets as there are workers.

        Several servers can then listen on one address. The kernel spreads new connections over
        the sockets; each worker accepts from all of them, so none waits for a worker that is busy.
        """,
    ),
    Declaration(
        name="chdir",
        cli=("--chdir",),
        meta="CHDIR",
        validator=validators.directory,
        default_factory=current_folder,
        default_text="the current folder",
        help="""
        The folder to work in; it must exist.

        The server changes to it before the application is loaded, and puts it first on the
        Python path.
        """,
    ),
    Declaration(
        name="daemon",
        cli=("-D", "--daemon"),
        action="store_true",
        validator=validators.boolean,
        default=False,
        help="""
        Run in the background, detached from the terminal.

        Under systemd or in a container leave it off.
        """,
    ),
    Declaration(
        name="raw_env",
        cli=("-e", "--env"),
        action="append",
        meta="ENV",
        validator=validators.assignments,
        default=(),
        help="""
        NAME=VALUE to set in the environment before the application is loaded.

        May be given several times; a list in a configuration file.
        """,
    ),
    Declaration(
        name="pidfile",
        cli=("-p", "--pid"),
        meta="FILE",
        validator=validators.optional_path,
        help="""
        A file to write the process id of the arbiter to.

        A file that a dead process left is replaced, also when its number is another program's by
        now; with a living server the start is refused. The server keeps a lock on its file.
        """,
    ),
    Declaration(
        name="worker_tmp_dir",
        cli=("--worker-tmp-dir",),
        meta="DIR",
        validator=validators.optional_directory,
        help="""
        The folder for temporary files that hold responses which clients are slow to read.

        They have no names and end with the response, see `response_spool_size`. Without this
        setting it is the system's folder (TMPDIR, /tmp). Heartbeats of workers are in memory,
        so no disk can delay one wherever this points.
        """,
    ),
    Declaration(
        name="user",
        cli=("-u", "--user"),
        meta="USER",
        validator=validators.user,
        default_factory=os.geteuid,
        default_text="the process's own",
        help="""
        The user, by name or id, that workers run as.

        The arbiter must be root to change it. With this setting alone workers run as the user's
        own group, too.
        """,
    ),
    Declaration(
        name="group",
        cli=("-g", "--group"),
        meta="GROUP",
        validator=validators.group,
        default_factory=os.getegid,
        default_text="that of `user` when it is set, else the process's own",
        help="""
        The group, by name or id, that workers run as.

        The arbiter must be root to change it.
        """,
    ),
    Declaration(
        name="umask",
        cli=("-m", "--umask"),
        meta="INT",
        validator=validators.permission_bits,
        default=0,
        help="""
        The permission bits that the unix sockets which are listened on are made without.

        A number, or a string in octal: "022" and "0o22" are 18. Files that the application
        makes go by the umask that gunicorn was started with, or by 022 in a daemon.
        """,
    ),
    Declaration(
        name="initgroups",
        cli=("--initgroups",),
        action="store_true",
        validator=validators.boolean,
        default=False,
        help="""
        Give workers all groups of `user`, and `group`, by initgroups(3).

        Of a user without an entry in the user database the groups are unknown. Then there is a
        warning, and workers get `group` alone.
        """,
    ),
    Declaration(
        name="tmp_upload_dir",
        meta="DIR",
        validator=validators.optional_directory,
        help="""
        The folder for temporary files that hold request bodies.

        Only a body above `request_buffer_size` needs one. The files have no names and end with
        the request. Without this setting it is the system's folder (TMPDIR, /tmp).
        """,
    ),
    Declaration(
        name="pythonpath",
        cli=("--pythonpath",),
        meta="STRING",
        validator=validators.optional_string,
        help="""
        Folders to put on the Python path, with commas between them.
        """,
    ),
    Declaration(
        name="paste",
        cli=("--paste", "--paster"),
        meta="STRING",
        validator=validators.optional_string,
        help="""
        A PasteDeploy file to load the application from: FILE or FILE#NAME.

        NAME is the section, `main` when it is left out. Needs PasteDeploy
        (`pip install gunicorn[paste]`).
        """,
    ),
    Declaration(
        name="raw_paste_global_conf",
        cli=("--paste-global",),
        action="append",
        meta="CONF",
        validator=validators.assignments,
        default=(),
        help="""
        KEY=VALUE to add to the global configuration of the PasteDeploy file.

        May be given several times.
        """,
    ),
)
