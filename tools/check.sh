#!/usr/bin/env bash
# Runs every check of the project, each under a heading, all of them even when one fails, and sums them up.
# Expects the .venv of tools/setup.sh; knows nothing of how it was made.
#
# Usage: tools/check.sh all|lint [arguments for pytest]      TEST_WORKERS=N sets the number of test processes (2)
# The tests run twice, with records in SQLite and, where a server is installed, in PostgreSQL; what touches no record runs once.
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
which=${1:-all}
shift || true
python=.venv/bin/python
counts=.pytest_cache/junit
# What knows no record, what starts both databases itself, and the doors, behind which the same operations are asked.
apart=(tests/text tests/report tests/runs tests/data/sources tests/test_{benchmarks,servers,project,remote_store,team}.py
  tests/data/test_{files,hostile_files,documents,mails,checks,comparing,profiling,sql,spec}.py tests/demo/test_company.py
  tests/test_gates.py tests/release/test_{bom,dossier,signing,verify,system_spec}.py tests/web/test_{browser,page_language,forms,prompt_browser,evaluation_browser}.py
  tests/llm tests/evaluation/test_{statistics_{intervals,judges,paired},scorers,promptfoo,inspect,junit,judges_llmbar,suites_shared}.py
  tests/prompts/test_{promptfile,hostile_values,roundtrip,optimising,trimming}.py tests/test_benchmark_evaluation.py
  tests/doors/test_{doors,guarding,guard_limits,login,binding,mcp,serve,schemathesis,exchange}.py)
summary=()
failed=0

part() {
  local name=$1 code=0
  shift
  printf '\n=== %s\n' "$name"
  SECONDS=0
  "$@" </dev/null || code=$?
  if [ "$code" = 0 ]; then
    summary+=("$(printf '  passed  %-8s %4d s' "$name" "$SECONDS")")
  else
    summary+=("$(printf '  FAILED  %-8s %4d s  again alone: %s' "$name" "$SECONDS" "$*")")
    failed=1
  fi
}

part style "$python" -m ruff check .
part format "$python" -m ruff format --check .
part types "$python" -m mypy
part layers .venv/bin/lint-imports
if [ "$which" = all ]; then
  mkdir -p .pytest_cache && rm -f "$counts".*
  part tests "$python" -m pytest -n "${TEST_WORKERS:-2}" --junitxml="$counts.sqlite" "$@"
  if compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
    part postgres env STELLWERK_TEST_RECORD=postgresql "$python" -m pytest -n "${TEST_WORKERS:-2}" \
      --junitxml="$counts.postgresql" "${apart[@]/#/--ignore=}" "$@"
  else
    summary+=("  skipped postgres: no server is installed (Debian: apt install postgresql)")
  fi
fi

printf '\n=== summary\n'
printf '%s\n' "${summary[@]}"
if [ "$which" = all ]; then
  # CI counts the tests by this line.
  "$python" - "$counts".* <<'COUNT'
import sys
import xml.etree.ElementTree as xml

tests = bad = skipped = 0
for file in sys.argv[1:]:
    try:
        suite = xml.parse(file).getroot().find("testsuite").attrib
    except OSError:
        suite = {"tests": 0, "failures": 0, "errors": 1, "skipped": 0}
    tests += int(suite["tests"])
    bad += int(suite["failures"]) + int(suite["errors"])
    skipped += int(suite["skipped"])
print(f"tests: {tests - bad - skipped} passed, {bad} failed, {skipped} skipped")
COUNT
fi
exit "$failed"
