#!/bin/sh
# install.sh BUILD PREFIX: puts the program, its manual, its completion and its data under PREFIX (DESTDIR already in front).
# install.sh --remove PREFIX: takes them away again.
set -eu
cd "$(dirname "$0")/.."
if [ "$1" = --remove ]; then
    prefix=$2
    rm -f "$prefix/bin/bitbench" "$prefix/share/man/man1/bitbench.1" \
        "$prefix/share/bash-completion/completions/bitbench"
    rm -rf "$prefix/share/bitbench"
    exit 0
fi
build=$1 prefix=$2
data=$prefix/share/bitbench
put() { # put MODE FILE FOLDER
    mkdir -p "$3"
    install -m "$1" "$2" "$3/"
}
put 755 "$build/bitbench" "$prefix/bin"
"$build/bitbench" help --man >"$build/bitbench.1"
"$build/bitbench" help --completion bash >"$build/bitbench.bash"
put 644 "$build/bitbench.1" "$prefix/share/man/man1"
mkdir -p "$prefix/share/bash-completion/completions"
install -m 644 "$build/bitbench.bash" "$prefix/share/bash-completion/completions/bitbench"
# What the program looks for at run time, with the folders as they are here: experiments, plots, the embedded model.
for folder in experiments plots model/embedded; do
    find "$folder" -type f | while read -r file; do
        put 644 "$file" "$data/$(dirname "$file")"
    done
done
put 644 results/published.csv "$data/results"
put 644 LICENSE "$data"
