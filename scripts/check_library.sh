#!/usr/bin/env bash
# Holds the staged library to what its users rely on: exported symbols, soname, no unloading, no
# search path, a header that includes cleanly, versions that agree everywhere.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

version=$(workspace_version)
major=${version%%.*}
so=$stage/lib/libreqbus.so.$version
[[ -f $so ]] || die "no $so: run 'make stage'"
work=$target/check-library
rm -rf "$work"
mkdir -p "$work"

failures=0
ok() { say "ok   $1"; }
bad() {
    say "FAIL $1"
    [[ -z ${2:-} ]] || printf '     | %s\n' "${2//$'\n'/$'\n     | '}"
    failures=$((failures + 1))
}

# Exported symbols.
nm -D --defined-only "$so" | awk '{ print $NF }' | sed 's/@.*//' | sort -u >"$work/exported"
foreign=$(grep -v '^reqbus_' "$work/exported" || true)
if [[ -z $foreign ]]; then ok "only reqbus_* is exported ($(wc -l <"$work/exported") symbols)"; else bad "exported, and not reqbus_*:" "$foreign"; fi
for_tests='(^reqbus_test_|_test_|test_?clock|clock_driver)'
testing=$(grep -E "$for_tests" "$work/exported" || true)
if [[ -z $testing ]]; then ok "nothing for tests is exported"; else bad "exported, and only for tests:" "$testing"; fi

# What the header declares is what the library exports.
"${CC:-gcc}" -std=c11 -E -P -I"$stage/include" -x c - <<<'#include <reqbus.h>' |
    tr '\n' ' ' | grep -oE '\breqbus_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u >"$work/declared.all"
comm -12 "$work/declared.all" "$work/exported" >"$work/declared"
undeclared=$(comm -13 "$work/declared" "$work/exported")
missing=$(comm -23 "$work/declared.all" "$work/exported")
if [[ -z $undeclared ]]; then ok "every exported function is in reqbus.h"; else bad "exported, but not in reqbus.h:" "$undeclared"; fi
if [[ -z $missing ]]; then ok "every function of reqbus.h is exported"; else bad "in reqbus.h, but not exported:" "$missing"; fi

# The archive: its objects also hold names of Rust's own, which no C name can meet; of reqbus_* the same as the shared one.
nm -g --defined-only "$stage/lib/libreqbus.a" 2>/dev/null | awk 'NF == 3 { print $3 }' | grep '^reqbus_' | sort -u >"$work/archived" || true
testing=$(grep -E "$for_tests" "$work/archived" || true)
if [[ -z $testing ]]; then ok "nothing for tests is in libreqbus.a"; else bad "in libreqbus.a, and only for tests:" "$testing"; fi
foreign=$(comm -13 "$work/declared.all" "$work/archived")
missing=$(comm -23 "$work/declared.all" "$work/archived")
if [[ -z $foreign && -z $missing ]]; then ok "libreqbus.a defines the functions of reqbus.h and no other reqbus_*"; fi
[[ -z $foreign ]] || bad "defined in libreqbus.a, but not in reqbus.h:" "$foreign"
[[ -z $missing ]] || bad "in reqbus.h, but not defined in libreqbus.a:" "$missing"

# Each part of the ABI is there at all: a header that lost a part would agree with a library that lost it too.
for part in bus subscription batch bell pool slot wait holders backoff; do
    count=$(grep -c "^reqbus_${part}_" "$work/declared" || true)
    if ((count >= 3)); then ok "reqbus_${part}_*: $count functions"; else bad "reqbus_${part}_*: $count functions"; fi
done

# Nothing that is installed speaks of tests.
files=$(find "$stage" -name '*test*'; grep -lE 'reqbus_test_' "$stage/include/reqbus.h" || true)
if [[ -z $files ]]; then ok "nothing for tests is installed"; else bad "installed, and only for tests:" "$files"; fi

