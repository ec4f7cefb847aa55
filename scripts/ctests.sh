#!/usr/bin/env bash
# Compiles and runs every C program of tests/c against the staged package.
#
#   scripts/ctests.sh                 all of them
#   scripts/ctests.sh NAME...         only these (names without .c)
#
# Each program: gcc and clang, as C11 and as C++17, shared and static; the shared gcc C11 build once
# more under valgrind memcheck. Those named *_testclock.c need the clock that tests drive: they are
# built against a library of their own (target/testclock) and its include/reqbus_test.h, shared only.
# A program passes by exit status 0; it is run in the repository root. REQBUS_STAGE is its package.
#
# JOBS sets how many run at once, TIMEOUT the seconds one may take.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

work=$target/ctests
jobs=${JOBS:-$(nproc)}
export LIMIT=${TIMEOUT:-180}
export REQBUS_STAGE=$stage
export LEAKS=definite,indirect,possible
[[ -f $stage/lib/pkgconfig/reqbus.pc ]] || die "no staged package in $stage: run 'make stage'"
rm -rf "$work"
mkdir -p "$work"

names=("$@")
if ((${#names[@]} == 0)); then
    for file in tests/c/*.c; do
        [[ -e $file ]] || die "tests/c holds no C program"
        names+=("$(basename "$file" .c)")
    done
fi

# The library with the test clock, beside the staged one and never installed.
testclock=$target/testclock
for name in "${names[@]}"; do
    [[ $name == *_testclock ]] || continue
    read -ra flags <<<"${CARGO_FLAGS:---locked}"
    CARGO_TARGET_DIR=$testclock cargo build "${flags[@]}" -q -p reqbus-ffi --features test-clock </dev/null
    mkdir -p "$testclock/lib"
    major=$(workspace_version)
    major=${major%%.*}
    cp "$testclock/debug/libreqbus.so" "$testclock/lib/libreqbus.so.$major"
    ln -sf "libreqbus.so.$major" "$testclock/lib/libreqbus.so"
    break
done

# A directory with the archive alone, so that -lreqbus can only mean the static library: what a
# machine without the shared one would do with `pkg-config --static`.
mkdir -p "$work/static-only"
ln -sf "$stage/lib/libreqbus.a" "$work/static-only/libreqbus.a"

read -ra cflags_shared <<<"$(staged_pkg_config --cflags reqbus)"
read -ra libs_shared <<<"$(staged_pkg_config --libs reqbus)"
read -ra libs_static <<<"$(staged_pkg_config --define-variable=libdir="$work/static-only" --static --libs reqbus)"
warnings=(-Wall -Wextra -Werror -g -O1 -pthread)
cflags_testclock=(-I"$root/include" -DREQBUS_TEST_CLOCK)

# One build and one run: JOB = name|compiler|language|link|tool. Prints its line.
# The arrays it needs are passed as files of one word a line.
printf '%s\n' "${warnings[@]}" >"$work/warnings"
printf '%s\n' "${cflags_shared[@]}" >"$work/cflags.shared"
printf '%s\n' "${libs_shared[@]}" >"$work/libs.shared"
cp "$work/cflags.shared" "$work/cflags.static"
printf '%s\n' "${libs_static[@]}" >"$work/libs.static"
printf '%s\n' "${cflags_testclock[@]}" >"$work/cflags.testclock"
printf '%s\n' "-L$testclock/lib" -lreqbus >"$work/libs.testclock"

one() {
    set -uo pipefail
    local name compiler language link tool
    IFS='|' read -r name compiler language link tool <<<"$1"
    local label="$name ($compiler, $language, $link${tool:+, $tool})"
    local program="$WORK/$name.$compiler.$language.$link"
    local log="$WORK/$name.$compiler.$language.$link${tool:+.$tool}.log"
    local driver=$compiler std=(-std=c11) warnings cflags libs
    if [[ $language == c++17 ]]; then
        case $compiler in gcc) driver=g++ ;; clang) driver=clang++ ;; esac
        std=(-std=c++17 -x c++)
    fi
    mapfile -t warnings <"$WORK/warnings"
    mapfile -t cflags <"$WORK/cflags.$link"
    mapfile -t libs <"$WORK/libs.$link"

    if ! "$driver" "${std[@]}" "${warnings[@]}" "${cflags[@]}" "tests/c/$name.c" -x none \
        "${libs[@]}" -o "$program${tool:+.$tool}" >"$log" 2>&1; then
        say_result FAIL "$label: does not compile" "$log"
        return
    fi
    local run=("$program${tool:+.$tool}") limit=$LIMIT
    if [[ $tool == valgrind ]]; then
        limit=$((LIMIT * 5))
        run=(valgrind --quiet --leak-check=full "--errors-for-leak-kinds=$LEAKS"
            "--show-leak-kinds=$LEAKS" --error-exitcode=9 "${run[@]}")
    fi
    local libdir=$REQBUS_STAGE/lib
    [[ $link == testclock ]] && libdir=$TESTCLOCK/lib
    local status=0
    LD_LIBRARY_PATH=$libdir timeout -k 5 "$limit" "${run[@]}" </dev/null >>"$log" 2>&1 || status=$?
    case $status in
        0) say_result ok "$label" ;;
        9) if [[ -n $tool ]]; then
            say_result FAIL "$label: memcheck found an error or a leak" "$log"
        else
            say_result FAIL "$label: exit status 9" "$log"
        fi ;;
        124 | 137) say_result FAIL "$label: still running after $limit s" "$log" ;;
        *) say_result FAIL "$label: exit status $status" "$log" ;;
    esac
}

# One write per result, so that lines of jobs that run at once stay whole.
say_result() {
    local text
    text=$(printf '%-4s %s' "$1" "$2")
    [[ -n ${3:-} ]] && text+=$'\n'$(tail -n 40 "$3" | sed 's/^/     | /')
    printf '%s\n' "$text"
}

list_jobs() {
    local name compiler language link
    for name in "${names[@]}"; do
        if [[ $name == *_testclock ]]; then
            for compiler in gcc clang; do
                for language in c11 c++17; do printf '%s|%s|%s|testclock|\n' "$name" "$compiler" "$language"; done
            done
            printf '%s|gcc|c11|testclock|valgrind\n' "$name"
            continue
        fi
        for compiler in gcc clang; do
            for language in c11 c++17; do
                for link in shared static; do printf '%s|%s|%s|%s|\n' "$name" "$compiler" "$language" "$link"; done
            done
        done
        printf '%s|gcc|c11|shared|valgrind\n' "$name"
    done
}

export WORK=$work TESTCLOCK=$testclock
export -f one say_result
list_jobs >"$work/jobs"
# shellcheck disable=SC2016 # $1 is the inner shell's
# xargs: one job per line; blanks and quotes have no meaning in it.
xargs -d '\n' -P "$jobs" -I '{}' bash -c 'one "$1"' one '{}' <"$work/jobs" | tee "$work/results" || true

passed=$(grep -c '^ok ' "$work/results" || true)
failed=$(($(wc -l <"$work/jobs") - passed))
say "$passed passed, $failed failed"
((failed == 0 && passed > 0))
