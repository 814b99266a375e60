"""Promises about the project as a whole: a light start, pinned and free packages, files that any machine can use."""

from __future__ import annotations

import ast
import importlib.metadata as metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "stellwerk"
COMMAND = Path(sys.executable).with_name("stellwerk")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]

# What only some operations need, so that neither the help nor the registry of operations may load it.
# The base draws the pictures of pages and dossiers; what works on data is an extra.
HEAVY = {
    "daft",
    "deltalake",
    "duckdb",
    "pandas",
    "polars",
    "pyarrow",
    "ray",
    "spacy",
    "torch",
    "trafilatura",
    "vl_convert",
}

# Imported beside the package that always brings them and hands out their objects.
PART_OF = {"markupsafe": "jinja2", "pydantic-core": "pydantic"}

# Packages whose metadata name no licence; read from the licence files that they ship.
READ_LICENCES = {"daft": "Apache-2.0", "pypdfium2": "BSD-3-Clause AND Apache-2.0"}  # with what is built into it


def imported_by(*arguments: str) -> set[str]:
    """Every module that one call of Python imports, from its own protocol of imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    return {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def cpu_of_help() -> float:
    """The CPU seconds, user and system, that `stellwerk --help` takes."""
    child = subprocess.Popen([COMMAND, "--help"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return usage.ru_utime + usage.ru_stime


def test_help_starts_fast() -> None:
    assert min(cpu_of_help() for _ in range(8)) < 0.3


def test_help_loads_no_job_and_nothing_heavy() -> None:
    modules = imported_by(str(COMMAND), "--help")
    assert "stellwerk.doors.cli" in modules
    assert not {name for name in modules if re.match(r"stellwerk\.jobs\.\w", name)}
    assert not {name.partition(".")[0] for name in modules} & (HEAVY | {"sqlalchemy"})


def modules_named(*names: str) -> list[str]:
    """The dotted names of the package's modules with one of these file names."""
    found = sorted(path for path in PACKAGE.rglob("*.py") if path.name in names)
    return [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in found]


def test_the_registry_of_operations_loads_nothing_heavy() -> None:
    names = modules_named("operations.py", "spec.py")
    assert "stellwerk.jobs.data.operations" in names
    modules = imported_by("-c", f"import {', '.join(names)}")
    assert set(names) <= modules
    assert not {name.partition(".")[0] for name in modules} & HEAVY


def test_base_install_leaves_the_heavy_packages_to_extras() -> None:
    base = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert base
    assert not base & {canonicalize_name(name) for name in HEAVY}
    assert not {canonicalize_name(name) for name in closure(set())} & {"torch", "ray", "spacy"}


def closure(extras: set[str]) -> dict[str, str]:
    """The installed distributions that stellwerk with these extras needs, itself left out.

    Args:
        extras: names of optional dependencies, e.g. {"data"}

    Returns:
        canonical name to installed version
    """
    versions: dict[str, str] = {}
    seen: dict[str, set[str]] = {}
    todo = [("stellwerk", extras)]
    while todo:
        name, wanted = todo.pop()
        if name in seen and wanted <= seen[name]:
            continue
        wanted = seen.setdefault(name, set()) | wanted
        seen[name] = wanted
        distribution = metadata.distribution(name)
        versions[name] = distribution.version
        for line in distribution.requires or []:
            need = Requirement(line)
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in {"", *wanted}):
                todo.append((canonicalize_name(need.name), set(need.extras)))
    del versions["stellwerk"]
    return versions


def licence_expression(name: str) -> str:
    """The licence of an installed distribution, SPDX-like; classifiers beside each other are taken as a choice."""
    fields = metadata.metadata(name)
    if fields.get("License-Expression"):
        return str(fields["License-Expression"])
    classifiers = [line for line in fields.get_all("Classifier") or [] if line.startswith("License :: ")]
    if classifiers:
        return " OR ".join(re.sub(r"\W+", "-", line.rsplit("::", 1)[1].strip()) for line in classifiers)
    text = READ_LICENCES.get(name) or str(fields.get("License") or "")
    return text if re.fullmatch(r"[\w.+() -]{2,80}", text) else ""


def is_allowed(expression: str) -> bool:
    """Whether a licence expression can be used without the (Affero) GPL: each part joined by AND has such a choice."""
    pieces = re.findall(r"\(|\)|[^()\s]+", re.sub(r"\s+WITH\s+\S+", "", expression))
    words = [
        piece.lower()
        if piece in {"(", ")", "AND", "OR"}
        else str(re.search(r"(?<!L)GPL|GNU-(Affero-)?General|Affero", piece) is None)
        for piece in pieces
    ]
    # A licence named in several words ("BSD License") is one part.
    joined = re.sub(r"\b(True|False)(?: (?:True|False))+\b", lambda m: str("False" not in m[0]), " ".join(words))
    return bool(eval(joined))  # only the words of `words`: true, false, and, or, brackets


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("MPL-1.1 OR GPL-2.0-only OR LGPL-2.1-or-later", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("The BSD 2-Clause License", True),
        ("LGPL-3.0-or-later", True),
        ("AGPL-3.0-only", False),
        ("GPLv3", False),
        ("MIT AND GPL-3.0-or-later", False),
        ("(MIT OR GPL-2.0-only) AND AGPL-3.0-only", False),
        ("GNU-General-Public-License-v3-GPLv3-", False),
        ("GNU-Affero-General-Public-License-v3", False),
    ],
)
def test_licence_expressions_are_judged(expression: str, allowed: bool) -> None:
    assert is_allowed(expression) is allowed


