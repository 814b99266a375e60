#!/usr/bin/env bash
# Makes .venv ready for `make demo` (extra data) or `make test` (extras data, dev).
# Knows Python, pip and apt-get; knows nothing of what runs afterwards. Index, proxy and CA bundle come from the
# environment and pip's configuration, which it never overrides. Called again, it mends what an interrupted call left.
#
# Usage: tools/setup.sh demo|test      PYTHON=... picks the interpreter
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
here=$(pwd -P)
venv=$here/.venv

case "${1:-}" in
  demo) extras=data ;;
  test) extras=data,dev ;;
  *) echo "Usage: tools/setup.sh demo|test" >&2; exit 2 ;;
esac

say() { printf 'Set-up: %s\n' "$*"; }
die() { printf 'Set-up stopped: %s\n' "$*" >&2; exit 2; }

# --- system packages -------------------------------------------------------------------------------------------------

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

may_install() {
  command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; }
}

# Installs Debian packages, or returns 1 where that is not allowed or fails.
install_system() {
  may_install || return 1
  local apt=(env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -qq -o Dpkg::Use-Pty=0)
  say "installing with apt-get: $*"
  as_root "${apt[@]}" update </dev/null || return 1
  as_root env LC_ALL=C apt-get --assume-no --no-install-recommends install "$@" </dev/null 2>/dev/null \
    | sed -n 's/^Need to get \([^/]*\/\)\{0,1\}\(.*\) of archives.*/Set-up: this downloads \2/p' || true
  as_root "${apt[@]}" install -y --no-install-recommends "$@" </dev/null >/dev/null || return 1
}

# A browser is downloaded only where a test drives one.
ensure_browser() {
  grep -rqE --include='*.py' '^ *(import|from) playwright' tests 2>/dev/null || return 0
  local name
  for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then return 0; fi
  done
  install_system chromium \
    || say "chromium could not be installed, so tests in a browser will be skipped; to run them: sudo apt-get install chromium"
}

# Servers and programs that tests start as they are in a company: two databases, and the reader of scanned pages.
ensure_servers() {
  local wanted=()
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || wanted+=(postgresql)
  command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ] || wanted+=(mariadb-server)
  command -v tesseract >/dev/null || wanted+=(tesseract-ocr tesseract-ocr-deu)
  if [ "${#wanted[@]}" = 0 ]; then return 0; fi
  install_system "${wanted[@]}" \
    || say "${wanted[*]} could not be installed, so tests on them will be skipped; to run them: sudo apt-get install ${wanted[*]}"
}

# --- Python ----------------------------------------------------------------------------------------------------------

# Prints "X.Y.Z yes|no": the interpreter's version, and whether it can make a virtual environment with pip.
describe() {
  "$1" -c 'import importlib.util as u, sys
print(".".join(map(str, sys.version_info[:3])), "yes" if u.find_spec("venv") and u.find_spec("ensurepip") else "no")' \
    2>/dev/null </dev/null
}

# Sets python and version to the first interpreter from 3.11 on that can make a virtual environment.
find_python() {
  local candidate found with_venv
  python="" version="" without_venv=""
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python3.14; do
    read -r found with_venv <<<"$(describe "$candidate" || true)"
    case "$found" in 3.1[1-9].* | 3.[2-9][0-9].*) ;; *)
      [ "$candidate" != "${PYTHON:-}" ] || die "PYTHON=$PYTHON is no Python from 3.11 on; name another one or leave PYTHON out."
      continue ;;
    esac
    if [ "$with_venv" = yes ]; then
      python=$candidate version=$found
      return 0
    fi
    without_venv=${without_venv:-$found}
  done
  return 1
}

ensure_python() {
  find_python && return 0
  local package=python3-venv
  if [ -n "$without_venv" ]; then package=python${without_venv%.*}-venv; fi
  if install_system python3 "$package" && find_python; then return 0; fi
  if [ -n "$without_venv" ]; then
    die "Python $without_venv is here but cannot make virtual environments; install its package: sudo apt-get install $package"
  fi
  die "no Python from 3.11 on was found; install one (Debian 12, Ubuntu 24.04 and later: sudo apt-get install python3 python3-venv) or name it: make ${1:-test} PYTHON=/path/to/python3"
}

# --- virtual environment ---------------------------------------------------------------------------------------------

