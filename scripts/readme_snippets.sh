#!/usr/bin/env bash
# Compiles every ```c and ```go block of README.md and docs/*.md against the staged package.
#
# C: a block with a main() is a program: it is compiled alone, run, and must exit with 0. Any other is a
# fragment: it is compiled inside a function that has `bus`, `sub`, `batch`, `bell` and `pool`, and not run.
# Go: a block with declarations must stand in examples/go, which is compiled and tested there. Any other is a
# fragment: it is compiled inside a function that has `ctx`, `bus`, `sub`, `pool`, `mux`, `w` and `r`, and not run.
# Python: see bindings/python/tests/check_snippets.py.
# JavaScript: every block is run, by import and by require.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

work=$target/snippets
rm -rf "$work"
mkdir -p "$work"
read -ra flags <<<"$(staged_pkg_config --cflags --libs reqbus)"
export LD_LIBRARY_PATH=$stage/lib

# Writes README.md:12 as README.md-12.txt, the line being that of the opening fence; Go's as .go.txt.
for file in README.md docs/*.md; do
    awk -v out="$work/${file//\//_}-" '
        !inside && /^```(c|go)[[:space:]]*$/ { inside = 1; name = out NR (/go/ ? ".go.txt" : ".txt"); printf "" >name; next }
        inside && /^```[[:space:]]*$/        { inside = 0; close(name); next }
        inside                               { print >name }
        END { if (inside) exit 1 }' "$file" || die "$file: a block is not closed"
done

passed=0
failed=0

# said NAME LOG COMMAND...: runs it and counts what came of it.
said() {
    local name=$1 log=$2
    shift 2
    if "$@" >"$log" 2>&1; then
        say "ok   $name"
        passed=$((passed + 1))
    else
        say "FAIL $name"
        tail -n 30 "$log" | sed 's/^/     | /'
        failed=$((failed + 1))
    fi
}

# where TEXT: README.md:12 of its file's name.
where() {
    local name
    name=$(basename "${1%%.txt}" .go)
    name=${name/docs_/docs/}
    printf '%s:%s' "${name%-*}" "${name##*-}"
}

# Go: one module, a package for each fragment.
module=$work/go
mkdir -p "$module"
sed "s|=> ../../bindings/go|=> $root/bindings/go|" examples/go/go.mod >"$module/go.mod"
cp examples/go/go.sum "$module/"
go_block() {
    local text=$1 name=$2 package
    if grep -qE '^(func|type|package) ' "$text"; then
        python3 -c 'import sys; sys.exit(open(sys.argv[1]).read() not in open(sys.argv[2]).read())' "$text" examples/go/main.go && return
        echo "it has declarations, and does not stand in examples/go/main.go"
        return 1
    fi
    package=$module/$(basename "${text%.go.txt}" | tr -c 'a-zA-Z0-9\n' _)
    mkdir -p "$package"
    {
        printf 'package fragment\n\nimport (\n'
        printf '\t"%s"\n' context errors fmt log net/http time
        printf '\n\treqbus "github.com/reqbus/reqbus/bindings/go"\n\t"github.com/reqbus/reqbus/bindings/go/dropin"\n)\n\n'
        printf 'var _, _, _, _, _ = errors.New, fmt.Println, log.Println, time.Now, dropin.NewBroker\n\n'
        printf 'func fragment(ctx context.Context, bus *reqbus.Bus, sub *reqbus.Subscription, pool *reqbus.Pool,\n'
        printf '\tmux *http.ServeMux, w http.ResponseWriter, r *http.Request) {\n//line %s:1\n' "$name"
        cat "$text"
        printf '}\n'
    } >"$package/fragment.go"
    (cd "$package" && PKG_CONFIG_PATH=$stage/lib/pkgconfig go vet .)
}
for text in "$work"/*.go.txt; do
    [[ -e $text ]] || die "no \`\`\`go block in README.md or docs/"
    said "$(where "$text")" "${text%.txt}.log" go_block "$text" "$(where "$text")"
    mv "$text" "$module/"
done

for text in "$work"/*.txt; do
    [[ -e $text ]] || die "no \`\`\`c block in README.md or docs/"
    name=$(where "$text")
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
    compile() {
        "${CC:-gcc}" -std=c11 -Wall -Wextra -Werror "${relax[@]}" -pthread "$source" "${flags[@]}" -o "$program" &&
            timeout 60 "$program" </dev/null
    }
    said "$name" "${text%.txt}.log" compile
done

# Python: with the package that `make pytests` has installed beside mypy.
python=$target/python/venv/bin/python
[[ -x $python ]] || die "the Python package is not built: run 'make pytests'"
said "python blocks" "$work/python.log" "$python" bindings/python/tests/check_snippets.py README.md docs/*.md

# Node: with the package as `make nodetests` left it.
package=$root/bindings/node
compgen -G "$package/reqbus.*.node" >/dev/null || die "no Node extension in bindings/node: run 'make nodetests'"
mkdir -p "$work/js/node_modules"
ln -s "$package" "$work/js/node_modules/reqbus"
ln -s "$package/node_modules/express" "$work/js/node_modules/express"
said "js blocks" "$work/js.log" node "$package/test/support/snippets.js" "$work/js" README.md docs/*.md

say "$passed passed, $failed failed"
((failed == 0))
