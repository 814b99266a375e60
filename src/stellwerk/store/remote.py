"""The store in a bucket: what lies there counts, and the folder on disk is a cache of it.

An artifact is one object. A table is its files, each named by its SHA-256, and a manifest that is written last: without one a
table is not there, so that an upload that was cut off never counts, and two writers of one table never mix. All that arrives is
checked against its SHA-256.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from stellwerk.credentials import resolve
from stellwerk.errors import StellwerkError
from stellwerk.settings import StorePlace
from stellwerk.store.bucket import Absent, Access, Bucket, Stored
from stellwerk.store.store import PREFIX, TABLE, Kept, Store, bytes_of, digest, references

MANIFEST = "manifest.json"
THREADS = 8
# How long the bucket is believed to hold what it held when it was last asked; another machine may clear up.
BELIEVED_SECONDS = 60
# Content that is met again after this time is written again, so that who clears up by age leaves it.
FRESH_SECONDS = 24 * 3600
# From so many questions on, one look at the whole bucket is quicker.
MANY = 1000
# A cached file that was used within this time may be about to be opened.
IN_USE_SECONDS = 3600
COMPARE_SECONDS = 3600
_DIGEST = re.compile(r"[0-9a-f]{64}")

Item = TypeVar("Item")
Result = TypeVar("Result")


class RemoteStore(Store):
    """Artifacts and tables in a bucket."""

    def __init__(self, root: Path, place: StorePlace, base: Path, allow: Sequence[str] = ()) -> None:
        """Open a store; nothing is sent yet.

        Args:
            root: the folder of the cache, which no other bucket and no folder store uses.
            place: the bucket, with references to its keys.
            base: the folder that relative paths of key files start from.
            allow: networks and hosts that may be reached without TLS.

        Raises:
            UserError: the address cannot be, or a credential is not set.
        """
        super().__init__(root)
        self.place, self.base, self.allow = place, base, list(allow)
        key, secret = (reference and resolve(reference, base) for reference in (place.access_key, place.secret_key))
        self.bucket = Bucket(place.url, Access(place.endpoint, place.region, key, secret, allow=self.allow))
        self._seen: dict[str, float] = {}

    @property
    def address(self) -> dict[str, Any]:
        """What another process of this machine needs to open this store, as JSON; it holds no secrets."""
        place = self.place.model_dump(mode="json")
        return {"root": str(self.root), "place": place, "base": str(self.base), "allow": self.allow}

    def put(self, content: bytes) -> str:
        """Keep bytes; returns their reference, `sha256:` and 64 hexadecimal digits."""
        with self.partial() as file:
            file.write_bytes(content)
            return self.put_file(file)

    def put_file(self, path: Path) -> str:
        """Keep a file: it is written to the bucket, and moved into the cache."""
        reference, size = digest(path), path.stat().st_size
        if not self._believed(reference):
            found = self._head(reference)
            if found is None or not _fresh(found, size):
                self.bucket.put(_key(reference), path)
                self._seen[reference] = time.monotonic()
                self.count(size if found is None else 0)
        self._keep(path, reference)
        return reference

    def path(self, reference: str) -> Path:
        """Where an artifact lies in the cache; it is fetched if it is not there.

        Raises:
            StellwerkError: it was removed, or what the bucket holds under its name is damaged.
        """
        place = self._place(reference)
        if not self._met_again(place):
            with self.partial() as file:
                try:
                    self._fetch(_key(reference), reference.removeprefix(PREFIX), file)
                except Absent:
                    raise StellwerkError(
                        f"{reference[:20]}… is no longer in the store {self.bucket.url}; build it again"
                    ) from None
                self._keep(file, reference)
            self._seen[reference] = time.monotonic()
        return place

    def paths(self, references: Iterable[str]) -> list[Path]:
        """Where several artifacts lie; those that are not in the cache are fetched together."""
        wanted = list(references)
        once = list(dict.fromkeys(wanted))
        found = dict(zip(once, _together(self.path, once), strict=True))
        return [found[reference] for reference in wanted]

    def has(self, reference: str) -> bool:
        """Whether the bucket holds an artifact or a table; what the cache holds does not count."""
        return self._believed(reference) or self._head(reference) is not None

    def missing(self, value: Any) -> Iterator[str]:
        """The artifacts and tables that a JSON value refers to and that the bucket does not hold."""
        wanted = list(references(value))
        unknown = [reference for reference in dict.fromkeys(wanted) if not self._believed(reference)]
        if len(unknown) > MANY:
            gone = set(unknown).difference(self._look())
        else:
            answers = _together(self._head, unknown)
            gone = {reference for reference, found in zip(unknown, answers, strict=True) if found is None}
        return (reference for reference in wanted if reference in gone)

    def put_table(self, folder: Path, name: str) -> str:
        """Write a finished folder to the bucket as `tables/<name>`; returns its reference. What is there already stays."""
        reference = TABLE + name
        if self.has(reference):
            return reference
        stale = self._table(reference).exists()
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        entries = _together(lambda path: (path, digest(path).removeprefix(PREFIX), path.stat().st_size), files)
        _together(lambda entry: self.bucket.put(f"tables/{name}/{entry[1]}", entry[0]), entries)
        manifest = {path.relative_to(folder).as_posix(): {"sha256": named, "bytes": size} for path, named, size in entries}
        if self.bucket.create(_key(reference), json.dumps(manifest).encode()):
            self.count(sum(size for _, _, size in entries))
            if stale:
                super().remove(reference)
            self._keep_table(folder, self._table(reference))
        self._seen[reference] = time.monotonic()
        return reference

    def table(self, reference: str) -> Path:
        """The folder of a table in the cache; it is fetched if it is not there.

        Raises:
            StellwerkError: it was removed, or what the bucket holds is damaged.
        """
        place = self._table(reference)
        if not self._met_again(place):
            name = reference.removeprefix(TABLE)
            with self.partial() as folder:
                folder.mkdir()
                try:
                    _together(lambda entry: self._fetch(f"tables/{name}/{entry[1]}", entry[1], folder / entry[0]),
                              self._manifest(reference))  # fmt: skip
                except Absent:
                    raise StellwerkError(f"the table {name} is no longer in the store {self.bucket.url}") from None
                self._keep_table(folder, place)
        return place

    def size(self) -> int:
        """Bytes of all that lies in the bucket."""
        return sum(stored.size for stored in self.bucket.list())

    def artifacts(self) -> Iterator[Kept]:
        """All artifacts of the bucket."""
        for stored in self.bucket.list("artifacts"):
            yield PREFIX + stored.key.rpartition("/")[2], stored.size, stored.modified

    def tables(self) -> Iterator[Kept]:
        """All tables of the bucket, and what is left of those whose upload was cut off, which `has` does not find."""
        for name, files in self._folders().items():
            yield TABLE + name, sum(file.size for file in files), max(file.modified for file in files)

    def remove(self, reference: str) -> int:
        """Remove an artifact or a table from bucket and cache; returns the bytes that this frees in the bucket."""
        self._forget(reference)
        key = _key(reference)
        if not reference.startswith(TABLE):
            found = self.bucket.head(key)
            self.bucket.delete([key] if found else [])
            return found.size if found else 0
        files = list(self.bucket.list(f"tables/{reference.removeprefix(TABLE)}"))
        # The manifest goes first: a table is there whole or not at all.
        self.bucket.delete([file.key for file in files if file.key == key])
        self.bucket.delete([file.key for file in files if file.key != key])
        return sum(file.size for file in files)

    def claim(self, owner: str) -> set[str]:
        """Note that a record's contents lie in the bucket; returns the other records of which that was noted."""
        if owner not in self._seen:
            self.bucket.create(f"owners/{owner}", b"")
            self._seen[owner] = time.monotonic()
        return {stored.key.rpartition("/")[2] for stored in self.bucket.list("owners")} - {owner}

    def sweep(self) -> None:
        """Remove what killed processes left half-written here, and, once an hour, what the bucket no longer holds."""
        super().sweep()
        stamp = self.root / "compared"
        if not stamp.exists() or time.time() - stamp.stat().st_mtime > COMPARE_SECONDS:
            self.compare()
            if self.place.cache is not None:
                self.trim(int(self.place.cache * 1e9))
            stamp.touch()

    def compare(self) -> int:
        """Remove from the cache what the bucket no longer holds, such as what was erased elsewhere; returns the bytes."""
        # The cache is listed first: what came into it later is in the bucket.
        cached = [*super().artifacts(), *super().tables()]
        there = self._look()
        return sum(Store.remove(self, reference) for reference, _, _ in cached if reference not in there)

    def trim(self, size: int) -> int:
        """Bring the cache down to a size by removing what was used least recently; what was used in the last hour stays.

        Args:
            size: bytes that may stay.

        Returns:
            The bytes that this freed.
        """
        cached = sorted([*super().artifacts(), *super().tables()], key=lambda kept: kept[2])
        spare, freed = sum(kept[1] for kept in cached) - size, 0
        for reference, _, used in cached:
            if freed >= spare or time.time() - used < IN_USE_SECONDS:
                break
            freed += Store.remove(self, reference)
        return freed

    def cached(self) -> int:
        """Bytes of the cache on disk."""
        return bytes_of(self.root)

    def _believed(self, reference: str) -> bool:
        seen = self._seen.get(reference)
        return seen is not None and time.monotonic() - seen < BELIEVED_SECONDS

    def _head(self, reference: str) -> Stored | None:
        """Ask the bucket for an artifact or a table, and remember that it is there, or that it is not."""
        found = self.bucket.head(_key(reference))
        if found is None:
            self._seen.pop(reference, None)
        else:
            self._seen[reference] = time.monotonic()
        return found

    def _look(self) -> Collection[str]:
        """All artifacts and whole tables of the bucket; they are remembered."""
        whole = (TABLE + name for name, files in self._folders().items() if _is_whole(files))
        self._seen = dict.fromkeys([*(kept[0] for kept in self.artifacts()), *whole], time.monotonic())
        return self._seen.keys()

    def _folders(self) -> dict[str, list[Stored]]:
        found: dict[str, list[Stored]] = {}
        for stored in self.bucket.list("tables"):
            found.setdefault(stored.key.removeprefix("tables/").rpartition("/")[0], []).append(stored)
        return found

    def _forget(self, reference: str) -> None:
        """Take something out of the cache and the memory."""
        self._seen.pop(reference, None)
        super().remove(reference)

    def _manifest(self, reference: str) -> list[tuple[str, str]]:
        """The files of a table: path and SHA-256."""
        key = _key(reference)
        found = b"".join(self.bucket.get(key))
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            entries = [(path, entry["sha256"]) for path, entry in json.loads(found).items()]
            if all(_is_inside(path) and _DIGEST.fullmatch(named) for path, named in entries):
                return entries
        raise StellwerkError(f"{self.bucket.shown(key)} is damaged; remove it and build again: what it held is made anew")

    def _fetch(self, key: str, named: str, file: Path) -> None:
        """Fetch an object whose SHA-256 is known.

        Raises:
            StellwerkError: what the bucket holds is not what its name says; it is not kept.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        found = sha256()
        with file.open("wb") as out:
            for chunk in self.bucket.get(key):
                found.update(chunk)
                out.write(chunk)
        if found.hexdigest() != named:
            file.unlink()
            raise StellwerkError(
                f"{self.bucket.shown(key)} is damaged, its content is not what its name says; remove that object and build "
                "again: what it held is made anew"
            )


def _key(reference: str) -> str:
    if reference.startswith(TABLE):
        return f"tables/{reference.removeprefix(TABLE)}/{MANIFEST}"
    named = reference.removeprefix(PREFIX)
    return f"artifacts/{named[:2]}/{named}"


def _fresh(found: Stored, size: int) -> bool:
    """Whether an object can stay as it is: one of another size was damaged, an old one might be cleared up soon."""
    return found.size == size and time.time() - found.modified < FRESH_SECONDS


def _is_whole(files: Sequence[Stored]) -> bool:
    return any(file.key.endswith(f"/{MANIFEST}") for file in files)


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\0" not in path


def _together(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Do something to several items, a few at a time; the first failure is raised, and no further item is begun."""
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            return list(pool.map(work, items))
        finally:
            pool.shutdown(cancel_futures=True)
