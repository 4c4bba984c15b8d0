"""Random programs under random signals until so many processes are killed.

python -m tests.crash [--kills 2000] [--first SEED | --seed SEED] [--jobs 2] [--keep-going]
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.crash.driver import Outcome, play, summary


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash")
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--jobs", type=int, default=2, help="programs at a time")
    parser.add_argument("--keep-going", action="store_true", help="after a failure too")
    parser.add_argument("--folder", type=Path, help="where `--seed` leaves store, and what processes said")
    asked = parser.parse_args()
    start = time.monotonic()
    if asked.seed is not None:
        outcome = _one(asked.seed, asked.folder)
        print(outcome)
        outcomes = [outcome]
    else:
        outcomes = []
        seeds = itertools.count(asked.first)
        with ThreadPoolExecutor(asked.jobs) as pool:
            while sum(o.kills for o in outcomes) < asked.kills:
                found = list(pool.map(_one, itertools.islice(seeds, asked.jobs * 4)))
                outcomes += found
                for outcome in found:
                    if outcome.problems:
                        print(f"== {outcome}", flush=True)
                if any(o.problems for o in found) and not asked.keep_going:
                    break
    print(f"{summary(outcomes)} ({time.monotonic() - start:.0f} s)", flush=True)
    return any(o.problems for o in outcomes)


def _one(seed: int, folder: Path | None = None) -> Outcome:
    if folder is not None:
        folder.mkdir(parents=True)
        return play(seed, folder)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        return play(seed, Path(temporary))


if __name__ == "__main__":
    sys.exit(main())
