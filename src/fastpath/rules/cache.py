"""Files that spare compiling: a folder of them, each of parts, each sealed.

The folder is the user's own (0700, owned by the effective user) or it is not used at all: what Hyperscan reads back must not come
from anybody else. Every file bears a keyed BLAKE2b over all of it, with a random key of 32 bytes that stays in the folder (0600),
and nothing in a file is looked at before that holds. Files are written aside and put in place at once; the least recently used go.
"""
from __future__ import annotations

import mmap
import os
import secrets
import stat
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache as remembered
from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path

#: Files of each kind that are kept.
KEPT = 16
_MAGIC = b"fpcache\n"
_SEAL = 32
_ALIGNED = 64
_HEAD = struct.Struct(f"=8s{_SEAL}s{_SEAL}sQ")     # magic, seal, key of the file, number of parts
_PART = struct.Struct("=QQ")                         # offset, length
_ABANDONED = 3600                                    # seconds after which a file that is still being written is not any more


class CacheWarning(UserWarning):
    """A cache, or a file in it, that is not used, and why."""


def default_folder() -> Path:
    """$FASTPATH_CACHE, or fastpath in the XDG cache folder."""
    given = os.environ.get("FASTPATH_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "fastpath"


def open_cache(where: bool | str | os.PathLike[str]) -> Cache | None:
    """True: the default folder; False: none; a path: that folder. None, and a CacheWarning, for one that must not be used."""
    if where is False:
        return None
    folder = default_folder() if where is True else Path(where)
    try:
        return Cache(folder)
    except OSError as error:
        _warn(f"the rule cache {folder} is not used: {error.strerror or error}")
        return None


@remembered
def identity() -> bytes:
    """What a cached form depends on beside the rules: fastpath and the code that compiles, Hyperscan, PCRE2 and the processor."""
    import fastpath
    from fastpath.dataplane.applayer import tables
    from fastpath.dataplane.match import database, prefilter
    from fastpath.rules import program
    digest = blake2b(digest_size=_SEAL)
    here = Path(__file__).parent
    for path in (*sorted(here.rglob("*.py")), Path(database.__file__), Path(prefilter.__file__), Path(tables.__file__)):
        digest.update(blake2b(path.read_bytes()).digest())
    digest.update(repr((fastpath.__version__, program.VERSION, prefilter.version(), prefilter.platform(),
                        database.pcre_version())).encode())
    return digest.digest()


def key_of(*facts: object) -> bytes:
    """The key of a file that follows from these facts (of plain types, dicts in a fixed order) and the identity."""
    return blake2b(repr(facts).encode("utf-8", "surrogatepass"), key=identity(), digest_size=_SEAL).digest()


class Cache:
    """One folder. OSError for one that cannot be made, or is not the user's own."""

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.mkdir(self.folder, 0o700)
        with self._opened() as at:
            found = os.fstat(at)
            if found.st_uid != os.geteuid():
                raise PermissionError(0, "it belongs to another user")
            if found.st_mode & 0o077:
                raise PermissionError(0, f"others may enter it (its mode is {stat.S_IMODE(found.st_mode):04o}, not 0700)")
            self._key = _folder_key(at)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        at = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield at
        finally:
            os.close(at)

    def get(self, kind: str, key: bytes) -> list[memoryview] | None:
        """The parts of a file, read-only and aligned to 64 bytes, mapped as long as one of them lives. None for a file that is not
        there, and, with a CacheWarning, for one that is damaged or not ours."""
        name = f"{key.hex()}.{kind}"
        with self._opened() as at:
            try:
                file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            except FileNotFoundError:
                return None
            except OSError as error:
                return self._refused(name, error.strerror or str(error))
            try:
                if os.fstat(file).st_size < _HEAD.size:
                    return self._refused(name, "it is too short")
                whole = memoryview(mmap.mmap(file, 0, access=mmap.ACCESS_READ))
                os.utime(file)      # used just now
            finally:
                os.close(file)
        magic, seal, of, count = _HEAD.unpack_from(whole)
        if not compare_digest(seal, self._seal(kind, [whole[_HEAD.size - 8 - _SEAL:]])):
            return self._refused(name, "it is damaged, or was not written here")
        if magic != _MAGIC or of != key:
            return self._refused(name, "it is another's file under this name")
        spans = [_PART.unpack_from(whole, _HEAD.size + i * _PART.size) for i in range(count)]
        return [whole[start:start + length] for start, length in spans]

    def put(self, kind: str, key: bytes, parts: Sequence[bytes | memoryview]) -> None:
        """Writes a file; a CacheWarning where that fails. What goes beyond KEPT files of this kind is dropped."""
        at = _HEAD.size + len(parts) * _PART.size
        table, body = b"", []
        for part in parts:
            padding = -at % _ALIGNED
            table += _PART.pack(at + padding, len(part))
            body += [bytes(padding), part]
            at += padding + len(part)
        sealed = [key + struct.pack("=Q", len(parts)) + table, *body]
        name, aside = f"{key.hex()}.{kind}", f"{secrets.token_hex(8)}.new"
        try:
            with self._opened() as folder:
                file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
                try:
                    with open(file, "wb") as stream:
                        stream.write(_MAGIC + self._seal(kind, sealed))
                        stream.writelines(sealed)
                    os.replace(aside, name, src_dir_fd=folder, dst_dir_fd=folder)
                except BaseException:
                    os.unlink(aside, dir_fd=folder)
                    raise
                _prune(folder, kind)
        except OSError as error:
            _warn(f"the rule cache {self.folder} takes no file: {error.strerror or error}")

    def _seal(self, kind: str, parts: Sequence[bytes | memoryview]) -> bytes:
        digest = blake2b(key=self._key, person=kind.encode(), digest_size=_SEAL)
        for part in parts:
            digest.update(part)
        return digest.digest()

    def _refused(self, name: str, reason: str) -> list[memoryview] | None:
        _warn(f"{self.folder / name} is not used and made anew: {reason}")
        return None


def _warn(message: str) -> None:
    warnings.warn(message, CacheWarning, stacklevel=4)


def _folder_key(folder: int) -> bytes:
    """The key in this folder; made if there is none. PermissionError for one that others can read."""
    for _ in range(2):
        try:
            file = os.open("key", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except FileNotFoundError:
            _make_key(folder)
            continue
        with open(file, "rb") as stream:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
                raise PermissionError(0, "its key is not a file of this user alone")
            key = stream.read(_SEAL + 1)
        if len(key) != _SEAL:
            raise OSError(0, f"its key has {len(key)} bytes, not {_SEAL}")
        return key
    raise OSError(0, "its key cannot be made")


def _make_key(folder: int) -> None:
    """Puts a key in place at once, unless another process was faster."""
    aside = f"{secrets.token_hex(8)}.new"
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with open(file, "wb") as stream:
            stream.write(secrets.token_bytes(_SEAL))
        with suppress(FileExistsError):
            os.link(aside, "key", src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        os.unlink(aside, dir_fd=folder)


def _prune(folder: int, kind: str) -> None:
    """Drops the files of a kind that were not used for longest, and what a process left that died while it wrote."""
    ages = []
    now = 0.0
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):
            modified = entry.stat(follow_symlinks=False).st_mtime
            now = max(now, modified)
            ages.append((modified, entry.name))
    files = sorted((one for one in ages if one[1].endswith(f".{kind}")), reverse=True)
    for _, name in files[KEPT:] + [one for one in ages if one[1].endswith(".new") and one[0] < now - _ABANDONED]:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