def test_no_dependency_brings_the_gpl() -> None:
    licences = {name: licence_expression(name) for name in closure({"data"})}
    assert len(licences) > 40
    assert not [name for name, licence in licences.items() if not licence], "unknown: read the licence, name it above"
    assert not {name: licence for name, licence in licences.items() if not is_allowed(licence)}


def pinned() -> dict[str, str]:
    """The versions of constraints.txt by canonical name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pair) == 2 for pair in pairs)
    return {canonicalize_name(name): version for name, version in pairs}


def test_constraints_pin_every_package_within_the_bounds() -> None:
    pins = pinned()
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    declared = [Requirement(line) for line in [*PROJECT["dependencies"], *build, *EXTRAS["data"], *EXTRAS["dev"]]]
    loose = [str(need) for need in declared if not need.specifier.contains(pins.get(canonicalize_name(need.name), "0"))]
    assert not loose
    assert not closure({"data", "dev"}).keys() - pins.keys()


def test_what_is_installed_is_what_is_pinned() -> None:
    pins = pinned()
    installed = closure({"data", "dev"})
    # PyTorch for CPUs says so behind a +.
    found = {name: Version(version).public for name, version in installed.items()}
    assert found == {name: Version(pins[name]).public for name in installed}


def own_files() -> list[Path]:
    """The text files of the project: those that are neither hidden, built nor cached, and the CI script."""
    folders = ["src", "tests", "tools", "benchmarks", ".ci"]
    files = [path for path in ROOT.iterdir() if path.is_file()]
    files += [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    return [path for path in files if path.suffix in {"", ".py", ".md", ".txt", ".toml", ".sh", ".yaml", ".html"}]


def test_no_file_names_a_place_on_one_machine() -> None:
    places = re.compile(r"(?<![\w.])/(?:root|work|opt)/\w|(?<![\w.])/home/(?!user\b)\w")
    files = own_files()
    assert ROOT / "Makefile" in files
    assert ROOT / "tools" / "setup.sh" in files
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if places.search(line)
    ]
    assert not found


def test_every_module_opens_with_a_docstring() -> None:
    modules = list(PACKAGE.rglob("*.py"))
    assert modules
    assert not [str(path.relative_to(ROOT)) for path in modules if not ast.get_docstring(ast.parse(path.read_text()))]


def test_daft_is_told_not_to_report_usage_before_it_is_imported() -> None:
    silent = {name: value for name, value in os.environ.items() if name not in {"DO_NOT_TRACK", "DAFT_ANALYTICS_ENABLED"}}
    ask = "import stellwerk.engine.engine, daft.scarf_telemetry as report; raise SystemExit(not report.opted_out())"
    assert subprocess.run([sys.executable, "-c", ask], env=silent, check=False, timeout=60).returncode == 0


def test_only_the_engine_imports_daft() -> None:
    importers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if re.search(r"^\s*(?:import|from) daft\b", path.read_text(), re.MULTILINE)
    }
    assert importers == {"engine/engine.py"}


def copy_of_the_tools(folder: Path) -> Path:
    """The files that set-up and CI need, in a folder with a blank in its name and nothing beside it."""
    target = folder / "a checkout"
    target.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, target)
    for name in ("tools", ".ci"):
        shutil.copytree(ROOT / name, target / name)
    return target


def test_ci_stops_where_the_research_data_are_absent(tmp_path: Path) -> None:
    script = copy_of_the_tools(tmp_path) / ".ci" / "run"
    done = subprocess.run(["bash", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "../shared/data is absent" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_set_up_says_when_the_named_python_cannot_be_used(tmp_path: Path) -> None:
    checkout = copy_of_the_tools(tmp_path)
    done = subprocess.run(
        ["make", "demo", "PYTHON=true"], cwd=checkout, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "PYTHON=true is no Python from 3.11 on" in done.stderr
    assert not (checkout / ".venv").exists()


def test_make_lists_its_commands(tmp_path: Path) -> None:
    done = subprocess.run(["make"], cwd=copy_of_the_tools(tmp_path), capture_output=True, text=True, check=True, timeout=60)
    commands = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("  make ")}
    assert commands >= {"demo", "test", "lint", "format", "bench", "lock", "clean"}


def imports_of(path: Path) -> set[str]:
    """The first parts of all names that a module imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"stellwerk"}


SHIPPED = [line for extra, lines in EXTRAS.items() if extra != "dev" for line in lines]


def test_every_imported_package_is_declared() -> None:
    declared = {canonicalize_name(Requirement(line).name) for line in [*PROJECT["dependencies"], *SHIPPED]}
    providers = metadata.packages_distributions()
    declared |= {part for part, whole in PART_OF.items() if whole in declared}
    used = {name: path for path in PACKAGE.rglob("*.py") for name in imports_of(path)}
    assert used
    missing = {
        name: str(path.relative_to(ROOT))
        for name, path in used.items()
        if not declared & {canonicalize_name(provider) for provider in providers.get(name, [])}
    }
    assert not missing
