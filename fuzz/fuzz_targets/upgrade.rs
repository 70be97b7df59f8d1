#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| usoryou::protocol::parsers::upgrade(bytes));
