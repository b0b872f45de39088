#!/bin/bash
# fuzz.sh FOLDER MINUTES PROGRAM...: runs each libFuzzer program for so long, from its own seeds, the inputs kept in
# tests/fuzz/regressions and what earlier runs found (FOLDER/NAME/corpus). Stops at the first input that does harm and says where
# it lies.
set -u
folder=$1 minutes=$2
shift 2
status=0
for program in "$@"; do
    name=${program##*/fuzz_}
    corpus=$folder/$name/corpus
    kept=tests/fuzz/regressions/$name
    mkdir -p "$corpus" && FUZZ_SEEDS=$corpus "$program" || exit 1
    [ -d "$kept" ] && cp "$kept"/* "$corpus"/
    echo "== $name: $minutes min"
    UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=allocator_may_return_null=1 \
        "$program" -max_total_time=$((minutes * 60)) -timeout=20 -rss_limit_mb=3000 -max_len=16384 -print_final_stats=0 -verbosity=0 \
        -artifact_prefix="$folder/$name/" "$corpus" >"$folder/$name/log" 2>&1
    if [ $? -ne 0 ]; then
        grep -aE 'ERROR|SUMMARY|runtime error|Test unit written' "$folder/$name/log"
        echo "fuzz: $name failed: $folder/$name/log; mend it and keep the input in $kept/"
        status=1
        continue
    fi
    # What reaches new code is kept, so that the corpus stays small.
    mkdir -p "$folder/$name/small" && "$program" -merge=1 "$folder/$name/small" "$corpus" >/dev/null 2>&1 &&
        rm -rf "$corpus" && mv "$folder/$name/small" "$corpus"
    echo "   $(ls "$corpus" | wc -l) inputs in the corpus"
done
exit $status