# Says why .venv cannot be used, or nothing.
fault_of_venv() {
  local minor=${version%.*} made_as
  [ ! -e "$venv/.incomplete" ] || { echo "an earlier set-up was interrupted"; return; }
  made_as=$(sed -n 's/^version *= *//p' "$venv/pyvenv.cfg" 2>/dev/null || true)
  [ "${made_as%.*}" = "$minor" ] || { echo "it was made for Python ${made_as:-unknown}, not $version"; return; }
  grep -q " $venv\$" "$venv/pyvenv.cfg" || { echo "it was made in another folder"; return; }
  "$venv/bin/python" -c "import sys, pip; sys.exit(sys.prefix == sys.base_prefix or sys.version_info[:2] != (3, ${minor#3.}))" \
    >/dev/null 2>&1 </dev/null || echo "its Python or pip does not run"
}

# pip in .venv, held to constraints.txt also for what it needs to build a package. The path is relative
# because pip splits this variable at blanks. Without a terminal only its lines on downloads are shown.
pip_install() {
  local limits="${PIP_CONSTRAINT:+$PIP_CONSTRAINT }constraints.txt"
  local pip=(env PIP_CONSTRAINT="$limits" PIP_BUILD_CONSTRAINT="$limits" PIP_DISABLE_PIP_VERSION_CHECK=1
    "$venv/bin/python" -m pip install --no-input)
  if [ -t 1 ]; then
    "${pip[@]}" "$@" </dev/null
  else
    "${pip[@]}" --progress-bar off "$@" </dev/null | sed -un 's/^ *\(Downloading [^ ]*whl.*\)$/  \1/p; s/^\(Installing collected\).*/  \1 packages/p'
  fi
}

# PyTorch in its build for CPUs, where its own index is reached: the build of the common index brings gigabytes for GPUs.
ensure_torch() {
  local pinned
  pinned=$(grep -x 'torch==[0-9.]*' constraints.txt) || return 0
  if "$venv/bin/python" -c 'import importlib.metadata as m, sys; sys.exit(m.version("torch").split("+")[0] != sys.argv[1])' \
    "${pinned#torch==}" 2>/dev/null; then return 0; fi
  say "      PyTorch first, without what only GPUs need"
  pip_install --retries 0 --timeout 5 --extra-index-url https://download.pytorch.org/whl/cpu "$pinned" || true
}

# A number that `make lock` measured and wrote into the head of constraints.txt.
measured() { sed -n "s/^# $1 $extras: *//p" constraints.txt; }

install_packages() {
  say "downloads about $(measured download) (less what is in .venv or in pip's cache already) into .venv, which then takes $(measured disk)"
  if [ ! -d "$venv/bin" ]; then
    say "[1/3] making .venv with Python $version"
    mkdir -p "$venv"
    touch "$venv/.incomplete"
    "$python" -m venv "$venv" || die "Python $version could not make $venv; see the message above."
  else
    say "[1/3] .venv with Python ${version%.*} is there"
    touch "$venv/.incomplete"
  fi
  if [ "$extras" = data,dev ]; then ensure_torch; fi
  say "[2/3] installing the versions of constraints.txt, extras $extras"
  pip_install -e ".[$extras]" || {
    local code=$?
    # pip undoes a failed installation itself; only one that was killed leaves a half-made .venv.
    if [ "$code" -lt 128 ]; then rm -f "$venv/.incomplete"; fi
    die "pip could not install the packages (its message is above); behind a company network set PIP_INDEX_URL, HTTPS_PROXY and PIP_CERT, then call again."
  }
  say "[3/3] checking that the packages fit together"
  "$venv/bin/python" -m pip check >/dev/null || {
    "$venv/bin/python" -m pip check || true
    die "packages in .venv contradict each other (above); remove the folder .venv and call again."
  }
}

exec 9<tools/setup.sh
flock -n 9 || { say "waiting for another set-up in this folder"; flock 9; }
trap 'echo; echo "Set-up was interrupted; the next call starts it afresh." >&2; exit 130' INT TERM

ensure_python "$1"
if [ "$1" = test ]; then
  ensure_browser
  ensure_servers
fi
if [ -e "$venv" ]; then
  fault=$(fault_of_venv)
  if [ -n "$fault" ]; then
    say "making .venv anew: $fault"
    rm -rf -- "$venv"
  fi
fi

stamp=$venv/.stellwerk-setup
key=$({ cat pyproject.toml constraints.txt; echo "${version%.*} $here"; } | sha256sum | cut -d' ' -f1)
case "$(cat "$stamp" 2>/dev/null || true)" in
  "$key $extras" | "$key data,dev")
    say ".venv is ready (Python ${version%.*})"
    exit 0 ;;
esac

SECONDS=0
install_packages
echo "$key $extras" >"$stamp"
rm -f "$venv/.incomplete"
say "done in $SECONDS s: Python ${version%.*}, $("$venv/bin/python" -m pip list 2>/dev/null | tail -n +3 | wc -l) packages, $(du -sm "$venv" | cut -f1) MB in .venv"
