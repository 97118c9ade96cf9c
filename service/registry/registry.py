"""The registry: which models there are, which one is to serve, and their files, which are trusted only if they are
signed."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from serialize.content import Content, checked_content, content_of_url, write_content
from serialize.errors import ArtifactError
from serialize.manifest import Manifest
from serialize.trust import Trust, is_signature, signature
from service.errors import ModelConflict, UnknownModel
from service.settings import MODELS_KEPT
from service.storage.models.promotions import Promoted, Promotions
from service.storage.models.store import INCOMING, REFUSED, REGISTERED, RETIRED, ModelStore, StoredModel, now

_AT_URL = 10  # times MODEL_MAX_BYTES
_LONGEST_UPLOAD = timedelta(days=1)
_VERSION = re.compile("[0-9a-f]{12}")


class Change(NamedTuple):
    """The version that became the champion, and the one that was it before, if any."""

    champion: str
    before: str | None


@dataclass(frozen=True, slots=True)
class Registry:
    """`keys` sign the manifests: the first signs, all verify. `max_bytes` limits the files of a model. With
    `digest`, the only manifest that may serve, nothing can be changed. `prove` loads a model elsewhere and
    tells how many logged observations it refuses for each column. Of `kept` models the files stay. For one caller at
    a time.

    Every method raises Unavailable if the database cannot be used now."""

    store: ModelStore
    promotions: Promotions
    keys: tuple[str, ...]
    max_bytes: int
    prove: Callable[[str], Mapping[str, int]]
    digest: str | None = None
    kept: int = MODELS_KEPT

    @property
    def most_bytes(self) -> int:
        """The most bytes that are read from the URL of a model."""
        return _AT_URL * self.max_bytes

    def register(
        self,
        content: Content,
        by: str,
        note: str | None = None,
        trained_until: int | None = None,
        url: str | None = None,
        verdict: Mapping[str, Any] | None = None,
    ) -> StoredModel:
        """Stores a model that was read with the conditions for an artifact, and signs it. The files of one that is
        larger than `max_bytes` stay at the URL that they were read from. To repeat it changes nothing; an upload that
        was interrupted goes on. A new `verdict` of the gate replaces an older one. Then retires the oldest models
        beyond `kept`. Raises ModelConflict if it is too large and has no URL, if it was retired meanwhile, or if the
        registry is read-only."""
        self._require_writable()
        size = sum(map(len, content.files.values()))
        is_large = size > self.max_bytes
        if is_large and url is None:
            raise ModelConflict(
                f"The files of the model have {size:,} bytes, and MODEL_MAX_BYTES allows {self.max_bytes:,} in the "
                "database; push it with `python -m serialize push` and register its URL, or raise MODEL_MAX_BYTES."
            )
        row = self._row(content, INCOMING, by, note, trained_until, verdict)
        row = replace(row, url=url if is_large else None)
        self.store.add(row)
        self._take_over_signature(content)
        retired = ModelConflict(f"Model {content.version} was retired while it was registered; register it again.")
        try:
            if not is_large:
                self._store_files(content)
        except ArtifactError as error:
            if self.model(content.version).state == RETIRED:
                raise retired from error
            raise
        if not self.store.complete(content.version, row.url):
            raise retired
        self._replace_verdict(row)
        self._prune(content.version)
        return self.model(content.version)

    def refuse(
        self,
        content: Content,
        by: str,
        verdict: Mapping[str, Any],
        note: str | None = None,
        trained_until: int | None = None,
    ) -> StoredModel:
        """Stores the manifest and the verdict of a model that the gate refused, without its files. A model that is
        registered stays so. Raises ModelConflict if the registry is read-only."""
        self._require_writable()
        row = self._row(content, REFUSED, by, note, trained_until, verdict)
        self.store.add(row)
        self._take_over_signature(content)
        found = self.model(content.version)
        if found.state == REFUSED:
            self.store.remove_files(content.version)  # of an upload that was interrupted
        self._replace_verdict(row)
        return self.model(content.version)

    def _row(
        self,
        content: Content,
        state: str,
        by: str,
        note: str | None,
        trained_until: int | None,
        verdict: Mapping[str, Any] | None,
    ) -> StoredModel:
        return StoredModel(
            version=content.version,
            name=content.manifest.name,
            format=json.loads(content.encoded)["format"],
            manifest=content.encoded,
            signature=signature(content.encoded, self.keys[0]),
            state=state,
            registered_at=now(),
            registered_by=by,
            trained_until=trained_until,
            note=note,
            verdict=None if verdict is None else json.dumps(verdict, allow_nan=False),
        )

    def _replace_verdict(self, row: StoredModel) -> None:
        """Stores a verdict on a model whose row was there before."""
        if row.verdict is not None and self.model(row.version).verdict != row.verdict:
            self.store.replace_verdict(row.version, row.verdict)

    def model(self, version: str) -> StoredModel:
        """A model by its version. Raises UnknownModel."""
        found = self.store.model(version) if _VERSION.fullmatch(version) else None
        if found is None:
            raise UnknownModel(f"There is no model {version}; `python -m service models` lists them.")
        return found

    def manifest(self, version: str) -> Manifest:
        """The manifest of a model, also of one whose files were removed. Raises UnknownModel, and ArtifactError if it
        is not signed by one of the keys, or belongs to another version."""
        return self.manifest_of(self.model(version))

    def manifest_of(self, model: StoredModel) -> Manifest:
        """The manifest of a model that was read. Raises ArtifactError if it is not signed by one of the keys, or
        belongs to another version."""
        Trust(keys=self.keys, must_be_signed=True).require(_place(model.version), model.manifest, model.signature)
        _require_version(model.version, hashlib.sha256(model.manifest).hexdigest())
        return Manifest.from_bytes(model.manifest)

    def content(self, version: str) -> Content:
        """The files of a model, checked and not unpickled. Raises UnknownModel, and ArtifactError unless the manifest
        is signed by one of the keys, belongs to this version and lists exactly these files, and if its URL cannot be
        read."""
        found = self.model(version)
        if found.url is None:
            content = self._stored_content(found)
        else:
            trust = Trust(self.digest, self.keys, must_be_signed=True, max_bytes=self.most_bytes)
            content = content_of_url(_place(version), found.url, found.manifest, found.signature, trust)
        _require_version(version, content.digest)
        return content

    def pull(self, version: str, target: Path) -> None:
        """Writes the files of a model, with the signature, to a folder. Raises as `content`, ModelConflict if it has no
        files, and DumpError for a folder that holds something else or cannot be written."""
        state = self.model(version).state
        if state != REGISTERED:
            raise ModelConflict(f"Model {version} is {state}, so it has no files; register it again.")
        write_content(self.content(version), target)

    def promote(
        self,
        version: str,
        by: str,
        reason: str | None = None,
        figures: Mapping[str, Any] | None = None,
        *,
        force: bool = False,
        expected: str | None = None,
    ) -> Change:
        """Proves a model and makes it the champion. Raises UnknownModel; ModelConflict if it cannot serve, already is
        the champion, refuses one of the newest logged observations (unless `force`), another promotion came between,
        or the champion is not the one that is `expected`, if one is."""
        self._require_writable()
        state, champion = self.model(version).state, self.promotions.champion()
        if state != REGISTERED:
            raise ModelConflict(f"Model {version} is {state}, so it cannot serve; register it again.")
        if champion == version:
            raise ModelConflict(f"Model {version} is the champion already.")
        if expected is not None and champion != expected:
            raise ModelConflict(
                f"The champion is {champion} now; model {version} was compared with {expected}, so it is not promoted."
            )
        self._require_proven(version, force=force)
        if not self.promotions.promote(version, champion, by, reason, figures):
            raise ModelConflict("Another promotion came first; look at the champion and try again.")
        self._prune(version)
        return Change(version, champion)

    def previous(self) -> Promoted:
        """The promotion that the next rollback undoes. Each rollback goes back one further. Raises ModelConflict if
        there is none."""
        entry = self._previous()
        if entry is None:
            raise ModelConflict("There is no earlier champion to go back to.")
        return entry

    def _previous(self) -> Promoted | None:
        history = self.promotions.history()
        undone = {entry.undoes for entry in history}
        for entry in reversed(history):
            if entry.undoes is None and entry.id not in undone:
                return None if entry.from_version is None else entry
        return None

    def rollback(
        self,
        by: str,
        reason: str | None = None,
        figures: Mapping[str, Any] | None = None,
        *,
        of: int | None = None,
    ) -> Change:
        """Proves the model before the champion and makes it the champion again, whatever observations it refuses.
        Raises ModelConflict if there is none, it cannot serve, or another promotion came between; with `of`, also if
        this would undo another promotion than the one with this id."""
        self._require_writable()
        champion = self.promotions.champion()  # before the history: a promotion in between is then noticed below
        entry = self.previous()
        if of not in (None, entry.id):
            raise ModelConflict("Another promotion came first; look at the champion and try again.")
        target = str(entry.from_version)
        state = self.model(target).state
        if state != REGISTERED:
            raise ModelConflict(f"Model {target}, the one before, is {state}; promote another one.")
        self._require_proven(target, force=True)
        if not self.promotions.promote(target, champion, by, reason or "rollback", figures, entry.id):
            raise ModelConflict("Another promotion came first; look at the champion and try again.")
        return Change(target, champion)

    def retire(self, version: str) -> None:
        """Removes the files of a model, which can then not serve. Its manifest stays. Raises UnknownModel, and
        ModelConflict if it is the champion."""
        self._require_writable()
        self.model(version)
        if not self.store.retire(version):
            raise ModelConflict(f"Model {version} is the champion; promote another one before you retire it.")

    def resign(self) -> list[str]:
        """Signs all models with the first key again that another key has signed, and returns their versions. Raises
        ArtifactError, and signs none, if one has no valid signature."""
        self._require_writable()
        models = self.store.models()
        for model in models:
            Trust(keys=self.keys, must_be_signed=True).require(_place(model.version), model.manifest, model.signature)
        old = [each for each in models if not is_signature(each.signature, each.manifest, self.keys[:1])]
        for model in old:
            self.store.replace_signature(model.version, signature(model.manifest, self.keys[0]))
        return [model.version for model in old]

    def _prune(self, new: str) -> None:
        """Retires the oldest models beyond `kept`, but not `new`, the champion, the one before it and the newest
        challenger; and uploads that were interrupted more than a day ago."""
        entry = self._previous()
        models = self.store.models()
        challengers = [each.version for each in models if each.state == REGISTERED and each.verdict is not None]
        spared = {new, self.promotions.champion(), entry.from_version if entry else None, *challengers[:1]}
        registered = [model.version for model in models if model.state == REGISTERED]
        others = [version for version in registered if version not in spared]
        surplus = others[max(0, self.kept - (len(registered) - len(others))) :]
        since = now() - _LONGEST_UPLOAD
        surplus += [model.version for model in models if model.state == INCOMING and model.registered_at < since]
        for version in surplus:
            self.store.retire(version)

    def _require_proven(self, version: str, *, force: bool) -> None:
        try:
            refused = self.prove(version)
        except ArtifactError as error:
            raise ModelConflict(str(error)) from error
        if refused and not force:
            raise ModelConflict(
                f"Model {version} refuses observations of the log, by column: {counted(refused)}. Dump it with wider "
                'declarations, or promote it with --force, over HTTP {"force": true}.'
            )

    def _take_over_signature(self, content: Content) -> None:
        """Signs a known model again if none of the keys signed it: its manifest is one that was trusted just now.
        Raises ArtifactError if the stored manifest is another."""
        found = self.model(content.version)
        if found.manifest != content.encoded:
            raise ArtifactError(f"{_place(content.version)} has another manifest than this one; dump the model again.")
        if not is_signature(found.signature, found.manifest, self.keys):
            self.store.replace_signature(content.version, signature(content.encoded, self.keys[0]))

    def _store_files(self, content: Content) -> None:
        """Stores the parts that are missing; all parts, if what is there has other digests. Raises ArtifactError if the
        files are not there afterwards."""
        for is_last in (False, True):
            for name, file in content.files.items():
                self.store.add_file(content.version, name, file)
            try:
                self._stored_content(self.model(content.version))
                return
            except ArtifactError:
                if is_last:
                    raise
                self.store.remove_files(content.version)

    def _stored_content(self, model: StoredModel) -> Content:
        read, trust = partial(self.store.file, model.version), Trust(self.digest, self.keys, must_be_signed=True)
        return checked_content(_place(model.version), model.manifest, model.signature, read, trust)

    def _require_writable(self) -> None:
        if self.digest is not None:
            raise ModelConflict(
                "MODEL_DIGEST is set, so no other model may serve; to change the registry, remove MODEL_DIGEST."
            )


def counted(refused: Mapping[str, int]) -> str:
    """The columns of refused observations with their numbers."""
    return ", ".join(f"{name} ({count})" for name, count in sorted(refused.items()))


def _place(version: str) -> str:
    return f"Model {version} of the registry"


def _require_version(version: str, digest: str) -> None:
    if not digest.startswith(version):
        raise ArtifactError(f"{_place(version)} has the manifest of another model; register it again.")
