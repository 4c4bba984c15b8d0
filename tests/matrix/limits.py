"""What does not come back as it was, and why: each is a limit that the README names, or Python's own.

Strict: a phase that begins to hold has to be taken out of here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """Phases of a case that fail."""

    why: str
    phases: str
    """as in `Case.phases`, separated by commas"""
    mode: str = "user, partial"
    sometimes: str = ""
    """phases that fail under some versions of Python only"""

    def covers(self, phase: str, mode: str) -> bool:
        """Whether a phase is expected to fail."""
        return phase in self.phases.split(", ") and mode in self.mode.split(", ")


_LOADED = "back, undo, again, forth, killed, killed back, killed forth, killed redo"
_MUTATED = "undo, forth, killed, killed forth"
_NAN = "pickle makes a new NaN each time, and NaN is found by identity"
_CTYPES = "a ctypes object is a copy afterwards, and no view of another object's memory"

LIMITS: dict[str, Limit] = {
    "buffers-BytesIO.getbuffer": Limit("a view into a BytesIO cannot be pickled: reported", _LOADED),
    "buffers-as_ctypes": Limit(_CTYPES, "redo, killed redo"),
    "buffers-ctypes from_buffer": Limit(_CTYPES, "redo, killed redo"),
    "buffers-memmove": Limit(_CTYPES, "redo, killed redo"),
    "changes-a context variable": Limit("what a context holds is pickled apart from it", "redo, killed redo"),
    "frames-NumPy over an Arrow buffer": Limit("Arrow pickles foreign memory as a copy", "redo, killed redo"),
    "hooks-__reduce__ that returns a name": Limit(
        "the class says that it is found under a name, which nothing gives it in a new kernel: reported",
        "killed, killed back, killed forth, killed redo",
    ),
    "hooks-a class named like a library's": Limit(
        "a class that claims a library's module is kept apart from its variable",
        "undo, forth, redo, killed, killed forth, killed redo",
    ),
    "hooks-a class that claims another module": Limit(
        "a class that claims a library's module is kept apart from its variable",
        "killed, killed back, killed forth, killed redo",
    ),
    "identity-a hash that needs the instance whole": Limit(
        "pickle fills a set before its members are whole: reported",
        "back, again, killed, killed back, killed forth, killed redo",
        sometimes="undo, forth",
    ),
    "identity-an array that is not touched stays": Limit(
        "NumPy gives a view the owner of its memory as its base, and a large restored array is a view itself",
        "killed, killed back, killed forth, killed redo",
    ),
    "odd-MagicMock": Limit("once configured it does not unpickle: reported", _MUTATED),
    "odd-NaN as a key": Limit(_NAN, f"{_LOADED}, redo"),
    "odd-NumPy's NaN as a key": Limit(_NAN, _LOADED),
    "odd-two equal keys that were different": Limit(
        "a dict cannot be filled with two equal keys", "undo, killed, killed forth", sometimes="forth"
    ),
}
