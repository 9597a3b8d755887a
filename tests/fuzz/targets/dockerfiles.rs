#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::dockerfiles::check(input));
libfuzzer_sys::fuzz_mutator!(|input: &mut [u8], size: usize, max_size: usize, seed: u32| {
    fuzz::mutation::of_text(input, size, max_size, seed)
});