# The dynamic section.
readelf -dW "$so" >"$work/dynamic"
soname=$(sed -n 's/.*(SONAME).*\[\(.*\)\].*/\1/p' "$work/dynamic")
if [[ $soname == "libreqbus.so.$major" ]]; then ok "soname is $soname"; else bad "soname is '$soname', not libreqbus.so.$major"; fi
if grep -q 'FLAGS_1.*NODELETE' "$work/dynamic"; then ok "dlclose leaves it in place (NODELETE)"; else bad "NODELETE is not set: dlclose would unload code that threads may be in"; fi
if grep -Eq '\((RPATH|RUNPATH)\)' "$work/dynamic"; then bad "it carries a search path" "$(grep -E 'RPATH|RUNPATH' "$work/dynamic")"; else ok "no RPATH, no RUNPATH"; fi
foreign=$(sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' "$work/dynamic" |
    grep -vE '^(libc|libm|libgcc_s|libpthread|libdl|librt|ld-linux[^ ]*)\.so' || true)
if [[ -z $foreign ]]; then ok "it needs nothing but the C library and libgcc_s"; else bad "it needs more than the C library:" "$foreign"; fi
if readelf -lW "$so" | grep -Eq 'GNU_STACK.*RWE'; then bad "its stack is executable"; else ok "its stack is not executable"; fi

# Links of the installed tree.
if [[ $(readlink "$stage/lib/libreqbus.so.$major") == "libreqbus.so.$version" &&
    $(readlink -f "$stage/lib/libreqbus.so") == "$(readlink -f "$so")" ]]; then
    ok "libreqbus.so and libreqbus.so.$major lead to libreqbus.so.$version"
else bad "the links in $stage/lib do not lead to libreqbus.so.$version"; fi

# The header: twice in one unit, alone, in each language, without a warning.
printf '#include <reqbus.h>\n#include <reqbus.h>\nint main(void) { return 0; }\n' >"$work/twice.c"
for how in 'gcc -std=c99' 'gcc -std=c11' 'g++ -std=c++11 -x c++' 'g++ -std=c++17 -x c++' \
    'clang -std=c11' 'clang++ -std=c++17 -x c++'; do
    read -ra compile <<<"$how"
    if ! have "${compile[0]}"; then
        bad "${compile[0]} is not here: run 'make setup'"
    elif text=$("${compile[@]}" -Wall -Wextra -Wpedantic -Werror -I"$stage/include" -fsyntax-only "$work/twice.c" 2>&1); then
        ok "reqbus.h includes twice (${how% -x c++})"
    else bad "reqbus.h does not compile (${how% -x c++}):" "$text"; fi
done

# Version macros, as values, against Cargo.toml and against the library.
cat >"$work/version.c" <<'C'
#include <reqbus.h>
#include <stdio.h>
int main(void) {
    printf("%d.%d.%d %s %s %ld %ld %ld\n", (int)REQBUS_VERSION_MAJOR, (int)REQBUS_VERSION_MINOR,
           (int)REQBUS_VERSION_PATCH, REQBUS_VERSION_STRING, reqbus_version(), (long)REQBUS_VERSION,
           (long)REQBUS_ABI_VERSION, (long)reqbus_abi_version());
    return 0;
}
C
if text=$(gcc -std=c11 -I"$stage/include" "$work/version.c" -L"$stage/lib" -lreqbus -o "$work/version" 2>&1); then
    LD_LIBRARY_PATH=$stage/lib "$work/version" >"$work/versions"
    read -r parts macro called number abi_macro abi_called <"$work/versions"
    if [[ $parts == "$version" && $macro == "$version" && $called == "$version" ]]; then
        ok "macros, reqbus_version() and Cargo.toml say $version"
    else bad "Cargo.toml says $version; REQBUS_VERSION_MAJOR.MINOR.PATCH $parts, REQBUS_VERSION_STRING $macro, reqbus_version() $called"; fi
    if [[ $abi_macro == "$abi_called" && $soname == "libreqbus.so.$abi_called" ]]; then
        ok "REQBUS_ABI_VERSION, reqbus_abi_version() and the soname say $abi_called"
    else bad "REQBUS_ABI_VERSION is $abi_macro, reqbus_abi_version() $abi_called, the soname $soname"; fi
    IFS=. read -r a b c <<<"$version"
    want=$((a * 1000000 + b * 1000 + c))
    if ((number == want)); then ok "REQBUS_VERSION is $number"; else bad "REQBUS_VERSION is $number; MAJOR * 1000000 + MINOR * 1000 + PATCH is $want"; fi
    package=$(staged_pkg_config --modversion reqbus)
    if [[ $package == "$version" ]]; then ok "pkg-config says $version"; else bad "pkg-config says $package, Cargo.toml $version"; fi
else bad "the version macros or functions are not all there:" "$text"; fi

((failures == 0)) || die "$failures failed"
