#!/bin/sh
# keep.sh FILE COMMAND...: writes the command's output to FILE, and leaves FILE untouched (its date too) when it is the same.
set -eu
file=$1
shift
"$@" >"$file.new.$$"
if cmp -s "$file.new.$$" "$file"; then
    rm -f "$file.new.$$"
else
    mv "$file.new.$$" "$file"
fi
