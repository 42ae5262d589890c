#!/usr/bin/env bash
# Does what docs/variants.md says of a new system, with the blocks of the document itself: in a copy of the tracked files it
# puts the Rust file in place, applies the patch of mod.rs, builds, and trains one tiny cell of the system on built-in scenes.
# Needs what `make build` makes; only the workspace's own crates are built again.
#
#   ci/variants.sh
#
# Prints one line at the end: what was shown and how long it took. Fails when any step does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=$(pwd -P)
document=docs/variants.md
system=late-moe
file=suite/models/src/systems/late_moe.rs
built=$(realpath -m "${CARGO_TARGET_DIR:-target}")
began=$SECONDS

fail() { printf 'variants: error: %s\n' "$*" >&2; exit 1; }
[[ -d $built/release/deps ]] || fail "$built/release is missing; run make build"

# The only block of a language in the document.
block() {
    [[ $(grep -c "^\`\`\`$1\$" "$document") == 1 ]] || fail "$document has not one block of $1"
    sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/{//!p}" "$document"
}

copy=$(mktemp -d)
ours=$built/variants
trap 'rm -rf "$copy" "$ours"' EXIT
grep -q "^Then tell \`suite/models/src/systems/mod.rs\`" "$document" && grep -q "Write \`$file\`" "$document" ||
    fail "$document no longer says to write $file and to change mod.rs"

# ---------------------------------------------------------------- the copy, with the document's blocks
git ls-files -z | xargs -0 cp --parents -t "$copy"
block rust >"$copy/$file"
block diff >"$copy/mod.patch"
# A folder above that is a repository would make git apply skip files.
GIT_CEILING_DIRECTORIES=$(dirname "$copy") git -C "$copy" apply -v mod.patch || fail "the patch in $document does not apply"
grep -q late_moe::ENTRY "$copy/suite/models/src/systems/mod.rs" || fail "the patch in $document changed nothing"

# The libtorch of the build here, said in the same way, so that its bindings count as built.
if [[ -z ${LIBTORCH:-} ]]; then
    sed -i "s|value = \".libtorch/torch\", relative = true|value = \"$root/.libtorch/torch\"|" "$copy/.cargo/config.toml"
    grep -qF "\"$root/.libtorch/torch\"" "$copy/.cargo/config.toml" || fail ".cargo/config.toml has another form than expected"
else
    LIBTORCH=$(realpath -s "$LIBTORCH")
    export LIBTORCH
fi

# ---------------------------------------------------------------- built from what is built
# Hard links to the libraries that are not ours. Whatever is of the workspace stays behind: Cargo would write it in place.
rm -rf "$ours"
mkdir -p "$ours/release"/{deps,build,.fingerprint}
find "$built/release/deps" -maxdepth 1 -name 'lib*' ! -name 'libadamv_*' -print0 | xargs -0 cp -al -t "$ours/release/deps"
for part in build .fingerprint; do
    find "$built/release/$part" -mindepth 1 -maxdepth 1 ! -name 'adamv-*' -print0 | xargs -0 cp -al -t "$ours/release/$part"
done
[[ -f $built/CACHEDIR.TAG ]] && cp "$built/CACHEDIR.TAG" "$ours"

log=$copy/build.log
in_copy() { (cd "$copy" && CARGO_TARGET_DIR=$ours "$@"); }
in_copy cargo build --release --workspace --locked --offline 2>&1 | tee "$log"
if grep -E 'Compiling (torch-sys|tch|polars)' "$log"; then
    fail "crates that are not ours were built again (above)"
fi

# ---------------------------------------------------------------- one tiny cell
cat >"$copy/tiny.yaml" <<END
extends: suite/suites/smoke.yaml
name: tiny
description: a few steps of the document's system
task_version: 1
systems: [$system]
seeds: [0]
END
tiny=(data.scenes.images=32 data.scenes.size=32
    model.inputs.detection.image_size=32 model.inputs.detection.patch_size=8
    training.two_stages=false training.joint.steps=4 training.joint.warmup=1
    training.joint.batch.classification=4 training.joint.batch.detection=2
    training.log_every=2 training.checkpoint_every=4)
in_copy "$ours/release/adamv-bench" run tiny.yaml --out out "${tiny[@]/#/--set=}"
record=$copy/out/$system-vit-micro-s0/record.json
[[ -f $record ]] || fail "the run left no record of $system"
grep -q '"status": "done"' "$record" || fail "the cell of $system is not done: $record says so"
in_copy "$ours/release/adamv-bench" report out --out report
grep -q "$system" "$copy/report/report.html" || fail "$system is not in the report"

echo "variants: $document: $system was built, trained and reported ($((SECONDS - began)) s)"
