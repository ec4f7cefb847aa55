//! Link flags of a Node extension.

fn main() {
    napi_build::setup();
}
