#!/usr/bin/env python3
"""Enforces deny.toml with nothing but the standard library.

Reads `cargo metadata --locked` for the targets of deny.toml and checks licences, bans, duplicate
versions and sources as cargo-deny would. Beyond deny.toml it holds to one rule of this project:
what ships (normal and build dependencies of the workspace) holds no async runtime and no test tool.

    scripts/deps_policy.py               check
    scripts/deps_policy.py --list        check, and print each crate with version, use and licence
    scripts/deps_policy.py --self-test   check this script's own parts
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Never in what ships: runtimes are the host's choice, the rest is for tests.
NOT_SHIPPED = {
    "async-executor",
    "async-global-executor",
    "async-std",
    "cbindgen",
    "criterion",
    "loom",
    "proptest",
    "smol",
    "tokio",
}

# Keys of deny.toml that this script understands; another key would be a rule nobody enforces.
KNOWN = {
    "graph": {"targets"},
    "licenses": {"allow", "exceptions", "unused-allowed-license"},
    "bans": {
        "multiple-versions",
        "multiple-versions-include-dev",
        "wildcards",
        "allow-wildcard-paths",
        "deny",
        "skip",
    },
    "sources": {"unknown-registry", "unknown-git"},
}


class Unreadable(Exception):
    """A licence expression that does not follow the grammar."""


def licence_passes(expression, allowed):
    """Whether some choice of the expression's ORs needs only licences of `allowed`.

    Grammar: or := and (("OR" | "/") and)*; and := atom ("AND" atom)*;
    atom := "(" or ")" | id ["WITH" id]. AND binds tighter than OR.
    """
    tokens = re.findall(r"[()/]|[^\s()/]+", expression)
    at = 0

    def peek():
        return tokens[at] if at < len(tokens) else None

    def take():
        nonlocal at
        token = peek()
        if token is None:
            raise Unreadable(expression)
        at += 1
        return token

    def any_of():
        passes = all_of()
        while peek() in ("OR", "/"):
            take()
            right = all_of()
            passes = passes or right
        return passes

    def all_of():
        passes = atom()
        while peek() == "AND":
            take()
            right = atom()
            passes = passes and right
        return passes

    def atom():
        token = take()
        if token == "(":
            passes = any_of()
            if take() != ")":
                raise Unreadable(expression)
            return passes
        if token in (")", "/", "AND", "OR", "WITH"):
            raise Unreadable(expression)
        if peek() == "WITH":
            take()
            token = f"{token} WITH {take()}"
        return token in allowed

    passes = any_of()
    if peek() is not None:
        raise Unreadable(expression)
    return passes


def unknown_keys(policy):
    """Keys of deny.toml that nothing here enforces."""
    for section, keys in policy.items():
        if section not in KNOWN:
            yield f"[{section}]"
            continue
        yield from (f"{section}.{key}" for key in keys if key not in KNOWN[section])


def metadata(targets):
    """What cargo says of the workspace and all it depends on, on these targets."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    for target in targets:
        command += ["--filter-platform", target]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit("deps_policy.py: cargo metadata failed (see above)")
    return json.loads(done.stdout)


def shipped_ids(graph):
    """Ids of the packages that normal and build dependencies of the workspace lead to."""
    nodes = {node["id"]: node for node in graph["resolve"]["nodes"]}
    found = set()
    todo = list(graph["workspace_members"])
    while todo:
        package = todo.pop()
        if package in found:
            continue
        found.add(package)
        for dependency in nodes[package]["deps"]:
            # `kind` is null for a normal dependency, else "build" or "dev".
            if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
                todo.append(dependency["pkg"])
    return found


def check_licences(packages, rules):
    """Each crate's licence is allowed, for all or for it alone."""
    allowed = set(rules["allow"])
    extra = {each["crate"]: set(each["allow"]) for each in rules.get("exceptions", [])}
    for package in packages:
        name = f"{package['name']} {package['version']}"
        expression = package["license"]
        if not expression:
            yield f"{name}: no licence expression"
            continue
        try:
            passes = licence_passes(expression, allowed | extra.get(package["name"], set()))
        except Unreadable:
            yield f"{name}: licence {expression!r} cannot be read"
            continue
        if not passes:
            yield f"{name}: licence {expression!r} is not allowed"


def check_bans(packages, shipped, members, rules):
    """No banned crate, no second version in what ships, no version left open."""
    banned = {each["crate"]: each.get("reason", "") for each in rules.get("deny", [])}
    wrapped = {each["crate"]: each["wrappers"] for each in rules.get("deny", []) if "wrappers" in each}
    skipped = {each["crate"] for each in rules.get("skip", [])}
    versions = {}
    for package in packages:
        name = package["name"]
        for crate in {each["name"] for each in package["dependencies"]} & set(wrapped):
            if name not in wrapped[crate]:
                yield f"{name} {package['version']}: uses {crate}, which only {wrapped[crate]} may"
        if name in banned and name not in wrapped:
            yield f"{name} {package['version']}: banned {banned[name]}".rstrip()
        if package["id"] in shipped:
            versions.setdefault(name, set()).add(package["version"])
            if name in NOT_SHIPPED:
                yield f"{name} {package['version']}: in what ships; it may serve tests only"
        if package["id"] in members and rules.get("wildcards") == "deny":
            for dependency in package["dependencies"]:
                local = dependency.get("path") and rules.get("allow-wildcard-paths")
                if dependency["req"] == "*" and not local:
                    yield f"{name}: asks for any version of {dependency['name']}"
    if rules.get("multiple-versions") == "deny":
        for name, found in sorted(versions.items()):
            exact = {f"{name}@{version}" for version in found}
            if len(found) > 1 and name not in skipped and not exact & skipped:
                yield f"{name}: {len(found)} versions ship: {', '.join(sorted(found))}"


