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

    def covers(self, phase: str, mode: str) -> bool:
        """Whether a phase is expected to fail."""
        return phase in self.phases.split(", ") and mode in self.mode.split(", ")


LIMITS: dict[str, Limit] = {}
