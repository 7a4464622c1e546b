#!/bin/sh
# Installs what the browser test needs beside Node and Chromium: playwright-core, into target/browser.
#     crates/report/tests/browser/setup.sh && cargo test --release --test browser -- --nocapture
set -eu
cd "$(dirname "$0")/../../../.."
npm install --no-audit --no-fund --prefix target/browser playwright-core@1.65.1
