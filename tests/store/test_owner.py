from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from durable_nb.model import Liveness, Owner
from durable_nb.store.owner import LifeLock, current_owner, liveness

_OWNER = (
    "import json, sys; from durable_nb.store.owner import current_owner; "
    "print(json.dumps(current_owner().to_json()), flush=True); sys.stdin.read()"
)
_HOLDER = (
    "import sys; from pathlib import Path; from durable_nb.store.owner import LifeLock; "
    "lock = LifeLock(Path(sys.argv[1])); print(flush=True); sys.stdin.read()"
)


def _start() -> tuple[subprocess.Popen[str], Owner]:
    import json

    process = subprocess.Popen(
        [sys.executable, "-c", _OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, Owner(**json.loads(process.stdout.readline()))


def test_a_process_is_alive_until_it_is_killed() -> None:
    process, owner = _start()
    assert liveness(owner) is Liveness.ALIVE
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert liveness(owner) is Liveness.DEAD, "a zombie owns nothing"
    process.communicate()
    assert liveness(owner) is Liveness.DEAD


def test_a_process_id_that_was_given_again_is_another_process() -> None:
    here = current_owner()
    assert liveness(here) is Liveness.ALIVE
    assert liveness(replace(here, start_time=here.start_time - 60)) is Liveness.DEAD


def test_a_reboot_ended_everything() -> None:
    assert liveness(replace(current_owner(), boot_id="before")) is Liveness.DEAD


def test_what_cannot_be_known_is_not_guessed(tmp_path: Path) -> None:
    here = current_owner()
    far = replace(here, host="elsewhere", boot_id="other")
    container = replace(here, pid_namespace="pid:[1]")
    for owner in (far, container, replace(container, host="container")):
        assert liveness(owner) is Liveness.UNKNOWN
        assert liveness(owner, tmp_path / "no such lock") is Liveness.UNKNOWN


def test_a_lock_tells_of_another_container_on_this_machine(tmp_path: Path) -> None:
    here = current_owner()
    container = replace(here, pid_namespace="pid:[1]", host="container")
    far = replace(here, host="elsewhere", boot_id="other")
    path = tmp_path / "locks" / "run.1"
    held = LifeLock(path)
    assert liveness(container, path) is Liveness.ALIVE
    assert liveness(far, path) is Liveness.ALIVE
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            _HOLDER,
            str(tmp_path / "locks" / "run.2"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    process.stdout.readline()
    assert liveness(container, tmp_path / "locks" / "run.2") is Liveness.ALIVE
    process.kill()
    process.communicate()
    assert liveness(container, tmp_path / "locks" / "run.2") is Liveness.DEAD
    assert liveness(far, tmp_path / "locks" / "run.2") is Liveness.UNKNOWN, "locks may not reach that far"
    held.close()
    assert not path.exists()


def test_a_place_without_locks_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("")
    LifeLock(tmp_path / "locks" / "run.1").close()
