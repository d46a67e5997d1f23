"""Writes what the fuzzers begin with: the requests of tests/http/corpus, a file for each."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.http.corpus import load


def main(folder: Path) -> None:
    for target, prefixes in (
        ("heads", (b"\x00", b"\x41", b"\x82", b"\xc3")),
        ("chunks", (b"\x00a",)),
    ):
        seeds = folder / target
        seeds.mkdir(parents=True, exist_ok=True)
        for number, case in enumerate(load()):
            data = case.data
            if target == "chunks":
                # The body, where there is one.
                data = data.partition(b"\r\n\r\n")[2]
            if data and len(data) < 4096:
                prefix = prefixes[number % len(prefixes)]
                (seeds / f"corpus-{number}").write_bytes(prefix + data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
