#!/bin/sh
# version.sh CC FLAGS: prints the C header with what the program knows of its own build.
set -eu
quote() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }
commit=unknown dirty=0
if [ -e .git ] && commit=$(git -c safe.directory='*' rev-parse HEAD 2>/dev/null); then
    # Only files that the program is made of count: notes and results beside them change nothing.
    [ -z "$(git -c safe.directory='*' status --porcelain --untracked-files=no -- '*.c' '*.h' '*.def' Makefile 2>/dev/null)" ] || dirty=1
else
    commit=unknown
fi
echo "#define VERSION_COMMIT $(quote "$commit")"
echo "#define VERSION_DIRTY $dirty"
echo "#define VERSION_COMPILER $(quote "$($1 --version 2>/dev/null | head -n 1)")"
echo "#define VERSION_FLAGS $(quote "$2")"
