#!/bin/sh
# Checks the limits of the code: 100 columns, functions of 80 lines, files of 400 (tests 600), calls that are not used here,
# file names that are there once.
set -eu
cd "$(dirname "$0")/.."
status=0
sources=$(git ls-files -co --exclude-standard -- '*.c' '*.h' | while read -r file; do [ -e "$file" ] && echo "$file"; done)

awk '
    function complain(line, text) { printf "%s:%d: %s\n", FILENAME, line, text; bad = 1 }
    # The line without comments, strings and character constants.
    function bare(line,   out, at, c, quote) {
        out = ""
        quote = ""
        for (at = 1; at <= length(line); at++) {
            c = substr(line, at, 1)
            if (comment) {
                if (substr(line, at, 2) == "*/") { comment = 0; at++ }
            } else if (quote != "") {
                if (c == "\\") at++
                else if (c == quote) quote = ""
            } else if (substr(line, at, 2) == "/*") { comment = 1; at++ }
            else if (substr(line, at, 2) == "//") break
            else if (c == "\"" || c == "'\''") quote = c
            else out = out c
        }
        return out
    }
    FNR == 1 { comment = 0; begin = 0; lines = 0 }
    { code = bare($0) }
    length($0) > 100 { complain(FNR, "the line has " length($0) " columns, the limit is 100") }
    /^{/ { begin = FNR }
    /^}/ && begin {
        if (FNR - begin - 1 > 80) complain(begin, "the function has " (FNR - begin - 1) " lines, the limit is 80")
        begin = 0
    }
    FNR == (FILENAME ~ /^tests\// ? 601 : 401) { complain(FNR, "the file is too long: " (FNR - 1) " lines are the limit") }
    match(code, /(^|[^a-zA-Z0-9_>.])(strcpy|strncpy|strcat|strncat|sprintf|vsprintf|gets|atoi|atol|atof|strtok|rand|srand|alloca)[ ]*\(/) {
        complain(FNR, "a call that is not used here:" substr(code, RSTART, RLENGTH) "; CONTRIBUTING.md says what instead")
    }
    FILENAME !~ /^(core\/mem\.c$|tests\/)/ && match(code, /(^|[^a-zA-Z0-9_>.])(malloc|calloc|realloc|aligned_alloc|strdup|strndup|asprintf)[ ]*\(/) {
        complain(FNR, "memory comes from core/mem.h or core/arena.h:" substr(code, RSTART, RLENGTH))
    }
    FILENAME !~ /^tests\// && match(code, /(^|[^a-zA-Z0-9_>.])system[ ]*\(/) {
        complain(FNR, "no shell: posix_spawn starts programs")
    }
    FILENAME !~ /^(harness\/main\.c$|tests\/)/ && match(code, /(^|[^a-zA-Z0-9_>.])(exit|abort)[ ]*\(/) {
        complain(FNR, "only harness/main.c ends the program")
    }
    /[ \t]$/ { complain(FNR, "blanks at the end of the line") }
    /\t/ { complain(FNR, "a tab") }
    END { exit bad }' $sources || status=1

twice=$(git ls-files -- '*.c' '*.h' '*.def' '*.sh' '*.sql' '*.gp' '*.md' | sed 's|.*/||' | grep -v '^README.md$' | sort | uniq -d)
if [ -n "$twice" ]; then
    echo "file names that are there more than once:" $twice
    status=1
fi
exit $status
