"""Writes a dataset version into a folder in a format that other tools read: all of it or nothing.

Knows the layouts (Parquet, JSON Lines, chat, Hugging Face, Croissant), and reads the table in batches, so that memory
does not grow with it. Does not select or change documents: what the table holds is what is written, in its order.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds
import pyarrow.parquet as pq

from stellwerk.errors import UserError
from stellwerk.jobs.data.card import DatasetFacts, front_matter, to_markdown
from stellwerk.jobs.data.croissant import DataFile, croissant_json
from stellwerk.jobs.data.export_writers import Writer, chat_fields, open_writer, with_turns
from stellwerk.jobs.data.reports import ChatFields, ExportedFile, ExportResult, Format

MANIFEST: Final = "export.json"
WHOLE: Final = "data"  # the name of the only part of a table that is not split
_MAX_SPLITS: Final = 16  # each open split buffers up to a row group
_BATCH_ROWS: Final = 4_096
_READ_BUFFER: Final = 2**20
_SPLIT_NAME: Final = re.compile(r"\w+(\.\w+)*", re.ASCII)


def export(
    table: str | os.PathLike[str] | pa.Table | pds.Dataset,
    facts: DatasetFacts,
    folder: Path,
    format: Format,
    chat: ChatFields | None = None,
    *,
    overwrite: bool = False,
    compress: bool = False,
    split_column: str | None = "split",
) -> ExportResult:
    """Write a dataset version into a folder.

    Every format comes with README.md (the data record) and export.json (this result). The folder appears complete, by
    one rename, or not at all. The same table gives the same bytes.

    Args:
        table: the folder of a Delta table, or an Arrow table or dataset.
        facts: what is known of the version.
        folder: where to; must be absent or empty. Only its owner may read it.
        format: parquet and croissant (one zstd file per split), jsonl, chat (one conversation per line), huggingface.
        chat: for chat, the columns of the turns.
        overwrite: replace a folder that an earlier export wrote; any other folder is left alone.
        compress: for jsonl and chat, write .jsonl.gz.
        split_column: the column that names the split of a row; ignored where the table has none.

    Returns:
        The files with their digests, the rows written and those skipped.

    Raises:
        UserError: the folder is in use, a column is absent, or a split cannot be the name of a file.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100  (resolve() would follow a link that must not be replaced)
    _check_target(folder, overwrite)
    source = _open(table)
    split = split_column if split_column in source.schema.names else None
    fields = chat_fields(source.schema, chat) if format == "chat" else None
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
    try:
        result = _fill(partial, folder, source, facts, format, fields, compress, split)
        _publish(partial, folder, overwrite)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return result


