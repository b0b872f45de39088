#!/bin/bash
# lint.sh BUILD FLAGS: all static checks; prints what is wrong and ends with 1 when anything is.
set -u
cd "$(dirname "$0")/.."
build=$1
flags="$2 -I$build/generated"
status=0
step() { # runs a check under its name
    local name=$1
    shift
    echo "lint: $name"
    "$@" || { status=1; echo "lint: $name: failed"; }
}
jobs=$(nproc)
# Kernels that are compiled once for each instruction set are included by files that say which.
mapfile -t sources < <(git ls-files -co --exclude-standard -- '*.c' | grep -v '^linalg/simd/' | while read -r f; do [ -e "$f" ] && echo "$f"; done)

# The analyzers do not know that cmocka's assertions end a test: tests only get the compilers' warnings and the limits.
mapfile -t program < <(printf '%s\n' "${sources[@]}" | grep -v '^tests/')

second_compiler() {
    printf '%s\n' "${sources[@]}" | xargs -P "$jobs" -n 8 clang -fsyntax-only -Werror ${flags//-MMD -MP/}
}
tidy() {
    local log=$build/tidy.log
    printf '%s\n' "${program[@]}" |
        xargs -P "$jobs" -n 4 sh -c 'flags=$1; shift; clang-tidy --quiet --warnings-as-errors="*" "$@" -- $flags' _ \
            "$flags" >"$log" 2>/dev/null
    local result=$?
    grep -E 'error:|warning:' "$log" | sort -u
    return $result
}
cpp_check() {
    cppcheck --quiet --error-exitcode=1 --std=c11 -j "$jobs" -I. -I"$build/generated" --inline-suppr \
        --enable=warning,portability --library=posix -D_GNU_SOURCE -D__x86_64__ -D__clang_analyzer__ \
        --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=internalAstError \
        --suppress=readdirCalled \
        --suppress=invalidFunctionArg --suppress=duplicateAssignExpression "${program[@]}"
}
layout() {
    clang-format --dry-run -Werror --ferror-limit=1 $(git ls-files -co --exclude-standard -- '*.c' '*.h' |
        while read -r f; do [ -e "$f" ] && echo "$f"; done) 2>&1 | grep error: && return 1 || return 0
}

step "include direction" tools/check-includes.sh
step "limits" tools/check-limits.sh
step "layout (make format mends it)" layout
step "clang's warnings" second_compiler
step "cppcheck" cpp_check
step "clang-tidy" tidy
[ $status = 0 ] && echo "lint: nothing found" || echo "lint: failed"
exit $status
