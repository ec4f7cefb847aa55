#!/usr/bin/env bash
# Compiles every ```c block of README.md and docs/*.md against the staged package.
#
# A block with a main() is a program: it is compiled alone, run, and must exit with 0. Any other is a
# fragment: it is compiled inside a function that has `bus`, `sub`, `batch`, `bell` and `pool`, and not run.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

work=$target/snippets
rm -rf "$work"
mkdir -p "$work"
read -ra flags <<<"$(staged_pkg_config --cflags --libs reqbus)"
export LD_LIBRARY_PATH=$stage/lib

# Writes README.md:12 as README.md-12.txt, the line being that of the opening fence.
for file in README.md docs/*.md; do
    awk -v out="$work/${file//\//_}-" '
        !inside && /^```c[[:space:]]*$/ { inside = 1; name = out NR ".txt"; printf "" >name; next }
        inside && /^```[[:space:]]*$/   { inside = 0; close(name); next }
        inside                          { print >name }
        END { if (inside) exit 1 }' "$file" || die "$file: a \`\`\`c block is not closed"
done

passed=0
failed=0
for text in "$work"/*.txt; do
    [[ -e $text ]] || die "no \`\`\`c block in README.md or docs/"
    name=$(basename "$text" .txt)
    name=${name/docs_/docs/}
    name=${name%-*}:${name##*-}
    source=${text%.txt}.c
    program=${text%.txt}
    if grep -Eq '(^|[^a-z_])main *\(' "$text"; then
        cp "$text" "$source"
        relax=()
    else
        {
            printf '#include <reqbus.h>\n#include <inttypes.h>\n#include <poll.h>\n#include <stdio.h>\n#include <string.h>\n'
            parameters='reqbus_bus *bus, reqbus_subscription *sub, reqbus_batch *batch, reqbus_bell *bell, reqbus_pool *pool'
            printf 'void fragment(%s);\nvoid fragment(%s) {\n' "$parameters" "$parameters"
            printf '(void)bus; (void)sub; (void)batch; (void)bell; (void)pool;\n#line 1 "%s"\n' "$name"
            cat "$text"
            printf '\n}\nint main(void) { return 0; }\n'
        } >"$source"
        relax=(-Wno-unused-variable -Wno-unused-but-set-variable)
    fi
    log=${text%.txt}.log
    if "${CC:-gcc}" -std=c11 -Wall -Wextra -Werror "${relax[@]}" -pthread "$source" "${flags[@]}" -o "$program" >"$log" 2>&1 &&
        timeout 60 "$program" </dev/null >>"$log" 2>&1; then
        say "ok   $name"
        passed=$((passed + 1))
    else
        say "FAIL $name"
        tail -n 30 "$log" | sed 's/^/     | /'
        failed=$((failed + 1))
    fi
done
say "$passed passed, $failed failed"
((failed == 0))