def _fill(
    partial: Path,
    folder: Path,
    source: pds.Dataset,
    facts: DatasetFacts,
    format: Format,
    fields: ChatFields | None,
    compress: bool,
    split: str | None,
) -> ExportResult:
    skipped: dict[str, int] = {}
    batches = _batches(source)
    if fields:
        batches = (with_turns(batch, fields, skipped) for batch in batches)
    whole = "train" if format == "huggingface" else WHOLE
    writers: dict[str, tuple[Path, Writer]] = {}
    with ExitStack() as stack:

        def writer(name: str) -> Writer:
            if name not in writers:
                path = partial / _file_name(name, format, compress, len(writers))
                path.parent.mkdir(exist_ok=True)
                writers[name] = path, open_writer(path, source.schema, format, fields)
                stack.callback(writers[name][1].close)
            return writers[name][1]

        for batch in batches:
            for name, part in _by_split(batch, split, whole):
                writer(name).write(part)
        if not writers:
            writer(whole)
    files = {path: (name, sink.rows) for name, (path, sink) in writers.items()}
    listed = [_describe(path, partial, rows) for path, (_, rows) in files.items()]
    splits = dict(files.values())
    if format == "croissant":
        parts = {
            name: DataFile(file.path, file.sha256, file.bytes, rows)
            for (name, rows), file in zip(files.values(), listed, strict=True)
        }
        listed.append(_save(partial, "croissant.json", croissant_json(facts, source.schema, parts, split)))
    card = to_markdown(facts)
    if format == "huggingface":
        card = front_matter(facts, splits) + card
    listed.append(_save(partial, "README.md", card.encode()))
    result = ExportResult(
        folder=str(folder),
        format=format,
        dataset=facts.reference,
        digest=facts.digest,
        rows=sum(splits.values()),
        splits=splits,
        skipped=skipped,
        files=tuple(listed),
    )
    manifest = result.model_dump(mode="json", exclude={"folder"})  # a path would change with the machine
    _save(partial, MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
    return result


# --- reading ---------------------------------------------------------------------------------------------------------


def _open(table: str | os.PathLike[str] | pa.Table | pds.Dataset) -> pds.Dataset:
    if isinstance(table, pa.Table):
        return pds.dataset(table)
    if isinstance(table, pds.Dataset):
        return table
    import deltalake

    path = Path(table)
    if not (path / "_delta_log").is_dir():
        raise UserError(f"{path}: this is not the folder of a dataset table; build the dataset first")
    delta = deltalake.DeltaTable(path)
    actions = pa.table(delta.get_add_actions(flatten=True))
    # Files in the order in which they were written; the log itself lists them in no promised order.
    times, paths = actions["modification_time"].to_pylist(), actions["path"].to_pylist()
    order = {name: rank for rank, (_, name) in enumerate(sorted(zip(times, paths, strict=True)))}
    found = delta.to_pyarrow_dataset()
    fragments = sorted(found.get_fragments(), key=lambda fragment: order.get(fragment.path, len(order)))
    return pds.FileSystemDataset(fragments, found.schema, found.format, found.filesystem)


def _batches(source: pds.Dataset) -> Iterator[pa.Table]:
    """Read a dataset in order, in batches of its schema."""
    if isinstance(source, pds.FileSystemDataset) and isinstance(source.format, pds.ParquetFileFormat):
        parts = (part for fragment in source.get_fragments() for part in _parquet_batches(fragment, source))
    else:
        parts = (pa.Table.from_batches([batch]) for batch in source.to_batches(batch_size=_BATCH_ROWS))
    return (part.cast(source.schema) for part in parts if part.num_rows)


def _parquet_batches(fragment: pds.Fragment, source: pds.FileSystemDataset) -> Iterator[pa.Table]:
    # The scanner of a dataset decodes whole row groups (measured: 460 MB for one of 126 MB); a file read through a
    # buffer decodes pages (65 MB). Columns that only the path or a later schema knows are added as constants.
    known = pds.get_partition_keys(fragment.partition_expression)
    with pq.ParquetFile(fragment.path, filesystem=source.filesystem, pre_buffer=False, buffer_size=_READ_BUFFER) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
            columns = [
                batch[field.name]
                if field.name in batch.schema.names
                else pa.repeat(pa.scalar(known.get(field.name), field.type), batch.num_rows)
                for field in source.schema
            ]
            yield pa.table(columns, names=source.schema.names)


def _by_split(batch: pa.Table, column: str | None, whole: str) -> Iterator[tuple[str, pa.Table]]:
    if column is None:
        yield whole, batch
        return
    names = pc.fill_null(pc.cast(batch[column], pa.string()), whole)
    for name in pc.unique(names).to_pylist():
        if not _SPLIT_NAME.fullmatch(name):
            raise UserError(
                f"column {column}: the split {name!r} cannot be the name of a file; use letters, digits, _ and dots"
            )
        yield name, batch.filter(pc.equal(names, name))


def _file_name(split: str, format: Format, compress: bool, already: int) -> str:
    if already >= _MAX_SPLITS:
        raise UserError(f"the dataset has more than {_MAX_SPLITS} splits; is the split column the right one?")
    if format in ("jsonl", "chat"):
        return f"{split}.jsonl.gz" if compress else f"{split}.jsonl"
    return f"data/{split}-00000-of-00001.parquet" if format == "huggingface" else f"{split}.parquet"


# --- files and folders -----------------------------------------------------------------------------------------------


def _check_target(folder: Path, overwrite: bool) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UserError(f"{folder}: a file or link stands where the export should go; name another folder")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not overwrite:
        raise UserError(f"{folder}: the folder is not empty; name another folder, or overwrite an earlier export")
    if not (folder / MANIFEST).is_file():
        raise UserError(f"{folder}: no export wrote this folder ({MANIFEST} is missing), so it is not replaced")


def _publish(partial: Path, folder: Path, overwrite: bool) -> None:
    for path in [*partial.rglob("*"), partial]:
        _sync(path)
    if not (overwrite and folder.exists()):
        try:
            partial.rename(folder)
        except OSError as error:
            raise UserError(f"{folder}: something was put there during the export; name another folder") from error
    else:
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent))
        folder.rename(old)
        try:
            partial.rename(folder)
        except OSError:
            old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _save(partial: Path, name: str, content: bytes) -> ExportedFile:
    (partial / name).write_bytes(content)
    return _describe(partial / name, partial, None)


def _describe(path: Path, partial: Path, rows: int | None) -> ExportedFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ExportedFile(path=path.relative_to(partial).as_posix(), sha256=digest, bytes=path.stat().st_size, rows=rows)
