#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reqbus_fuzz::id_parse(data));
