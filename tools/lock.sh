#!/usr/bin/env bash
# Renews constraints.txt: the newest versions that pyproject.toml allows, with the download and disk sizes measured
# while doing so. Works in a temporary folder and leaves .venv as it is. Knows nothing of what set-up does with it.
#
# Usage: tools/lock.sh      PYTHON=... picks the interpreter; the oldest supported one gives versions that fit them all
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# What building this package and the source distributions among its dependencies needs, pinned with the rest.
builders=(hatchling editables setuptools wheel)
torch=torch==2.13.0
megabytes() { echo "$(du -sm "$1" | cut -f1) MB"; }

"$python" -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip --disable-pip-version-check --quiet)
cp -r pyproject.toml README.md LICENSE src "$work/"
echo "downloading"
# PyTorch first, and as the CPU build where there is one: as another package's requirement it brings gigabytes for GPUs.
"${pip[@]}" download -d "$work/all" --retries 0 --timeout 5 --extra-index-url https://download.pytorch.org/whl/cpu "$torch"
"${pip[@]}" download -d "$work/all" --find-links "$work/all" "$work[data,dev]" "${builders[@]}"
rm -f "$work"/all/stellwerk-*
mkdir "$work/data"
# pip's own build of the package needs the builders from the index, so only its dependencies are taken from the folder.
echo "installing, extra data"
"${pip[@]}" install --find-links "$work/all" "$work[data]"
installed=$("${pip[@]}" freeze --all | sed -E 's/==.*//; s/[-_.]+/-/g' | tr '[:upper:]' '[:lower:]')
for file in "$work"/all/*; do
  name=$(basename "$file" | sed -E 's/-[0-9].*//; s/[-_.]+/-/g' | tr '[:upper:]' '[:lower:]')
  if grep -qxF -- "$name" <<<"$installed"; then cp "$file" "$work/data/"; fi
done
disk_data=$(megabytes "$work/venv")
echo "installing, extras data and dev"
"${pip[@]}" install --find-links "$work/all" "$torch"
"${pip[@]}" install --upgrade --find-links "$work/all" "$work[data,dev]" "${builders[@]}"
disk_dev=$(megabytes "$work/venv")

{
  cat <<TEXT
# The exact versions that are tested, for the extras data and dev and for building. \`make lock\` renews this file:
# it takes the newest versions that pyproject.toml allows and measures the sizes that the set-up announces.
# Measured on $(date +%Y-%m-%d), $(uname -s) $(uname -m), $("$python" --version).
# download data: $(megabytes "$work/data")
# download data,dev: $(megabytes "$work/all")
# disk data: $disk_data
# disk data,dev: $disk_dev
TEXT
  "${pip[@]}" freeze --all | sed 's/^\(torch==[0-9.]*\)+cpu$/\1/' | grep -E '^[A-Za-z0-9._-]+==' | grep -vE '^(pip|stellwerk)==' | LC_ALL=C sort -f
} >"$work/constraints.txt"
mv "$work/constraints.txt" constraints.txt
echo "constraints.txt: $(grep -c == constraints.txt) versions"
