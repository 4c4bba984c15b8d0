"""The seam below the store: immutable objects, named by keys, that are only bytes."""

from __future__ import annotations

import contextlib
import errno
import itertools
import mmap
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from durable_nb.errors import NoSpaceError, NotFoundError, ObjectExistsError, StoreError

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_MAPPED = 1 << 16
_STALE = 3600.0
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


class Objects(Protocol):
    """What a store is made of. Keys are relative paths of letters, digits, `.`, `_` and `-`."""

    @property
    def name(self) -> str:
        """Where the objects are, for people and for the head kept beside the key."""

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Publish a whole object at once, or raise ObjectExistsError; it never changes afterwards."""

    def get(self, key: str) -> memoryview:
        """The object's bytes; NotFoundError if there is none."""

    def exists(self, key: str) -> bool:
        """Whether the object is there now."""

    def list(self, prefix: str) -> list[str]:
        """All keys below a folder (`"log/"`; `""` for everything), sorted."""

    def size(self, key: str) -> int:
        """Bytes of the object; NotFoundError if there is none."""

    def delete(self, key: str) -> None:
        """Remove the object; one that is missing is fine."""

    def append(self, key: str, line: bytes) -> None:
        """Add a line to an object, whole or not at all; only intents are appended to."""

    def sync(self, keys: Iterable[str]) -> None:
        """Return when the objects would survive a power loss; one that was deleted since is skipped."""

    def free(self) -> int | None:
        """Bytes that can still be written, where that is known."""


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            raise NoSpaceError(f"the disk is full: cannot write {what}") from error
        raise StoreError(f"cannot write {what}: {reason}") from error


