"""What users write: options, files, addresses, ids; and the sockets that come of it."""

from __future__ import annotations

from mutants.entry import Mutation

VALUES = ("tests/config/test_values.py", "tests/config/test_edges.py")
FILE = ("tests/config/test_file.py",)
SOURCES = ("tests/config/test_sources.py", "tests/config/test_edges.py")
ADDRESS = ("tests/config/test_address.py", "tests/config/test_edges.py")
PLACES = "tests/sock/test_names_and_paths.py::"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "config/validators.py",
        "    if not 0 <= number < 2**32 - 1:\n",
        "    if not 0 <= number < 2**32:\n",
        "user 4294967295 is taken, which leaves the server root",
        ("tests/config/test_ids.py",),
        required=True,
    ),
    Mutation(
        "config/validators.py",
        "        for base in (10, 0):\n",
        "        for base in (10,):\n",
        "hexadecimal and octal numbers are refused",
        VALUES,
    ),
    Mutation(
        "config/validators.py",
        "number < minimum or (maximum is not None and number > maximum)",
        "number < minimum or (maximum is not None and number >= maximum)",
        "the largest value of a setting is refused",
        VALUES,
    ),
    Mutation(
        "config/validators.py",
        '"G": 1 << 30',
        '"G": 10**9',
        "a gigabyte is less than 1024 megabytes",
        VALUES,
    ),
    Mutation(
        "config/validators.py",
        "        if share is not None and 1 <= share <= 100:\n",
        "        if share is not None and 1 <= share < 100:\n",
        "reload_surge = '100%' is refused",
        VALUES,
    ),
    Mutation(
        "config/validators.py",
        "        if not minimum <= number < math.inf:\n",
        "        if not minimum <= number <= math.inf:\n",
        "a time-out may be infinite, which system calls do not take",
        VALUES,
    ),
    Mutation(
        "config/validators.py",
        '_FALSE = frozenset({"false", "no", "off", "0"})\n',
        '_FALSE = frozenset({"false", "no", "0"})\n',
        "'off' is no boolean",
        VALUES,
    ),
    Mutation(
        "config/address.py",
        '    if path.startswith("//"):\n        path = path[2:]\n',
        "",
        "unix://run/x is another place than it was",
        ADDRESS,
    ),
    Mutation(
        "config/address.py",
        "    if not (text.isascii() and text.isdigit()) or int(text) > 65535:\n",
        "    if not (text.isascii() and text.isdigit()) or int(text) > 65536:\n",
        "port 65536 is no port",
        ADDRESS,
    ),
    Mutation(
        "config/address.py",
        "        return host.lower(), rest[1:] if rest else None\n",
        "        return host, rest[1:] if rest else None\n",
        "an IPv6 address in capitals is another one at a reload",
        ADDRESS,
    ),
    Mutation(
        "config/sources.py",
        "{**vars(variable), **given}",
        "{**given, **vars(variable)}",
        "GUNICORN_CMD_ARGS overrules the command line",
        SOURCES,
    ),
    Mutation(
        "config/sources.py",
        "        if value is not None\n",
        "",
        "what a framework leaves open overrules a default",
        SOURCES,
    ),
    Mutation(
        "config/file.py",
        "        if meant and meant not in lines.bound and _may_be_meant"
        "(names.get(name), meant, settings):\n",
        "        if meant and meant not in lines.bound and False:\n",
        "a slip of the pen in a configuration file goes unnoticed",
        FILE,
    ),
    Mutation(
        "config/file.py",
        'if name.startswith("_") or name in lines.read or isinstance',
        'if name.startswith("_") or isinstance',
        "a name of the user's own is refused, as it looks like a setting",
        FILE,
    ),
    Mutation(
        "config/file.py",
        "    return importlib.import_module(name) if known is None else importlib.reload(known)\n",
        "    return importlib.import_module(name) if known is None else known\n",
        "a reload does not read a configuration module anew",
        FILE,
    ),
    Mutation(
        "config/file.py",
        'location.removeprefix("file:")',
        "location",
        "-c file:PATH finds no file",
        FILE,
    ),
    Mutation(
        "sock.py",
        "    family, _, _, _, target = min(found, key=lambda entry: entry[0] != socket.AF_INET)\n",
        "    family, _, _, _, target = found[0]\n",
        "localhost is bound for IPv6 alone",
        (PLACES + "test_a_name_of_both_families_is_bound_for_ipv4",),
        required=True,
    ),
    Mutation(
        "sock.py",
        "        listener.close()\n        listener.unlink()\n        raise\n",
        "        listener.close()\n        raise\n",
        "a unix socket that could not be opened leaves its path",
        (PLACES + "test_nothing_is_left_of_a_unix_socket_that_could_not_be_opened",),
        required=True,
    ),
    Mutation(
        "sock.py",
        "        close_listeners(bound, unlink=True)\n",
        "        close_listeners(bound, unlink=False)\n",
        "a unix socket stays behind when another address could not be bound",
        (PLACES + "test_nothing_is_left_of_a_unix_socket_that_could_not_be_opened",),
        required=True,
    ),
    Mutation(
        "sock.py",
        "        if self._inode is not None and unix_path.inode(self.path) == self._inode:\n",
        "        if self._inode is not None:\n",
        "the socket of another server is removed",
        ("tests/sock/test_listeners.py::test_the_socket_of_a_successor_is_not_unlinked",),
    ),
    Mutation(
        "sock.py",
        "    if listeners and len(missing) == len(set(cfg.address)):\n        missing = []\n",
        "",
        "sockets of the service manager are served beside an address nobody asked for",
        ("tests/sock/test_inherited.py", "tests/sock/test_systemd.py"),
    ),
    Mutation(
        "unix_path.py",
        "    if refusal != errno.ECONNREFUSED:\n",
        "    if False:\n",
        "the socket of a server that lives is taken away",
        ("tests/sock/test_listeners.py::test_the_socket_of_a_live_server_is_left_alone",),
    ),
    Mutation(
        "systemd.py",
        "int(pid) != os.getpid()",
        "False",
        "sockets that were meant for another process are taken over",
        ("tests/sock/test_systemd.py",),
    ),
)
