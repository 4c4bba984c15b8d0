"""The digests of components that refer to each other."""

from __future__ import annotations

from collections.abc import Mapping

from durable_nb.model import canonical
from durable_nb.store.draft import Draft, PendingComponent
from durable_nb.store.packs import digest_of


class Naming:
    """Gives the components of a draft their digests, once all of their pieces have one.

    A manifest names its definitions by the digest of their content, which covers no references: so
    definitions may refer to each other in circles.

    Args:
        draft: what is to be committed.
        known: name -> content digest, of the variables that the draft does not touch.
    """

    def __init__(self, draft: Draft, known: Mapping[str, str]) -> None:
        self.manifests: list[bytes] = []
        """to be written"""
        self._known = known
        self._holders = {name: pending for pending in draft.components for name in pending.names}
        for pending in draft.components:
            pending.digest = pending.content_digest = ""

    def finish(self, pending: PendingComponent) -> str:
        """The digest of the manifest, which is the component's effective digest."""
        if not pending.digest:
            self._content(pending)
            refs = {name: found for name in sorted(pending.reaches) if (found := self._definition(name))}
            manifest = pending.manifest(refs).to_bytes()
            self.manifests.append(manifest)
            pending.digest = digest_of(manifest)
        return pending.digest

    def _definition(self, name: str) -> str:
        holder = self._holders.get(name)
        return self._known.get(name, "") if holder is None else self._content(holder)

    def _content(self, pending: PendingComponent) -> str:
        if not pending.content_digest:
            pending.content_digest = digest_of(canonical(pending.manifest({}).content()))
        return pending.content_digest
