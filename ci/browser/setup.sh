#!/bin/sh
# Installs what check.mjs needs into ci/browser/node_modules: puppeteer-core and axe-core, at the versions of package-lock.json. Neither brings
# a browser; the machine has Chromium or Chrome, or CHROMIUM names it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

if ! command -v npm >/dev/null; then
    echo "setup.sh: npm is missing; on Debian: apt-get install nodejs npm" >&2
    exit 5
fi
if ! npm ci --prefix "$here" --no-audit --no-fund >&2; then
    echo "setup.sh: npm could not install the packages; check the network" >&2
    exit 5
fi
