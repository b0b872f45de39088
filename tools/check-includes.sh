#!/bin/sh
# Checks the direction of includes: core <- linalg <- model; core <- datasets; {core, linalg, model} <- methods; all <- harness.
# Every include of ours is written from the top of the tree, and every header's guard is its path.
set -eu
cd "$(dirname "$0")/.."
git ls-files -co --exclude-standard -- '*.c' '*.h' '*.def' | while read -r file; do [ -e "$file" ] && echo "$file"; done |
    xargs awk '
    BEGIN {
        may["core"] = "core"
        may["linalg"] = "core linalg"
        may["model"] = "core linalg model"
        may["datasets"] = "core datasets"
        may["methods"] = "core linalg model methods"
        may["harness"] = may["tests"] = "core linalg model datasets methods harness tests"
    }
    FNR == 1 {
        split(FILENAME, part, "/")
        folder = part[1]
        guard = toupper(FILENAME)
        gsub(/[^A-Z0-9]/, "_", guard)
        if (!(folder in may))
            complain("a source in a folder that is not part of the map (core linalg model methods datasets harness tests)")
    }
    FILENAME ~ /\.h$/ && /^#ifndef / && !(FILENAME in guarded) {
        guarded[FILENAME] = 1
        if ($2 != guard) complain("the guard is " $2 ", it should be " guard)
    }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
        split($0, quoted, "\"")
        count = split(quoted[2], part, "/")
        if (count == 1) { # a generated header
            if (quoted[2] !~ /_data\.(h|inc)$/) complain("include \"" quoted[2] "\": write it from the top of the tree")
        } else if (index(" " may[folder] " ", " " part[1] " ") == 0)
            complain("include \"" quoted[2] "\": " folder " may include only " may[folder])
    }
    function complain(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; bad = 1 }
    END { exit bad }'
