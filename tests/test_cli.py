from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from durable_nb import autoload, cli
from durable_nb.testing import Kernel, until_running

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A notebook whose kernel died in the middle of the node `train`."""
    folder = tmp_path_factory.mktemp("killed")
    marker = folder / "running"
    with Kernel(folder / "analysis.ipynb") as kernel:
        kernel.run_all(["%load_ext durable_nb", "%%node load\ndata = list(range(10))"])
        kernel.send(f"%%node train\nopen({str(marker)!r}, 'x').close()\nwhile True: pass")
        until_running(marker)
        kernel.kill()
    return kernel.notebook


@pytest.fixture
def command(killed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `durable-nb` in this process: (exit code, what it said, what it complained about)."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(killed.parent / ".home" / "jupyter"))
    monkeypatch.chdir(killed.parent)

    def run(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["durable-nb", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.mark.parametrize("place", [(), ("analysis.ipynb",), (".durable",), (".",)], ids=str)
def test_a_store_is_found_by_its_folder_itself_or_a_notebook(
    command: Command, place: tuple[str, ...]
) -> None:
    for name in ("list", "log", "verify"):
        code, out, err = command(name, *place)
        assert (code, err) == (0, "")
        assert out


def test_list_shows_the_execution_and_that_its_kernel_is_dead(command: Command) -> None:
    _, out, _ = command("list")
    assert "analysis.ipynb" in out
    assert "INTERRUPTED" in out
    assert "dead" in out


def test_log_names_the_node_that_was_lost(command: Command) -> None:
    _, out, _ = command("log")
    rows = [line.split() for line in out.splitlines()]
    assert ["✓", "load", "COMPLETED"] in [row[:3] for row in rows]
    assert ["?", "train", "LOST"] in rows


def test_reading_takes_nothing_over(command: Command, killed: Path) -> None:
    before = {p: p.read_bytes() for p in (killed.parent / ".durable").rglob("*") if p.is_file()}
    for name in ("list", "log", "verify"):
        command(name)
    assert {p: p.read_bytes() for p in (killed.parent / ".durable").rglob("*") if p.is_file()} == before


def test_verify_says_what_is_damaged_and_ends_with_1(command: Command, killed: Path, tmp_path: Path) -> None:
    copy = tmp_path / ".durable"
    shutil.copytree(killed.parent / ".durable", copy)
    pack = next(copy.glob("packs/*"))
    flipped = bytearray(pack.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(flipped)
    code, out, _ = command("verify", tmp_path)
    assert code == 1
    assert pack.stem in out


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (("list", "nowhere"), "there is no folder"),
        (("log", "other.ipynb"), "nothing was kept of other.ipynb yet"),
        (("log", "--execution", "xyz"), "no execution `xyz`"),
        (("list", ".home"), "no store in"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_not_there_is_one_line_and_exit_2(
    command: Command, args: tuple[str, ...], complaint: str
) -> None:
    code, out, err = command(*args)
    assert (code, out) == (2, "")
    assert complaint in err
    assert err.count("\n") == 1


def test_help_names_every_command() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from durable_nb.cli import main; main()", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in ("demo", "list", "log", "verify", "enable", "disable"):
        assert f" {name} " in done.stdout


class TestAutoload:
    @pytest.fixture(autouse=True)
    def _environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # A whole virtual environment costs seconds; where IPython looks is tested below with a real kernel.
        monkeypatch.setattr(sys, "prefix", str(tmp_path))

    def test_it_is_written_once_and_taken_out_again(self) -> None:
        file = autoload.enable()
        text = file.read_text()
        autoload.enable()
        assert file.read_text() == text
        assert autoload.enabled()
        assert autoload.disable() == file
        assert not file.exists()
        assert autoload.disable() is None

    def test_what_the_user_wrote_there_stays(self) -> None:
        file = autoload.file()
        file.parent.mkdir(parents=True)
        file.write_text("c.IPKernelApp.matplotlib = 'agg'\n")
        autoload.enable()
        file.write_text(file.read_text() + "c.InteractiveShellApp.extensions = []\n")
        autoload.disable()
        assert file.read_text() == "c.IPKernelApp.matplotlib = 'agg'\nc.InteractiveShellApp.extensions = []\n"

    def test_a_folder_that_cannot_be_written_is_one_line(self, command: Command, tmp_path: Path) -> None:
        (tmp_path / "etc").touch()
        code, _, err = command("enable")
        assert code == 2
        assert "cannot" in err
        assert err.count("\n") == 1


@pytest.fixture
def with_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose kernels read the block from a profile; the environment's would reach all tests."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    text = autoload.enable().read_text()
    monkeypatch.undo()
    profile = tmp_path / ".home" / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / autoload.file().name).write_text(text)
    return tmp_path


def test_after_enable_a_notebook_is_durable_with_nothing_to_do(with_block: Path) -> None:
    with Kernel(with_block / "analysis.ipynb") as kernel:
        kernel.run("x = [1, 2, 3]")
        kernel.run("%checkpoint")
        kernel.restart(clean=False)
        assert "brought back  x" in kernel.run("x").text
        assert kernel.value("x") == "[1, 2, 3]"


def test_after_enable_a_kernel_without_a_notebook_is_left_alone(with_block: Path) -> None:
    with Kernel(with_block / "script.ipynb", known=False) as kernel:
        assert kernel.value("'durable_nb' in __import__('sys').modules") == "False"
    assert not (with_block / ".durable").exists()


def test_a_kernel_starts_when_durable_nb_is_gone(with_block: Path) -> None:
    file = with_block / ".home" / "ipython" / "profile_default" / autoload.file().name
    file.write_text(file.read_text().replace('"durable_nb"', '"durable_nb_is_not_installed"'))
    with Kernel(with_block / "analysis.ipynb") as kernel:
        assert kernel.run("1 + 1").text == "2"


def test_the_environments_own_settings_are_where_ipython_looks() -> None:
    code = "import IPython.core.application as a; print(*a.ENV_CONFIG_DIRS, *a.SYSTEM_CONFIG_DIRS)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert str(autoload.file().parent) in found.stdout.split()
    assert autoload.file().name == "ipython_kernel_config.py"
