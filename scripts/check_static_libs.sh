#!/usr/bin/env bash
# The system libraries that a static user links are in a committed list, so that a new dependency
# which needs another one is noticed here and not by that user.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case $(rustc -vV | sed -n 's/^host: //p') in
    *-linux-gnu) committed=$root/dist/native-static-libs.linux-gnu.txt ;;
    *)
        say "ok   no committed list for this platform"
        exit 0
        ;;
esac
if diff -u "$committed" "$target/native-static-libs.txt"; then
    say "ok   native static libraries: $(cat "$committed")"
else
    die "the compiler's list differs from ${committed#"$root"/}. If that is meant, copy target/native-static-libs.txt over it and say why in CHANGELOG.md."
fi
