"""The user's key, and what is kept beside it: the last head of each execution, and whom the user trusts."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from durable_nb.errors import StoreError

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Head:
    """The newest record of an execution that this user knows to be safe."""

    number: int
    epoch: int
    digest: str
    store: str
    notebook: str | None = None


class Signer:
    """Signs with a key that is made at first use and never leaves its folder.

    The key lies where Jupyter keeps its own, so that it is not in the store that it protects.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._folder = None if folder is None else Path(folder)
        self._key: bytes | None = None

    @property
    def folder(self) -> Path:
        """Where the key, the heads and the trusted digests are kept."""
        if self._folder is None:
            from jupyter_core.paths import jupyter_data_dir

            self._folder = Path(jupyter_data_dir()) / "durable_nb"
        return self._folder

    @property
    def key_path(self) -> Path:
        """The file with the key."""
        return self.folder / "key"

    def sign(self, data: bytes) -> str:
        """HMAC-SHA256 in hex. Makes the key if there is none; StoreError if that cannot be."""
        return hmac.digest(self._load(), data, "sha256").hex()

    def verify(self, data: bytes, mac: str) -> bool:
        """Whether this user signed these bytes; false for everything while there is no key."""
        if self._key is None and not self.key_path.exists():
            return False
        expected = hmac.digest(self._load(), data, "sha256").hex()
        return hmac.compare_digest(expected.encode(), mac.encode("utf-8", "replace"))

    def head(self, execution: str) -> Head | None:
        """The newest record that this user knows to be safe, if any."""
        raw = self._read(self._head_path(execution))
        return None if raw is None else _head(raw)

    def heads(self) -> dict[str, Head]:
        """Every execution that this user has written to, in any store."""
        found: dict[str, Head] = {}
        for path in sorted((self.folder / "heads").glob("*.json")):
            head = self.head(path.stem)
            if head is not None:
                found[path.stem] = head
        return found

    def set_head(self, execution: str, head: Head, *, force: bool = False) -> None:
        """Remember a head; an older one of the same epoch, or of an older epoch, changes nothing."""
        known = self.head(execution)
        if known is not None and not force and (head.epoch, head.number) < (known.epoch, known.number):
            return
        self._replace(self._head_path(execution), asdict(head))

    def forget_head(self, execution: str) -> None:
        """The execution was removed on purpose."""
        with _told(self.folder):
            self._head_path(execution).unlink(missing_ok=True)

    def trusted(self, execution: str) -> set[str]:
        """Digests of records that this user chose to trust."""
        raw = self._read(self._trust_path(execution))
        return {d for d in raw if isinstance(d, str)} if isinstance(raw, list) else set()

    def trust(self, execution: str, digest: str) -> None:
        """Trust this record and all that it follows."""
        self._replace(self._trust_path(execution), sorted({*self.trusted(execution), digest}))

    def untrust(self, execution: str) -> None:
        """Take it back."""
        with _told(self.folder):
            self._trust_path(execution).unlink(missing_ok=True)

    def _load(self) -> bytes:
        if self._key is None:
            with _told(self.key_path):
                if not self.key_path.exists():
                    self._make()
                key = self.key_path.read_bytes()
            if len(key) != _KEY_BYTES:
                raise StoreError(f"the key {self.key_path} is damaged: {len(key)} bytes, not {_KEY_BYTES}")
            self._key = key
        return self._key

    def _make(self) -> None:
        # Two kernels may start at once: the key appears whole, and only one of theirs.
        temporary = self._temporary(self.key_path, secrets.token_bytes(_KEY_BYTES), sync=True)
        try:
            with contextlib.suppress(FileExistsError):
                os.link(temporary, self.key_path)
        except OSError:
            # No links here: the last of two keys wins, a moment after the first.
            temporary.rename(self.key_path)
        finally:
            temporary.unlink(missing_ok=True)

    def _read(self, path: Path) -> Any:
        try:
            return json.loads(path.read_bytes())
        except (OSError, ValueError):
            return None

    def _replace(self, path: Path, value: object) -> None:
        with _told(path):
            self._temporary(path, json.dumps(value).encode()).replace(path)

    def _temporary(self, path: Path, data: bytes, *, sync: bool = False) -> Path:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        return temporary

    def _head_path(self, execution: str) -> Path:
        return self.folder / "heads" / f"{execution}.json"

    def _trust_path(self, execution: str) -> Path:
        return self.folder / "trusted" / f"{execution}.json"


def _head(raw: Any) -> Head | None:
    try:
        return Head(
            int(raw["number"]), int(raw["epoch"]), str(raw["digest"]), str(raw["store"]), raw.get("notebook")
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"cannot use {path}: {error.strerror or error}") from error
