#!/bin/sh
# Installs what the browser tests need besides Node: playwright-core, into target/browser, and its
# Chromium if the machine has none.
#     crates/report/tests/browser/setup.sh && cargo test --release browser -- --nocapture
set -eu
cd "$(dirname "$0")/../../../.."
npm install --no-audit --no-fund --prefix target/browser playwright-core@1.65.1
for browser in chromium chromium-browser google-chrome; do
    if command -v "$browser" >/dev/null; then exit 0; fi
done
node target/browser/node_modules/playwright-core/cli.js install chromium-headless-shell
