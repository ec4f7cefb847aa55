#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reqbus_fuzz::json_writer(data));