class LocalFolder:
    """Objects as files of one folder, readable by their owner only."""

    _block = 4 << 20

    def __init__(self, path: str | os.PathLike[str], *, create: bool = True) -> None:
        self.path = Path(path).absolute()
        self._root = str(self.path)
        self._temporary = self.path / "tmp"
        self._count = itertools.count()
        if not self.path.is_dir():
            if not create:
                raise NotFoundError(f"there is no store at {self.path}")
            with _told(str(self.path)):
                self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A store that we may only read is still worth opening.
        with contextlib.suppress(OSError):
            self._tidy()

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.path)

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Publish a whole object, or raise ObjectExistsError."""
        target = self._file(key)
        with _told(key):
            temporary = self._temporary / f"{os.getpid()}-{next(self._count)}-{secrets.token_hex(4)}"
            try:
                self._write(temporary, data)
                self._publish(temporary, target)
            except FileExistsError:
                raise ObjectExistsError(f"{key} exists already") from None
            finally:
                self._step("unlink temporary", target)
                with contextlib.suppress(OSError):
                    temporary.unlink()
                self._step("unlinked temporary", target)

    def get(self, key: str) -> memoryview:
        """The bytes, mapped from the disk where they are many."""
        try:
            handle = os.open(self._name(key), os.O_RDONLY)
        except FileNotFoundError:
            raise NotFoundError(f"{key} is not in the store") from None
        except OSError as error:
            raise StoreError(f"cannot read {key}: {error.strerror}") from error
        try:
            size = os.fstat(handle).st_size
            if size >= _MAPPED:
                return memoryview(mmap.mmap(handle, size, access=mmap.ACCESS_READ))
            return memoryview(os.read(handle, size)) if size else memoryview(b"")
        except OSError as error:
            raise StoreError(f"cannot read {key}: {error.strerror}") from error
        finally:
            os.close(handle)

    def exists(self, key: str) -> bool:
        """Whether the file is there."""
        return os.path.exists(self._name(key))

    def list(self, prefix: str) -> list[str]:
        """All keys below a folder, sorted; not those of unfinished files."""
        if prefix and not prefix.endswith("/"):
            raise ValueError(f"a prefix ends in a slash: {prefix!r}")
        found: list[str] = []
        folders = [prefix]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(self.path / folder) as entries:
                    for entry in entries:
                        key = folder + entry.name
                        if entry.is_dir(follow_symlinks=False):
                            if key != "tmp":
                                folders.append(f"{key}/")
                        elif not entry.name.startswith("."):
                            found.append(key)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise StoreError(f"cannot read {folder}: {error.strerror}") from error
        return sorted(found)

    def size(self, key: str) -> int:
        """Bytes of the file."""
        try:
            return os.stat(self._name(key)).st_size
        except FileNotFoundError:
            raise NotFoundError(f"{key} is not in the store") from None

    def delete(self, key: str) -> None:
        """Remove the file."""
        target = self._file(key)
        with _told(key):
            self._step("delete", target)
            target.unlink(missing_ok=True)
            self._step("deleted", target)

    def append(self, key: str, line: bytes) -> None:
        """Add a line with one write, taken back where it was cut short."""
        target = self._file(key)
        with _told(key):
            self._step("append", target)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            try:
                handle = os.open(target, flags, 0o600)
            except FileNotFoundError:
                self._make_folder(target.parent)
                handle = os.open(target, flags, 0o600)
            try:
                before = os.fstat(handle).st_size
                written = 0
                try:
                    written = os.write(handle, line)
                finally:
                    if written != len(line):
                        os.ftruncate(handle, before)
                if written != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(handle)
            self._step("appended", target)

    def sync(self, keys: Iterable[str]) -> None:
        """Flush the files and the folders that they are in."""
        folders: set[Path] = set()
        with _told("to the disk itself"):
            for key in keys:
                file = self._file(key)
                if self._fsync(file):
                    folders.update(p for p in file.parents if p.is_relative_to(self.path))
            for folder in sorted(folders, key=lambda p: -len(p.parts)):
                self._fsync(folder)

    def free(self) -> int | None:
        """Bytes free on the disk."""
        return shutil.disk_usage(self.path).free

    def _step(self, name: str, path: Path) -> None:
        """Called before and after everything that changes the disk: tests end the process here."""

    def _file(self, key: str) -> Path:
        return Path(self._name(key))

    def _name(self, key: str) -> str:
        """The file of an object, as text: a `Path` takes longer than looking whether it exists."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a key: {key!r}")
        return f"{self._root}{os.sep}{key}"

    def _make_folder(self, folder: Path) -> None:
        # mkdir(parents=True) would give the parents the mode of the umask.
        for part in reversed([p for p in (folder, *folder.parents) if p.is_relative_to(self.path)]):
            part.mkdir(mode=0o700, exist_ok=True)

    def _write(self, file: Path, data: bytes | memoryview, flags: int = 0) -> None:
        self._step("open", file)
        flags |= os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            handle = os.open(file, flags, 0o600)
        except FileNotFoundError:
            self._make_folder(file.parent)
            handle = os.open(file, flags, 0o600)
        try:
            rest = memoryview(data).cast("B")
            while len(rest):
                self._step("write", file)
                rest = rest[os.write(handle, rest[: self._block]) :]
            self._step("written", file)
        finally:
            os.close(handle)

    def _publish(self, temporary: Path, target: Path) -> None:
        try:
            self._step("link", target)
            try:
                os.link(temporary, target)
            except FileNotFoundError:
                self._make_folder(target.parent)
                os.link(temporary, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._copy(temporary, target)
        self._step("linked", target)

    def _copy(self, temporary: Path, target: Path) -> None:
        # Without links the name is taken first and filled afterwards: a reader may see a torn object.
        data = temporary.read_bytes()
        try:
            self._write(target, data)
        except FileExistsError:
            raise
        except OSError:
            target.unlink(missing_ok=True)
            raise

    def _fsync(self, path: Path) -> bool:
        self._step("fsync", path)
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        self._step("fsynced", path)
        return True

    def _tidy(self) -> None:
        if self.path.stat().st_mode & 0o777 != 0o700:
            self.path.chmod(0o700)
        with contextlib.suppress(FileExistsError), (self.path / ".gitignore").open("x") as file:
            file.write("*\n")
        if self._temporary.is_dir():
            for entry in self._temporary.iterdir():
                if time.time() - entry.stat().st_mtime > _STALE:
                    entry.unlink()
