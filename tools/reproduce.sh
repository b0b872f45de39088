#!/bin/sh
# reproduce.sh BITBENCH [ARGUMENT ...]: runs the four sweeps on the embedded model, then writes a page for each with
# results/index.html, and the plots. What is done already is not computed again: stopped or killed, it goes on with the same
# command. Arguments are given to each `bitbench run` (--set model=PATH, --jobs 2, ...). DATABASE=FILE and FOLDER=FOLDER
# name other places than results/bitbench.db and results.
set -u
bitbench=$1
shift
database=${DATABASE:-results/bitbench.db}
folder=${FOLDER:-results}
sweeps="sweep-salient-fraction sweep-block-size sweep-calibration sweep-bits"
begin=$(date +%s)
status=0

since() { # "1 h 02 min", or minutes and seconds
    seconds=$(($(date +%s) - begin))
    if [ $seconds -ge 3600 ]; then
        printf '%d h %02d min' $((seconds / 3600)) $((seconds % 3600 / 60))
    else
        printf '%d min %02d s' $((seconds / 60)) $((seconds % 60))
    fi
}

number=0
for sweep in $sweeps; do
    number=$((number + 1))
    echo "== $number of 4: $sweep ($(since) so far)"
    "$bitbench" run "experiments/$sweep.yaml" --database "$database" --table=false "$@"
    case $? in
    0) ;;
    130)
        echo "stopped after $(since); the same command goes on from here" >&2
        exit 130
        ;;
    2) exit 2 ;;
    *) # points that failed are stored with their error, and the report tells them
        echo "$sweep: some of it failed; going on" >&2
        status=1
        ;;
    esac
done
echo "== plots"
for sweep in $sweeps; do
    "$bitbench" plot --experiment "$sweep" --database "$database" --out "$folder/plots" --quiet || status=1
done
echo "== reports"
"$bitbench" report $sweeps --database "$database" --out "$folder" || exit 1
echo "done in $(since): open $folder/index.html"
exit $status