def check_sources(packages, members):
    """Every crate is a member of the workspace or comes from cargo's default registry."""
    for package in packages:
        name = f"{package['name']} {package['version']}"
        source = package["source"]
        if source is None:
            if package["id"] not in members:
                yield f"{name}: from a path outside the workspace"
        elif not source.startswith(("registry+", "sparse+")):
            yield f"{name}: from {source.split('+')[0]}, not from a registry"
        # cargo names a dependency's registry only when it is not the default one.
        for dependency in package["dependencies"]:
            if dependency.get("registry"):
                yield f"{name}: takes {dependency['name']} from a registry of its own"


def check(policy):
    """All complaints, and the lines of --list."""
    graph = metadata(policy["graph"]["targets"])
    members = set(graph["workspace_members"])
    reached = {node["id"] for node in graph["resolve"]["nodes"]}
    packages = [package for package in graph["packages"] if package["id"] in reached]
    packages.sort(key=lambda package: (package["name"], package["version"]))
    shipped = shipped_ids(graph)

    complaints = [f"deny.toml: {key} is not enforced" for key in unknown_keys(policy)]
    complaints += check_licences(packages, policy["licenses"])
    complaints += check_bans(packages, shipped, members, policy["bans"])
    complaints += check_sources(packages, members)

    lines = [
        f"{package['name']} {package['version']} "
        f"({'ours' if package['id'] in members else 'ships' if package['id'] in shipped else 'tests'}): "
        f"{package['license']}"
        for package in packages
    ]
    return complaints, lines


def self_test():
    """The licence grammar and the checks, on made-up input."""
    allowed = {"MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"}
    for expression, expected in [
        ("MIT", True),
        ("MPL-2.0", False),
        ("MIT OR MPL-2.0", True),
        ("MPL-2.0 OR MIT", True),
        ("MIT/Apache-2.0", True),
        ("MIT AND MPL-2.0", False),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", True),
        ("MIT OR GPL-3.0 AND MPL-2.0", True),
        ("GPL-3.0 OR MIT AND MPL-2.0", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("MIT WITH LLVM-exception", False),
    ]:
        assert licence_passes(expression, allowed) is expected, expression
    for expression in ["", "MIT OR", "OR MIT", "(MIT", "MIT)", "MIT Apache-2.0", "MIT WITH"]:
        try:
            licence_passes(expression, allowed)
        except Unreadable:
            continue
        raise AssertionError(f"{expression!r} was read")

    def package(name, version, source="registry+default", **more):
        base = {"id": f"{name}@{version}", "name": name, "version": version}
        return base | {"source": source, "license": "MIT", "dependencies": []} | more

    two = [package("a", "1.0.0"), package("a", "2.0.0")]
    ids = {each["id"] for each in two}
    duplicates = {"multiple-versions": "deny"}
    assert list(check_bans(two, ids, set(), duplicates))
    assert not list(check_bans(two, {"a@1.0.0"}, set(), duplicates))
    assert not list(check_bans(two, ids, set(), duplicates | {"skip": [{"crate": "a@1.0.0"}]}))
    assert list(check_bans(two, ids, set(), {"deny": [{"crate": "a"}]}))
    user = [{**two[0], "name": "user", "dependencies": [{"name": "a", "req": "1"}]}]
    wraps = {"deny": [{"crate": "a", "wrappers": ["user"]}]}
    assert not list(check_bans(two[:1] + user, ids, set(), wraps))
    wraps = {"deny": [{"crate": "a", "wrappers": ["other"]}]}
    assert list(check_bans(two[:1] + user, ids, set(), wraps))
    assert list(check_bans([package("tokio", "1.0.0")], {"tokio@1.0.0"}, set(), {}))
    assert list(check_sources([package("a", "1.0.0", source="git+somewhere")], set()))
    assert list(check_sources([package("a", "1.0.0", source=None)], set()))
    assert not list(check_sources([package("a", "1.0.0", source=None)], {"a@1.0.0"}))
    other = [{"name": "b", "req": "^1", "registry": "elsewhere"}]
    assert list(check_sources([package("a", "1.0.0", dependencies=other)], set()))
    assert list(check_licences([package("a", "1.0.0", license=None)], {"allow": ["MIT"]}))
    assert list(unknown_keys({"bans": {"skip-tree": []}})) == ["bans.skip-tree"]
    print("deps_policy.py: self-test passed")


def main(arguments):
    if arguments == ["--self-test"]:
        self_test()
        return 0
    if arguments not in ([], ["--list"]):
        print(__doc__, file=sys.stderr)
        return 2
    with open(ROOT / "deny.toml", "rb") as file:
        policy = tomllib.load(file)
    complaints, lines = check(policy)
    if arguments:
        print("\n".join(lines))
    for complaint in complaints:
        print(f"FAIL {complaint}")
    if complaints:
        print(f"deps_policy.py: {len(complaints)} complaints; the policy is in deny.toml")
        return 1
    print(f"ok   dependency policy: {len(lines)} crates")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
