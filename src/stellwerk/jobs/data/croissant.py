"""Describes an exported dataset version in Croissant 1.1, the JSON-LD format that dataset hubs and loaders read.

Knows the vocabulary (schema.org, Croissant, its Responsible AI terms, PROV-O). Does not write or read data files, and
does not use mlcroissant, whose own writer knows no provenance; the tests validate the result with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson
import pyarrow as pa

from stellwerk.jobs.data.card import UNKNOWN, DatasetFacts, SourceFact

CONFORMS_TO: Final = "http://mlcommons.org/croissant/1.1"

# The context that the specification recommends (its appendix 1), with the https form of schema.org, as hubs and
# mlcroissant use it, and with prov for provenance.
_TERMS: Final = (
    "annotation arrayShape citeAs column containedIn equivalentProperty excludes extract field fileProperty fileObject "
    "fileSet format includes isArray isLiveDataset jsonPath key md5 parentField path readLines recordSet references "
    "regex repeated replace samplingRate sdVersion separator source subField transform unArchive value"
)
_CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{term: f"cr:{term}" for term in _TERMS.split()},
}
_SPLIT_URLS: Final = {"train": "cr:TrainingSplit", "validation": "cr:ValidationSplit", "test": "cr:TestSplit"}
_SPDX: Final = re.compile(r"[A-Za-z]+[A-Za-z0-9]*(-[A-Za-z0-9.]+)*-\d[0-9.]*(-only|-or-later)?|MIT|ISC|Zlib|Unlicense")


class DataFile(NamedTuple):
    """A file of the export: its path relative to the description, its digest in hex, its size, its records."""

    path: str
    sha256: str
    bytes: int
    rows: int


def croissant_json(facts: DatasetFacts, schema: pa.Schema, parts: Mapping[str, DataFile], split: str | None) -> bytes:
    """Describe the Parquet files of a dataset version.

    Args:
        facts: what is known of the version.
        schema: the Arrow schema of the files.
        parts: split -> its file, path relative to the description.
        split: the column that names the split, or None where the dataset is not split.

    Returns:
        The text of croissant.json, UTF-8, indented.
    """
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": facts.name,
        "description": facts.description or f"{UNKNOWN} (purpose: {facts.purpose or UNKNOWN})",
        "conformsTo": CONFORMS_TO,
        "version": f"{facts.version}.0.0",
        "url": f"urn:stellwerk:{facts.reference.replace('/', ':')}",
        "identifier": facts.digest,
        "citeAs": f"{facts.owner or UNKNOWN}: {facts.name}, version {facts.version}, {facts.digest}",
        "license": _licence(facts.licence),
        "creator": {"@type": "sc:Organization", "name": facts.owner or UNKNOWN},
        **({"inLanguage": list(facts.languages)} if facts.languages else {}),
        **_dates(facts),
        **_responsible_ai(facts),
        **_provenance(facts),
        "distribution": [_file(split_name, file) for split_name, file in parts.items()],
        "recordSet": [*_splits(parts, split), *(_records(name, file, schema) for name, file in parts.items())],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"


def _dates(facts: DatasetFacts) -> dict[str, str]:
    if facts.created is None:
        return {}
    created = facts.created.isoformat(timespec="seconds")
    return {"dateCreated": created, "datePublished": created}


def _licence(licence: str | None) -> Any:
    if licence and licence.startswith(("https://", "http://")):
        return licence
    if licence and _SPDX.fullmatch(licence):
        return f"https://spdx.org/licenses/{licence}.html"
    return {"@type": "sc:CreativeWork", "name": licence or UNKNOWN}


def _file(split: str, file: DataFile) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": file.path,
        "name": file.path,
        "description": f"Part {split} of the dataset.",
        "contentUrl": file.path,
        "contentSize": f"{file.bytes} B",
        "encodingFormat": "application/x-parquet",
        "sha256": file.sha256,
    }


def _splits(parts: Mapping[str, DataFile], split: str | None) -> list[dict[str, Any]]:
    if split is None:
        return []
    rows = [
        {"splits/name": name, **({"splits/url": _SPLIT_URLS[name]} if name in _SPLIT_URLS else {"splits/url": name})}
        for name in parts
    ]
    return [
        {
            "@type": "cr:RecordSet",
            "@id": "splits",
            "name": "splits",
            "description": "The splits; the records of each stand in the record set of its name.",
            "dataType": "cr:Split",
            "key": {"@id": "splits/name"},
            "field": [
                {"@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text"},
                {"@type": "cr:Field", "@id": "splits/url", "name": "url", "dataType": ["sc:Text", "cr:Split"]},
            ],
            "data": rows,
        }
    ]


def _records(split: str, file: DataFile, schema: pa.Schema) -> dict[str, Any]:
    ids = field_ids(schema.names)
    fields = [_field(f"{split}/{ids[column.name]}", column, file.path) for column in schema if _data_type(column.type)]
    return {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "description": f"{file.rows:,} records.",
        **({"key": {"@id": f"{split}/doc_id"}} if "doc_id" in schema.names else {}),
        "field": fields,
    }


def field_ids(names: Sequence[str]) -> dict[str, str]:
    """Give each column an id that is safe in an IRI; the names themselves stay in `extract.column`.

    Args:
        names: the columns, in order.

    Returns:
        column -> id, unique.
    """
    ids: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        base = candidate = re.sub(r"[^A-Za-z0-9_.-]", "_", name) or "_"
        number = 2
        while candidate in taken:
            candidate, number = f"{base}_{number}", number + 1
        taken.add(candidate)
        ids[name] = candidate
    return ids


def _field(identifier: str, column: pa.Field, path: str) -> dict[str, Any]:
    listed = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    return {
        "@type": "cr:Field",
        "@id": identifier,
        "name": column.name,
        "dataType": _data_type(column.type),
        **({"isArray": True, "arrayShape": "-1"} if listed else {}),
        "source": {"fileObject": {"@id": path}, "extract": {"column": column.name}},
    }


def _data_type(type_: pa.DataType) -> str | None:
    """The Croissant type of a column, or None where there is none (a struct): such a column is in the file only."""
    kinds = pa.types
    if kinds.is_list(type_) or kinds.is_large_list(type_):
        return None if kinds.is_nested(type_.value_type) else _data_type(type_.value_type)
    for matches, name in (
        (kinds.is_boolean, "sc:Boolean"),
        (kinds.is_integer, "sc:Integer"),
        (kinds.is_floating, "sc:Float"),
        (kinds.is_date, "sc:Date"),
        (kinds.is_timestamp, "sc:DateTime"),
        (kinds.is_time, "sc:Time"),
        (kinds.is_nested, None),
    ):
        if matches(type_):
            return name
    return "sc:Text"


def _responsible_ai(facts: DatasetFacts) -> dict[str, Any]:
    """The rai: terms for which there is a fact; what is not known is left out rather than padded."""
    terms: dict[str, Any] = {
        "rai:dataCollection": "; ".join(_collected(source) for source in facts.sources),
        "rai:dataPreprocessingProtocol": [f"{step.step}: {step.what}" for step in facts.preparation],
        "rai:dataUseCases": [facts.purpose] if facts.purpose else [],
        "rai:dataLimitations": [*facts.known_gaps, *(f"assumed: {text}" for text in facts.assumptions)],
        "rai:dataBiases": [*facts.bias_examination, *facts.bias_measures],
        "rai:dataReleaseMaintenancePlan": _maintenance(facts),
    }
    if facts.personal is not None:
        personal = facts.personal
        found = [f"{kind}: {personal.counts.get(kind, 0)} findings" for kind in personal.searched]
        unsearched = ", ".join(personal.not_searched) or UNKNOWN
        terms["rai:personalSensitiveInformation"] = [
            *found,
            f"action: {personal.action or UNKNOWN}",
            f"not searched: {unsearched}",
        ]
    return {term: value for term, value in terms.items() if value}


def _collected(source: SourceFact) -> str:
    basis = f", legal basis: {source.legal_basis}" if source.legal_basis else ""
    retrieved = f", retrieved {source.retrieved}" if source.retrieved else ""
    return f"{source.name}: {source.origin or UNKNOWN}{retrieved}{basis}"


def _maintenance(facts: DatasetFacts) -> str:
    parts = [facts.retention or "", f"delete by {facts.delete_by}" if facts.delete_by else ""]
    return "; ".join(part for part in parts if part)


def _provenance(facts: DatasetFacts) -> dict[str, Any]:
    derived: list[dict[str, Any]] = [
        {"@type": "prov:Entity", "@id": f"urn:stellwerk:{p.replace('/', ':')}"} for p in facts.parents
    ]
    derived += [
        {
            "@type": "prov:Entity",
            "@id": f"urn:stellwerk:source:{number}",
            "prov:label": source.name,
            "prov:value": [f"sha256:{file.sha256} {file.path}" for file in source.files],
        }
        for number, source in enumerate(facts.sources, start=1)
    ]
    activities = [
        {
            "@type": "prov:Activity",
            "@id": f"urn:stellwerk:step:{number}",
            "prov:label": step.step,
            "prov:value": orjson.dumps({"parameters": step.parameters, "documents": step.counts}).decode(),
        }
        for number, step in enumerate(facts.preparation, start=1)
    ]
    agent = {"@type": "prov:Agent", "@id": "urn:stellwerk:owner", "prov:label": facts.owner} if facts.owner else None
    terms = {"prov:wasDerivedFrom": derived, "prov:wasGeneratedBy": activities, "prov:wasAttributedTo": agent}
    return {term: value for term, value in terms.items() if value}
