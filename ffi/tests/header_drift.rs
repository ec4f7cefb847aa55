//! The committed headers are what the sources say.

#[path = "../examples/header.rs"]
mod example;

fn check(name: &str, test_clock: bool) {
    let path = format!("{}/../include/{name}", env!("CARGO_MANIFEST_DIR"));
    let committed = std::fs::read_to_string(&path).unwrap();
    let generated = example::header(test_clock).unwrap();
    if committed != generated {
        let line = committed
            .lines()
            .zip(generated.lines())
            .position(|(a, b)| a != b);
        let flag = if test_clock { "--test-clock " } else { "" };
        panic!(
            "include/{name} differs from the sources (first at line {:?}); run\n  \
             cargo run -p reqbus-ffi --example header -- {flag}include/{name}\nand review the change",
            line.map(|l| l + 1)
        );
    }
}

#[test]
fn reqbus_h_is_up_to_date() {
    check("reqbus.h", false);
}

#[test]
fn reqbus_test_h_is_up_to_date() {
    check("reqbus_test.h", true);
}
