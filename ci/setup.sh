#!/usr/bin/env bash
# Set-up for every make target: checks the programs, and sees to it that there is a libtorch of the one
# version that tch 0.24.0 is made for. Safe to repeat; takes well under a second when all is there.
#
#   ci/setup.sh            fetches libtorch into .libtorch, unless it is there or LIBTORCH names one
#
# Exit code 5: something is missing; the message says what and how to get it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

required=2.11.0
rust=1.95
packages=("torch==$required" nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85)

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 5; }

# ---------------------------------------------------------------- programs
missing=()
need() { # PROGRAM, HOW TO GET IT
    command -v "$1" >/dev/null 2>&1 || missing+=("$1: $2")
}
rustup_hint="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh, then open a new shell"
need git "apt-get install git"
need make "apt-get install make"
need cc "apt-get install g++"
need c++ "apt-get install g++"
need cargo "$rustup_hint"
# Python and pip only fetch libtorch; who brings a libtorch needs neither.
if [[ -z ${LIBTORCH:-} ]]; then
    need python3 "apt-get install python3 python3-pip, or set LIBTORCH to a libtorch $required"
    if command -v python3 >/dev/null 2>&1 && ! python3 -m pip --version >/dev/null 2>&1; then
        missing+=("pip: apt-get install python3-pip, or set LIBTORCH to a libtorch $required")
    fi
fi
if ((${#missing[@]})); then
    say "error: these programs are missing:"
    printf '  %s\n' "${missing[@]}" >&2
    exit 5
fi
have=$(cargo --version | awk '{print $2}') || fail "cargo does not start: rustup default stable"
if [[ $(printf '%s\n%s\n' "$rust" "${have%%-*}" | sort -V | head -n1) != "$rust" ]]; then
    fail "Rust $rust or newer is needed, but cargo is $have: rustup update stable, then rustup default stable"
fi

# ---------------------------------------------------------------- libtorch
# Prints the version of the libtorch in folder $1, or nothing.
version_of() {
    local header number=() name
    for header in include/torch/headeronly/version.h include/torch/csrc/api/include/torch/version.h; do
        [[ -f $1/$header ]] || continue
        for name in MAJOR MINOR PATCH; do
            number+=("$(sed -n "s/^#define TORCH_VERSION_$name \([0-9]*\).*/\1/p" "$1/$header")")
        done
        (IFS=.; printf '%s' "${number[*]}")
        return
    done
    if [[ -f $1/version.py ]]; then
        sed -n "s/^__version__ = ['\"]\([0-9.]*\).*/\1/p" "$1/version.py"
    elif [[ -f $1/build-version ]]; then
        sed -n '1s/^\([0-9.]*\).*/\1/p' "$1/build-version"
    fi
}

usable() { [[ $(version_of "$1") == "$required" && -f $1/lib/libtorch_cpu.so && -d $1/include ]]; }

if [[ -n ${LIBTORCH:-} ]]; then
    found=$(version_of "$LIBTORCH")
    [[ -n $found ]] ||
        fail "LIBTORCH=$LIBTORCH is not a libtorch (no version in it); unset LIBTORCH to have libtorch $required fetched"
    [[ $found == "$required" ]] ||
        fail "libtorch $required is needed, but LIBTORCH=$LIBTORCH is libtorch $found; unset LIBTORCH to have" \
            "libtorch $required fetched, or point it at a libtorch $required"
    usable "$LIBTORCH" ||
        fail "LIBTORCH=$LIBTORCH lacks lib/libtorch_cpu.so or include/; unset LIBTORCH to have libtorch $required fetched"
    say "libtorch $required from LIBTORCH=$LIBTORCH"
    exit 0
fi

if usable .libtorch/torch; then
    say "libtorch $required is in .libtorch"
    exit 0
fi

[[ $(uname -s) == Linux ]] || fail "libtorch is fetched for Linux only; set LIBTORCH to a libtorch $required"
machine=$(uname -m)
case $machine in
x86_64 | aarch64) ;;
*) fail "there is no libtorch $required wheel for $machine; set LIBTORCH to a libtorch $required built for it" ;;
esac

# Fetched beside its final place and renamed when complete: an interrupted set-up leaves nothing half done.
say "fetching libtorch $required (about 0.6 GB to download, 2.5 GB of disk while it is unpacked)"
fresh=$(mktemp -d .libtorch.tmp.XXXXXX)
trap 'rm -rf "$fresh"' EXIT
# The wheel is named in full, so that any Python serves and all machines get the same files. Options that a
# user's pip configuration may hold, and that contradict --target, are switched off; so is the guard of a
# distribution's own packages, which are not touched.
tags=(--implementation cp --python-version 3.12 --abi cp312 --only-binary=:all:)
for platform in manylinux_2_28 manylinux_2_27 manylinux_2_26 manylinux_2_25 manylinux_2_24 manylinux_2_17 manylinux2014; do
    tags+=(--platform "${platform}_$machine")
done
PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_BREAK_SYSTEM_PACKAGES=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore PIP_NO_COMPILE=1 \
    python3 -m pip install --quiet --no-deps --target "$fresh" "${tags[@]}" "${packages[@]}" >&2 ||
    fail "pip could not fetch libtorch (its reason is above). Without a network or with too little disk here, run" \
        "'pip install --no-deps --target DIR ${packages[*]}' elsewhere, copy DIR and set LIBTORCH=DIR/torch"

# One binary serves machines with and without a GPU and links nothing of CUDA; the CUDA half, when wanted,
# is the one of the Python installation there (LD_LIBRARY_PATH).
rm -f "$fresh"/torch/lib/libtorch_cuda*.so "$fresh"/torch/lib/libtorch_nvshmem.so "$fresh"/torch/lib/libtorch_python.so
usable "$fresh/torch" || fail "what pip fetched is not libtorch $required but $(version_of "$fresh/torch")"

chmod 755 "$fresh"
if [[ -e .libtorch ]]; then
    say "replacing the .libtorch that was there (version: $(version_of .libtorch/torch))"
    mv -T .libtorch "$fresh.old"
    trap 'rm -rf "$fresh" "$fresh.old"' EXIT
fi
mv -T "$fresh" .libtorch
say "libtorch $required is in .libtorch"
