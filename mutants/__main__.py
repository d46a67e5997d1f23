"""`python -m mutants [WORD...]`: try every fault of the table, or those that a WORD is part of.

First the killers run on the tree as it is, since a test that fails anyway sees nothing. Then each
fault is tried. It ends with 1 when one does not fit the tree any more, when a required one
survives, or when less than nine in ten are killed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from mutants.entry import Mutation, Stale
from mutants.table import MUTATIONS
from mutants.trial import FAILED, ROOT, Copy, Verdict

SHARE = 0.9
"""The part of all faults that has to be killed."""


def main() -> int:
    options = parse(sys.argv[1:])
    chosen = [each for each in MUTATIONS if wanted(each, options.words)]
    stale = describe_stale(chosen)
    if stale:
        print("\n".join(stale))
        print(f"\n{len(stale)} entries of mutants/table do not fit the tree any more.")
        return 1
    if options.list:
        for number, each in enumerate(chosen, 1):
            print(f"{number:4} {title(each)}")
        return 0
    with Copy.of_tree() as copy:
        unfit = set() if options.trust else failing(copy, chosen)
        verdicts = [(each, tried(copy, each, unfit, options.verbose)) for each in chosen]
    return conclude(verdicts)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORD", help="a part of a file or of an effect")
    parser.add_argument("--list", action="store_true", help="name the faults and try none")
    parser.add_argument(
        "--trust", action="store_true", help="do not run the killers on the whole tree first"
    )
    parser.add_argument("--verbose", action="store_true", help="show what pytest says of survivors")
    return parser.parse_args(arguments)


def wanted(mutation: Mutation, words: Sequence[str]) -> bool:
    return not words or any(word in title(mutation) for word in words)


def title(mutation: Mutation) -> str:
    text = (ROOT / mutation.path).read_text()
    where = mutation.line(text) if text.count(mutation.old) == 1 else "?"
    star = " (required)" if mutation.required else ""
    return f"{mutation.file}:{where} {mutation.effect}{star}"


def describe_stale(mutations: Sequence[Mutation]) -> list[str]:
    """What is wrong with entries that do not apply."""
    found = []
    for each in mutations:
        try:
            each.mutated((ROOT / each.path).read_text())
        except (Stale, OSError) as error:
            found.append(f"stale: {error}")
    return found


def failing(copy: Copy, mutations: Sequence[Mutation]) -> set[tuple[str, bool]]:
    """The killers that fail on the tree as it is, and whether without the compiled modules."""
    found: set[tuple[str, bool]] = set()
    for pure in (False, True):
        tests = sorted({test for each in mutations if each.pure is pure for test in each.killers})
        if not tests:
            continue
        print(f"{len(tests)} killers on the tree as it is{' (pure Python)' if pure else ''} ...")
        sys.stdout.flush()
        verdict, said = copy.run(tests, pure=pure, every=True)
        if verdict is Verdict.SURVIVED:
            continue
        failed = FAILED.findall(said)
        if not failed:
            raise SystemExit(f"{verdict.value}:\n{said}")
        print(said)
        found |= {
            (test, pure) for test in tests for one in failed if (one + "[").startswith(test + "[")
        }
        found |= {(test, pure) for test in tests for one in failed if one == test}
    return found


def tried(copy: Copy, mutation: Mutation, unfit: set[tuple[str, bool]], verbose: bool) -> Verdict:
    """Try one fault, and say what became of it."""
    began = time.monotonic()
    killers = [test for test in mutation.killers if (test, mutation.pure) not in unfit]
    said = "its killers fail on the tree as it is"
    verdict = Verdict.BROKEN
    if killers:
        with copy.broken(mutation):
            verdict, said = copy.run(killers, pure=mutation.pure)
    print(f"{verdict.value:8} {time.monotonic() - began:6.1f} s  {title(mutation)}")
    if verdict is Verdict.BROKEN or (verbose and verdict is Verdict.SURVIVED):
        print(said)
    sys.stdout.flush()
    return verdict


def conclude(verdicts: Sequence[tuple[Mutation, Verdict]]) -> int:
    """Sum up; returns the exit code."""
    dead = (Verdict.KILLED, Verdict.HUNG)
    killed = sum(verdict in dead for _, verdict in verdicts)
    missing = [each for each, verdict in verdicts if each.required and verdict not in dead]
    print(f"\n{killed} of {len(verdicts)} killed.")
    for each, verdict in verdicts:
        if verdict not in dead:
            print(f"{verdict.name.lower()}: {title(each)}")
    if missing:
        print(f"{len(missing)} of these are required.")
    return int(bool(missing) or killed < SHARE * len(verdicts))


if __name__ == "__main__":
    sys.exit(main())
