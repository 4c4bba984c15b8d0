"""What is closed at the end of a `with` block, and where opening it fails."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self


class Closing(ABC):
    """Something that is open once it is constructed."""

    @abstractmethod
    def close(self) -> None:
        """Give back what it holds, also where it is half open."""

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Round what may fail while it is constructed."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
