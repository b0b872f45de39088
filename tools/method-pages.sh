#!/bin/sh
# Usage: tools/method-pages.sh BITBENCH   - puts the option tables into docs/methods/*.md, between their markers.
set -eu
program=${1:?usage: tools/method-pages.sh BITBENCH}
cd "$(dirname "$0")/.."
for page in docs/methods/*.md; do
    name=$(basename "$page" .md)
    table=$("$program" methods "$name" --markdown)
    TABLE="$table" awk '
        /^<!-- options -->$/ { print; print ENVIRON["TABLE"]; skip = 1; next }
        /^<!-- \/options -->$/ { skip = 0 }
        !skip { print }' "$page" >"$page.new"
    mv "$page.new" "$page"
done
