"""Random programs until so many steps are taken; each failure is made small and printed.

    python -m tests.random_programs [--steps 100000] [--first SEED | --seed SEED] [--keep-going]

Odd seeds run with partial scans. Where `TMPDIR` is in memory (/dev/shm), nothing waits for a disk.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.random_programs.program import Player, notebook, random_steps
from tests.random_programs.shrink import shrunk


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.random_programs")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--length", type=int, default=50, help="steps of one program")
    parser.add_argument("--weak", action="store_true", help="with weak references")
    parser.add_argument("--keep-going", action="store_true", help="after a failure too")
    parser.add_argument("--no-shrink", action="store_true", help="do not make failing programs small")
    parser.add_argument("--without", default="", help="expression for statements to leave out")
    parser.add_argument("--may-renew", action="store_true", help="a jump may replace what another made")
    asked = parser.parse_args()
    seed = asked.first if asked.seed is None else asked.seed
    taken, failures, start = 0, 0, time.monotonic()
    while taken < asked.steps:
        with tempfile.TemporaryDirectory() as folder:
            partial = seed % 2 == 1
            player = Player(Path(folder), partial=partial, renewed=not asked.may_renew)
            steps = random_steps(player, seed, asked.length, weak=asked.weak, without=asked.without)
            failure = player.play(steps)
            taken += len(player.steps)
        if failure is not None:
            failures += 1
            print(f"== seed {seed}{' (partial scans)' if partial else ''}: {failure.kind}: {failure.text}")
            if not asked.no_shrink:
                steps, failure = shrunk(player, failure)
                print(f"{notebook(steps)}\n-> {failure.kind} at {failure.step}: {failure.text}", flush=True)
            if not asked.keep_going:
                break
        seed += 1
        if asked.seed is not None:
            break
    print(f"{taken} steps, {failures} failures, {time.monotonic() - start:.0f} s", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
