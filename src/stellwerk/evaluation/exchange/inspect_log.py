"""Reads logs of inspect_ai, `.eval` and `.json`: their samples, as they are, and as cases of a suite.

Newer logs are zips whose files are compressed by Zstandard, which Python's zipfile does not know before 3.14.
"""

from __future__ import annotations

import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from stellwerk.errors import MissingExtra, UserError

ZSTANDARD = 93  # the method's number in zips
MAXIMUM_BYTES = 64 * 2**20  # of one file in the zip, decompressed
MOST_BYTES = 16 * MAXIMUM_BYTES  # of all of them
LOCAL_HEADER = struct.Struct("<4s5H3I2H")
# What zipfile and json say of a broken, locked or oddly packed log; the last two are RuntimeErrors too.
_BROKEN = (zipfile.BadZipFile, ValueError, struct.error, EOFError, zlib.error, lzma.LZMAError, RuntimeError)


@dataclass(frozen=True)
class LoggedCase:
    """What a suite needs of a sample.

    Attributes:
        id: unique in the log.
        inputs: `input`, the last turn of the user, and `choices` where there are any.
        expected: the target; a list where several answers are right; None where there is none.
        cluster: as its metadata have it.
        answers: what the model said, one for each epoch.
    """

    id: str
    inputs: dict[str, Any]
    expected: str | list[str] | None
    cluster: str | None
    metadata: dict[str, Any]
    answers: list[str]


def cases(file: Path) -> Iterator[LoggedCase]:
    """The cases of a log, each once, in the order of the log.

    Raises:
        UserError: it is no log of inspect_ai, or a sample in it is broken.
    """
    found: dict[str, LoggedCase] = {}
    for sample in samples(file):
        key = str(sample.get("id"))
        try:
            answer = _completion(sample)
            if key in found:
                found[key].answers.append(answer)
            else:
                found[key] = _case(key, sample, answer)
        except (AttributeError, TypeError, LookupError):
            raise UserError(f"{file} has a sample that is not as inspect_ai writes it: id {key[:40]!r}; mend the log") from None
    yield from found.values()


def samples(file: Path) -> Iterator[dict[str, Any]]:
    """The samples of a log, one for each epoch, as inspect_ai wrote them.

    Raises:
        UserError: it is no log of inspect_ai.
    """
    try:
        with file.open("rb") as opened:
            if zipfile.is_zipfile(opened):
                yield from _of_zip(opened, file)
                return
        yield from _of_json(file)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None


def _of_zip(opened: IO[bytes], file: Path) -> Iterator[dict[str, Any]]:
    try:
        with zipfile.ZipFile(opened) as log:
            inside = [info for info in log.infolist() if info.filename.startswith("samples/")]
            if not inside and "header.json" not in log.namelist():
                raise UserError(f"{file} is a zip, but no log of inspect_ai; give what `inspect eval` wrote")
            if sum(info.file_size for info in inside) > MOST_BYTES:
                raise UserError(f"{file} holds over {MOST_BYTES >> 20} MiB; write a log of fewer samples")
            for info in inside:
                found = json.loads(_content(log, opened, info, file))
                yield _checked(found, f"{file}, {info.filename}")
    except _BROKEN:
        raise UserError(f"{file} is broken or locked; give a log that inspect_ai can read") from None


def _of_json(file: Path) -> Iterator[dict[str, Any]]:
    if file.stat().st_size > MOST_BYTES:
        raise UserError(f"{file} has over {MOST_BYTES >> 20} MiB; convert it with: inspect log convert --to eval")
    try:
        found = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        raise UserError(f"{file} is neither JSON nor a zip; give a log of inspect_ai, .eval or .json") from None
    if not isinstance(found, dict) or not isinstance(found.get("samples"), list):
        raise UserError(f"{file} has no samples; give a log of inspect_ai, .eval or .json")
    for number, sample in enumerate(found["samples"], 1):
        yield _checked(sample, f"{file}, sample {number}")


def _content(log: zipfile.ZipFile, opened: IO[bytes], info: zipfile.ZipInfo, file: Path) -> bytes:
    """A file of the zip, bounded."""
    if info.file_size > MAXIMUM_BYTES:
        raise UserError(f"{file}, {info.filename} has over {MAXIMUM_BYTES // 2**20} MiB; leave that sample out of the log")
    if info.compress_type == ZSTANDARD:
        return _unpacked(_raw(opened, info), info)
    with log.open(info) as entry:
        return entry.read(info.file_size)


def _raw(opened: IO[bytes], info: zipfile.ZipInfo) -> bytes:
    """The compressed bytes of a file, which stand behind a header of its own (APPNOTE.TXT of PKWARE, 4.3.7)."""
    opened.seek(info.header_offset)
    header = LOCAL_HEADER.unpack(opened.read(LOCAL_HEADER.size))
    opened.seek(header[-2] + header[-1], 1)
    return opened.read(info.compress_size)


def _unpacked(content: bytes, info: zipfile.ZipInfo) -> bytes:
    try:
        import zstandard
    except ModuleNotFoundError:
        raise MissingExtra("data", "zstandard") from None
    try:
        with zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True) as reader:
            found = reader.read(info.file_size)
            return bytes(found)
    except zstandard.ZstdError:
        raise zipfile.BadZipFile from None


def _checked(sample: Any, where: str) -> dict[str, Any]:
    if not isinstance(sample, dict) or "input" not in sample or "id" not in sample:
        raise UserError(f"{where} is no sample of inspect_ai, for it has no id and input")
    return sample


def _case(key: str, sample: Mapping[str, Any], answer: str) -> LoggedCase:
    inputs: dict[str, Any] = {"input": _question(sample["input"])}
    if sample.get("choices"):
        inputs["choices"] = sample["choices"]
    target = sample.get("target")
    metadata = sample.get("metadata") or {}
    cluster = metadata.get("cluster")
    return LoggedCase(key, inputs, target or None, str(cluster) if cluster is not None else None, metadata, [answer])


def _question(asked: Any) -> str:
    """A text, or the last turn of the user in a list of messages."""
    if isinstance(asked, str):
        return asked
    turns = [message for message in asked if isinstance(message, dict)]
    users = [message for message in turns if message.get("role") == "user"] or turns
    return _text(users[-1].get("content")) if users else ""


def _completion(sample: Mapping[str, Any]) -> str:
    output = sample.get("output") or {}
    if output.get("completion"):
        return str(output["completion"])
    choices = output.get("choices") or []
    return _text((choices[0].get("message") or {}).get("content")) if choices else ""


def _text(content: Any) -> str:
    """A message's text; of one in parts the parts that are text."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict) and part.get("type") == "text")
    return "" if content is None else str(content)
