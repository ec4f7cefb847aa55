#!/usr/bin/env bash
# The installed package serves a clean consumer: by CMake (shared and static) and by pkg-config, from
# a tree of another layout that was staged by DESTDIR and moved; a version that does not fit is refused.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

version=$(workspace_version)
work=$target/check-packages
rm -rf "$work"
mkdir -p "$work/consumer"

cat >"$work/consumer/main.c" <<'C'
#include <reqbus.h>
#include <stdio.h>
int main(void) {
    puts(reqbus_version());
    return 0;
}
C
cat >"$work/consumer/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.13)
project(consumer C)
find_package(reqbus ${WANT} REQUIRED)
add_executable(shared main.c)
target_link_libraries(shared PRIVATE reqbus::reqbus)
add_executable(static main.c)
target_link_libraries(static PRIVATE reqbus::static)
CMAKE

run_cmake() { # PREFIX BUILD WANT
    cmake -S "$work/consumer" -B "$2" -DCMAKE_PREFIX_PATH="$1" -DWANT="$3" -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF >"$2.log" 2>&1 &&
        cmake --build "$2" >>"$2.log" 2>&1
}
built_runs() { # BUILD
    local of
    for of in shared static; do
        [[ $("$1/$of") == "$version" ]] || return 1
    done
    # The static one must not need the shared library.
    ! readelf -d "$1/static" | grep -q libreqbus
}
fail() {
    [[ -z ${2:-} ]] || tail -n 30 "$2" >&2
    die "$1"
}

run_cmake "$stage" "$work/cmake" "$version" || fail "the CMake package does not serve a consumer" "$work/cmake.log"
built_runs "$work/cmake" || fail "a program built by the CMake package does not run"
say "ok   CMake: reqbus::reqbus and reqbus::static"

if run_cmake "$stage" "$work/newer" "$((${version%%.*} + 1)).0"; then fail "CMake accepted a request for the next major version"; fi
say "ok   CMake: the next major version is refused"

# A distribution's layout, staged by DESTDIR, then moved to a prefix of its own.
PREFIX=/usr LIBDIR=/usr/lib/some-triple DESTDIR=$work/dest scripts/install.sh >/dev/null
[[ ! -e $work/dest$work ]] || fail "DESTDIR leaked into the tree"
if grep -rn --include='*.pc' --include='*.cmake' -F "$work" "$work/dest"; then fail "an installed file names DESTDIR"; fi
mv "$work/dest/usr" "$work/moved"
run_cmake "$work/moved/lib/some-triple/cmake" "$work/cmake-moved" "" || fail "the CMake package does not survive a move" "$work/cmake-moved.log"
built_runs "$work/cmake-moved" || fail "a program built from a moved tree does not run"
say "ok   CMake: a tree of another layout, moved"

read -ra flags <<<"$(PKG_CONFIG_PATH=$work/moved/lib/some-triple/pkgconfig pkg-config \
    --define-variable=prefix="$work/moved" --cflags --libs reqbus)"
gcc "$work/consumer/main.c" "${flags[@]}" -o "$work/by-pkg-config"
[[ $(LD_LIBRARY_PATH=$work/moved/lib/some-triple "$work/by-pkg-config") == "$version" ]] || fail "a program built by pkg-config does not run"
say "ok   pkg-config: a tree of another layout, moved"

for bad in relative "/with blank"; do
    if PREFIX=$bad DESTDIR=$work/none scripts/install.sh >/dev/null 2>&1; then fail "install accepted PREFIX='$bad'"; fi
done
say "ok   install: a PREFIX that reqbus.pc cannot carry is refused"
