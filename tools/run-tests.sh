#!/bin/bash
# run-tests.sh SECONDS PROGRAM...: runs the test programs one after another, each for at most SECONDS, shows the output of those
# that fail, and ends with the sum of their own counts: "N passed, N failed, N skipped".
set -u
limit=$1
shift
passed=0 failed=0 skipped=0
broken=() skips=()
for program in "$@"; do
    name=${program##*/}
    log=$program.log
    start=$(date +%s.%N)
    # Whatever the shell itself says about a crash goes where the summary says it better.
    { timeout --kill-after=10 "$limit" "$program" >"$log" 2>&1 </dev/null; } 2>/dev/null
    status=$?
    seconds=$(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')
    # cmocka prints a line when a test begins and one when it ends, and names some again after a group's end; a test that crashes
    # or runs out of time only has its first line.
    read -r begun ok skip < <(awk '
        /^\[==========\] Running / { inside = 1 }
        /^\[==========\] .* run\.$/ { inside = 0 }
        inside && /^\[ RUN      \]/ { begun++ }
        inside && /^\[       OK \]/ { ok++ }
        inside && /^\[  SKIPPED \]/ { skip++ }
        END { print begun + 0, ok + 0, skip + 0 }' "$log")
    bad=$((begun - ok - skip))
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] || [ "$begun" -eq 0 ]; then
        bad=$((bad + 1)) # failed outside its tests, or holds none
    fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
    word=ok
    [ "$bad" -eq 0 ] || word=FAILED
    [ "$status" -ne 124 ] || word="FAILED: stopped after $limit s"
    [ "$status" -lt 128 ] || word="FAILED: ended by signal $((status - 128))"
    printf '%-28s %3d passed %3d failed %3d skipped %7s s  %s\n' "$name" "$ok" "$bad" "$skip" "$seconds" "$word"
    if [ "$skip" -gt 0 ]; then
        grep -h '^skipped: ' "$log" | sort -u | sed 's/^/    /'
    fi
    if [ "$bad" -ne 0 ]; then
        broken+=("$name")
        sed 's/^/    /' "$log" | tail -n 200
    fi
done
[ ${#broken[@]} -eq 0 ] || echo "failed: ${broken[*]} (run one alone: make all tests && BUILD/tests/NAME)"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
