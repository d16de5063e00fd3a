# tests/packages.sh - sourced by tests/run, tests/demo and others: what they need of the machine.
# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034

# Debian's Python modules belong to Debian's Python, which need not be the first one on PATH.
find_python() { if [ -x /usr/bin/python3 ]; then PYTHON=/usr/bin/python3; else PYTHON=python3; fi; }
find_python

# has PACKAGE - whether what the package brings is here, from wherever it came.
has() {
    case $1 in
        git | g++ | cmake | meson | pkg-config | python3 | curl | openssl | sqlite3) command -v "$1" ;;
        clang) command -v clang++ ;;
        valgrind) command -v valgrind ;;
        nodejs) command -v node ;;
        npm) command -v npm ;;
        libjwt-dev) has_header jwt.h ;;
        libcjose-dev) has_header cjose/cjose.h ;;
        liburiparser-dev) has_header uriparser/Uri.h ;;
        libboost-url1.81-dev) has_header boost/url.hpp && [ -n "$(find /usr/lib /usr/local/lib -name 'libboost_url.*')" ] ;;
        nlohmann-json3-dev) has_header nlohmann/json.hpp ;;
        clang-tidy) command -v clang-tidy ;;
        cppcheck) command -v cppcheck ;;
        llvm) command -v llvm-profdata && command -v llvm-cov ;;
        ninja-build) command -v ninja ;;
        libssl-dev) has_header openssl/evp.h ;;
        picojson-dev) has_header picojson.h || has_header picojson/picojson.h ;;
        doctest-dev) has_header doctest/doctest.h ;;
        libcpp-httplib-dev) has_header httplib.h ;;
        libsqlite3-dev) has_header sqlite3.h ;;
        libpq-dev) pkg-config --exists libpq ;;
        libhiredis-dev) pkg-config --exists hiredis ;;
        postgresql) ls /usr/lib/postgresql/*/bin/postgres || command -v postgres ;;
        redis-server) command -v redis-server ;;
        pgbouncer) command -v pgbouncer || [ -x /usr/sbin/pgbouncer ] ;;
        libboost1.81-dev) has_header boost/asio/awaitable.hpp && has_header boost/url.hpp ;; # url came with 1.81
        librestinio-dev) has_header restinio/version.hpp ;;
        libasio-dev) has_header asio.hpp ;;
        libpoco-dev) has_header Poco/Net/HTTPServer.h ;;
        libpistache-dev) has_header pistache/version.h ;;
        libfcgi-dev) has_header fcgiapp.h ;;
        libc++-dev | libc++abi-dev) echo 'int main() {}' | clang++ -stdlib=libc++ -include string -x c++ - -o /dev/null ;;
        locales) command -v localedef && [ -f /usr/share/i18n/locales/de_DE ] ;;
        nginx-light) command -v nginx || [ -x /usr/sbin/nginx ] ;;
        libclang-rt-dev) echo 'int main() {}' | clang++ -fsanitize=address -x c++ - -o /dev/null ;;
        python3-*) "$PYTHON" -c "import $(tr - _ <<<"${1#python3-}")" ;;
        *) false ;;
    esac >/dev/null 2>&1
}

has_header() { echo "#include <$1>" | "${CXX:-g++}" -E -x c++ - >/dev/null 2>&1; }

# need PACKAGE... - installs what is missing, or says what is and ends the script.
need() {
    local package missing=() sudo=()
    for package; do has "$package" || missing+=("$package"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || sudo=(sudo -n)
    if ! command -v apt-get >/dev/null || ! "${sudo[@]}" true 2>/dev/null; then
        echo "missing, by the names of their Debian packages: ${missing[*]}" >&2
        exit 1
    fi
    echo "installing ${missing[*]}"
    # An old package list names files that are gone, hence the update.
    if ! { "${sudo[@]}" apt-get update -qq &&
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null; then
        echo "could not install: ${missing[*]}" >&2
        exit 1
    fi
    find_python
}
