#!/bin/sh
# Makes the Python that the peers run in, and prints its path on stdout.
#
# PEERS_PYTHON=FILE names a Python that has the packages of requirements.txt already; nothing is
# installed then. Otherwise they go into .venv-peers in the project's root (some GB, once).
# Any other pip setting works as usual: PIP_INDEX_URL, PIP_FIND_LINKS, ...
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv="$root/.venv-peers"

has_packages() {
    "$1" -c '
import sys
import timm, pycocotools, safetensors, PIL, numpy, torch, torchvision
found = torch.__version__.split("+")[0], torchvision.__version__.split("+")[0]
if found != ("2.11.0", "0.26.0"):
    sys.exit("torch %s and torchvision %s instead of 2.11.0 and 0.26.0" % found)
'
}

if [ -n "${PEERS_PYTHON:-}" ]; then
    if ! has_packages "$PEERS_PYTHON" >&2; then
        echo "setup.sh: PEERS_PYTHON=$PEERS_PYTHON lacks what ci/peers/requirements.txt names; install it there, or unset PEERS_PYTHON" >&2
        exit 5
    fi
    echo "$PEERS_PYTHON"
    exit 0
fi

python="$venv/bin/python"
if [ ! -x "$python" ] || ! has_packages "$python" >/dev/null 2>&1; then
    echo "setup.sh: installing the peers into $venv" >&2
    if ! python3 -m venv "$venv" >&2; then
        echo "setup.sh: python3 cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2
        exit 5
    fi
    if ! "$python" -m pip install --quiet --requirement "$here/requirements.txt" >&2; then
        echo "setup.sh: pip could not install the peers; check the network and the free space in $venv" >&2
        exit 5
    fi
    has_packages "$python" >&2 || exit 5
fi
echo "$python"
