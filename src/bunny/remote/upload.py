"""Uploads of a film's files, each under a key that nothing else ever has.

A manifest names only keys that the one before it named, and uploads that were made for it within
`UPLOAD_S`. So a key that was left out once is never named again, also where the same content comes
back: whoever deletes such keys (`sweep`) takes nothing from a film, however late that arrives.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from concurrent.futures import as_completed
from dataclasses import replace
from pathlib import Path

from bunny.remote import manifest as manifests
from bunny.remote.manifest import Manifest
from bunny.remote.object_store import ObjectStore, end_requests, request_pool
from bunny.remote.working_copy import Upload, WorkingCopy

UPLOAD_S = 12 * 3600.0  # half of `sweep.GRACE_S`: by then a manifest names it, or it is sent again


def send(
    store: ObjectStore,
    copy: WorkingCopy,
    there: Manifest,
    files: Mapping[str, Path],
    sent: set[str],
) -> bool:
    """Send files, those of a run that was killed only where they are not there.

    Parameters
    ----------
    copy : WorkingCopy
        Its `uploads` are what is sent.
    there : Manifest
        The one that is to be followed.
    files : mapping of str to Path
        By SHA-256.
    sent : set of str
        Uploads that this process knows to be there; added to.

    Returns
    -------
    bool
        Whether a manifest may name them all; False where a file was written to meanwhile, or
        sending took so long that it is to be done again.
    """
    earlier = dict(copy.uploads)
    for sha256 in files:
        own = earlier.get(sha256)
        if own is None or is_stale(sha256, own, there):
            own = Upload(upload=uuid.uuid4().hex[:16], at=time.time(), generation=0)
        copy.uploads[sha256] = replace(own, generation=there.generation)
    if copy.uploads != earlier:
        copy.write()  # a run after a kill goes on with them

    def send_one(sha256: str, path: Path) -> bool:
        own = copy.uploads[sha256].upload
        if own in sent:
            return True
        key = manifests.object_key(there.film_id, sha256, own)
        is_new = sha256 not in earlier or earlier[sha256].upload != own
        return store.upload(key, path, sha256, is_new=is_new)

    with request_pool(None, "send") as pool:
        futures = {pool.submit(send_one, *one): one[0] for one in files.items()}
        try:
            for done in as_completed(futures):
                if done.result():
                    sent.add(copy.uploads[futures[done]].upload)
        finally:
            end_requests(futures)
    changed = [one for one in files if copy.uploads[one].upload not in sent]
    for sha256 in changed:
        del copy.uploads[sha256]
    return not changed and not any(is_stale(one, copy.uploads[one], there) for one in files)


def is_stale(sha256: str, own: Upload, there: Manifest) -> bool:
    """Whether an upload may not be named any more: it is too old, or may have been named before.

    It may have been where the answer to a manifest was lost and another was written after that, or
    another process of this machine went on with what a killed one had sent.
    """
    is_next = own.generation <= there.generation <= own.generation + 1
    is_dropped = manifests.object_key(there.film_id, sha256, own.upload) in there.dropped
    return not is_next or is_dropped or not 0 <= time.time() - own.at < UPLOAD_S


def unused(copy: WorkingCopy, there: Manifest, sent: set[str]) -> set[str]:
    """Keys of what this process sent for a manifest that does not name it after all."""
    uploads = {one: own.upload for one, own in copy.uploads.items() if own.upload in sent}
    keys = {manifests.object_key(there.film_id, one, own) for one, own in uploads.items()}
    return keys - there.keys()
