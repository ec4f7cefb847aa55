#!/usr/bin/env bash
# Installs header, libraries, pkg-config file and CMake package; run by `make install`.
#
#   PREFIX      where they will be used from          (default /usr/local)
#   LIBDIR      libraries                             (default PREFIX/lib)
#   INCLUDEDIR  the header                            (default PREFIX/include)
#   DESTDIR     put before every path while copying   (default empty)
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-$prefix/lib}
includedir=${INCLUDEDIR:-$prefix/include}
destdir=${DESTDIR:-}
for dir in "$prefix" "$libdir" "$includedir"; do
    [[ $dir == /* ]] || die "'$dir' is not an absolute path: PREFIX, LIBDIR and INCLUDEDIR are written into reqbus.pc"
    case $dir in *[[:space:]\|\&\\]*) die "'$dir' holds a blank or one of | & \\, which reqbus.pc cannot carry" ;; esac
done

version=$(workspace_version)
[[ $version =~ ^([0-9]+)\.([0-9]+)\.([0-9]+)$ ]] || die "Cargo.toml's version '$version' is not MAJOR.MINOR.PATCH"
major=${BASH_REMATCH[1]}
minor=${BASH_REMATCH[2]}
native=$(cat "$target/native-static-libs.txt") || die "nothing is built yet: run 'make build'"

# fill TEMPLATE TO: replaces @NAME@ by its value.
fill() {
    local relative cmake_libs from_prefix_lib from_prefix_include
    # Under the prefix if they are, so that `pkg-config --define-prefix` can move the tree.
    # shellcheck disable=SC2016 # ${prefix} is pkg-config's
    from_prefix_lib=${libdir/#"$prefix"\//'${prefix}/'} from_prefix_include=${includedir/#"$prefix"\//'${prefix}/'}
    relative=$(realpath -m --relative-to="$libdir/cmake/reqbus" "$includedir")
    # CMake wants names; it keeps an item that begins with any other flag.
    cmake_libs=$(tr ' ' '\n' <<<"$native" | sed 's/^-l//' | paste -sd';')
    sed -e "s|@VERSION@|$version|g" -e "s|@MAJOR@|$major|g" -e "s|@MINOR@|$minor|g" \
        -e "s|@PREFIX@|$prefix|g" \
        -e "s|@LIBDIR@|$from_prefix_lib|g" -e "s|@INCLUDEDIR@|$from_prefix_include|g" \
        -e "s|@NATIVE_STATIC_LIBS@|$native|g" -e "s|@CMAKE_STATIC_LIBS@|$cmake_libs|g" \
        -e "s|@INCLUDE_FROM_CMAKE@|$relative|g" "$1" >"$2"
    if grep -n '@[A-Z_]*@' "$2"; then die "$1 has a name that install.sh does not fill"; fi
}

lib=$destdir$libdir
install -d "$destdir$includedir" "$lib/pkgconfig" "$lib/cmake/reqbus"
install -m 644 "$root/include/reqbus.h" "$destdir$includedir/reqbus.h"
install -m 644 "$target/release/libreqbus.a" "$lib/libreqbus.a"
install -m 755 "$target/release/libreqbus.so" "$lib/libreqbus.so.$version"
ln -sf "libreqbus.so.$version" "$lib/libreqbus.so.$major"
ln -sf "libreqbus.so.$major" "$lib/libreqbus.so"
fill "$root/dist/reqbus.pc.in" "$lib/pkgconfig/reqbus.pc"
fill "$root/dist/reqbus-static.pc.in" "$lib/pkgconfig/reqbus-static.pc"
fill "$root/dist/reqbusConfig.cmake.in" "$lib/cmake/reqbus/reqbusConfig.cmake"
fill "$root/dist/reqbusConfigVersion.cmake.in" "$lib/cmake/reqbus/reqbusConfigVersion.cmake"
say "installed reqbus $version in $destdir$prefix"
