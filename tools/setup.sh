#!/bin/sh
# Sets the machine up: installs the Debian packages that bitbench needs and does nothing when they are all there.
#
#   tools/setup.sh             what building, running and testing need
#   tools/setup.sh lint        that, and what `make lint` and `make format` need
#   tools/setup.sh --list      prints the list: group, package, what it is for
#   tools/setup.sh --missing [lint]   prints the packages that are not installed, and changes nothing
#
# Packages are installed as root, else through sudo, else one line says what to install. Nothing else is downloaded.
set -eu
cd "$(dirname "$0")/.."

# group | package | what it is for
packages() {
    cat <<'LIST'
build | gcc                | compiler
build | libc6-dev          | headers of the C library
build | make               | build rules
build | libopenblas-dev    | matrix products
build | libopenblas-pthread-dev | the variant of OpenBLAS that the kernels are measured with
build | liblapacke-dev     | Cholesky and singular value decompositions
build | libsqlite3-dev     | the database of results
build | libyaml-dev        | experiment files
build | libjansson-dev     | JSON: model configurations, tokenizers, stored options
build | libpcre2-dev       | the tokenizers' Unicode patterns
build | libutf8proc-dev    | Unicode normalization, as some tokenizers have it
build | nettle-dev         | SHA-256
build | zlib1g-dev         | compressed dictionaries
test  | libcmocka-dev      | unit tests
run   | gnuplot-nox        | plots
run   | fonts-dejavu-core  | the letters in PNG and PDF plots
run   | bible-kjv          | the program that prints the corpus kjv
run   | bible-kjv-text     | corpus kjv: the King James Bible
run   | wordnet-base       | corpus wordnet: glosses and examples
run   | perl-doc           | corpus perldoc: technical prose
run   | dict-gcide         | training text: a dictionary's definitions
run   | dict-foldoc        | training text: a dictionary of computing
lint  | cppcheck           | static checks
lint  | clang              | a second compiler's warnings
lint  | clang-tidy         | static checks
lint  | clang-format       | the layout of the code
LIST
}

wanted() { # the packages of the groups in $1, separated by spaces
    packages | while IFS='|' read -r group package _; do
        case " $1 " in *" ${group%% *} "*) echo $package ;; esac
    done
}

missing() { # those of the groups in $1 that are not installed
    for package in $(wanted "$1"); do
        case "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" in
        installed) ;;
        *) echo "$package" ;;
        esac
    done
}

missing_quick() { # the same with one call when nothing is missing, which is nearly always
    list=$(wanted "$1")
    count=$(echo $list | wc -w)
    there=$(dpkg-query -W -f='${db:Status-Status}\n' $list 2>/dev/null | grep -c '^installed$' || true)
    [ "$there" -ge "$count" ] || missing "$1"
}

install_missing() { # installs $1, or says in one line how to
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        as_root=sudo
    else
        echo "setup: missing Debian packages, please install them: apt-get install" $1 >&2
        exit 1
    fi
    echo "setup: installing" $1
    log=build/setup/apt.log
    # apt-get update only when the lists that are there do not do: it needs the network and takes a while.
    if ! apt_install "$1" >$log 2>&1; then
        if ! $as_root apt-get -q update >>$log 2>&1 || ! apt_install "$1" >>$log 2>&1; then
            tail -n 15 $log >&2
            echo "setup: apt-get failed (all of it in $log); please install by hand: apt-get install" $1 >&2
            exit 1
        fi
    fi
}

apt_install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $1 </dev/null
}

groups="build test run"
action=install
for word in "$@"; do
    case "$word" in
    lint) groups="$groups lint" ;;
    --list) packages && exit 0 ;;
    --missing) action=print ;;
    *) echo "setup: '$word' is neither 'lint' nor '--list' nor '--missing'" >&2 && exit 2 ;;
    esac
done
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "setup: this is not a Debian system; what must be there is listed by tools/setup.sh --list" >&2
    exit 0
fi
if [ $action = print ]; then
    missing_quick "$groups"
    exit 0
fi

# The stamp holds the list and dpkg's state file's age: when neither changed, there is nothing to look at.
mkdir -p build/setup
stamp=build/setup/$(echo $groups | tr ' ' '-')
state=$(packages | cksum; stat -c %Y /var/lib/dpkg/status)
[ "$(cat "$stamp" 2>/dev/null || true)" = "$state" ] && exit 0
absent=$(missing_quick "$groups")
[ -z "$absent" ] || install_missing "$absent"
absent=$(missing "$groups")
if [ -n "$absent" ]; then
    echo "setup: still missing after the installation:" $absent >&2
    exit 1
fi
{ packages | cksum; stat -c %Y /var/lib/dpkg/status; } >"$stamp"
