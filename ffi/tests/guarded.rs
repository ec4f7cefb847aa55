//! Every exported function goes through the one guard, and says in its documentation what callers need.

use std::fs;
use std::path::Path;

struct Export {
    name: String,
    /// From its first line on.
    body: String,
    docs: String,
    file: String,
}

fn exports() -> Vec<Export> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for entry in fs::read_dir(src).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if line.trim() != "#[unsafe(no_mangle)]" {
                continue;
            }
            let rest = &lines[at + 1..];
            let name = rest[0]
                .split("fn ")
                .nth(1)
                .unwrap()
                .split('(')
                .next()
                .unwrap()
                .to_owned();
            let end = rest.iter().position(|l| *l == "}").unwrap();
            let docs = lines[..at]
                .iter()
                .rev()
                .take_while(|l| l.starts_with("///"));
            let mut docs: Vec<&str> = docs.copied().collect();
            docs.reverse();
            found.push(Export {
                name,
                body: rest[..end].join("\n"),
                docs: docs.join("\n").replace("\n/// ", " "),
                file: path.file_name().unwrap().to_str().unwrap().to_owned(),
            });
        }
    }
    found
}

#[test]
fn every_export_is_guarded() {
    let exports = exports();
    assert!(
        exports.len() > 50,
        "only {} exports were found",
        exports.len()
    );
    for export in &exports {
        let body = export.body.split_once('{').unwrap().1;
        // Or it is nothing but a call of a function that is.
        let guarded = [
            "guard(|| ",
            "guard_status(",
            "{ recv(",
            "{ lent(",
            "_request_id(",
        ];
        assert!(
            guarded.iter().any(|call| body.contains(call)),
            "{} in {} does not go through panic::guard",
            export.name,
            export.file
        );
    }
}

#[test]
fn every_export_is_named_for_its_library() {
    for export in exports() {
        assert!(export.name.starts_with("reqbus_"), "{}", export.name);
        assert_eq!(
            export.file.starts_with("test_"),
            export.name.starts_with("reqbus_test_")
        );
    }
}

#[test]
fn every_export_says_what_callers_need() {
    for Export {
        name, docs, body, ..
    } in exports()
    {
        assert!(docs.len() > 60, "{name} is hardly documented");
        if name.starts_with("reqbus_test_")
            || docs.contains("As reqbus_")
            || docs.contains("as reqbus_")
        {
            continue;
        }
        let free = name.ends_with("_free");
        assert!(
            !free || docs.contains("REQBUS_OK, also for NULL"),
            "{name}: what does free of NULL do?"
        );
        let takes_pointer = body
            .lines()
            .take_while(|l| !l.contains('{'))
            .any(|l| l.contains(": *"));
        assert!(
            !takes_pointer || docs.contains("NULL"),
            "{name}: what does NULL do?"
        );
        assert!(
            free || ["Any thread", "One thread", "lock", "locks", "blocks"]
                .iter()
                .any(|w| docs.contains(w)),
            "{name}: which thread may call it, and may it block?"
        );
    }
}
