//! Mutations for libFuzzer, whose own are of bytes: most of them only break a format.

use std::ops::Range;

use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

const BLOCK: usize = 512;
/// What texts consist of, by kind, so that each kind is as probable.
const KINDS: [&[u8]; 4] =
    [b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"0123456789", b"_-./:@+=,;$\\'\"#<>{}[] \t"];

/// Changes one word of a text: a key, a value, a name. `None` if there is none, or if it gets too long.
#[must_use]
pub fn of_word(text: &[u8], max_bytes: usize, seed: u32) -> Option<Vec<u8>> {
    let mut random = Pcg64Mcg::seed_from_u64(seed.into());
    let mut below = |bound: usize| random.next_u32() as usize % bound;
    let words = words(text);
    let word = words.get(below(words.len().max(1)))?.clone();
    // How a word is read depends on its beginning more than on its end.
    let reach = word.len().min(1 << below(6));
    let at = word.start + below(reach);
    let kind = KINDS[below(KINDS.len())];
    let character = [kind[below(kind.len())]];
    let other = &text[words[below(words.len())].clone()];
    let (replaced, by): (Range<usize>, &[u8]) = match below(8) {
        0..4 => (at..at + 1, &character),
        4 => (at..at, &character),
        5 => (at..at + 1, b""),
        6 => (word, other),
        _ => (at..at, other),
    };
    let mutated = [&text[..replaced.start], by, &text[replaced.end..]].concat();
    (mutated.len() <= max_bytes).then_some(mutated)
}

/// Words of ASCII letters, digits and the signs that names have.
fn words(text: &[u8]) -> Vec<Range<usize>> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let mut at = 0;
    text.chunk_by(|one, other| is_part(one) == is_part(other))
        .filter_map(|run| {
            at += run.len();
            is_part(&run[0]).then_some(at - run.len()..at)
        })
        .collect()
}

/// Corrects the checksum of each header of a tar archive:
/// <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html>.
pub fn correct_checksums(tar: &mut [u8]) {
    for header in tar.chunks_exact_mut(BLOCK).filter(|block| block[257..].starts_with(b"ustar")) {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// How libFuzzer mutates a text: mostly a word of it.
#[cfg(feature = "fuzzer")]
pub fn of_text(input: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    if !seed.is_multiple_of(4)
        && let Some(mutated) = of_word(&input[..size], max_size, seed)
    {
        input[..mutated.len()].copy_from_slice(&mutated);
        return mutated.len();
    }
    libfuzzer_sys::fuzzer_mutate(input, size, max_size)
}

/// How libFuzzer mutates a tar archive: as a text, since its headers are one, and mostly with correct checksums.
#[cfg(feature = "fuzzer")]
pub fn of_tar(input: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let size = of_text(input, size, max_size, seed);
    if !seed.is_multiple_of(8) {
        correct_checksums(&mut input[..size]);
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_of_a_text_changes() {
        let text = br#"{"id": "-kJ", "n": 7.5}"#;
        let found: Vec<&[u8]> = words(text).into_iter().map(|word| &text[word]).collect();
        assert_eq!(found, [&b"id"[..], b"-kJ", b"n", b"7.5"]);
        let mutated: Vec<String> = (0..20_000)
            .filter_map(|seed| of_word(text, 40, seed))
            .map(|text| String::from_utf8(text).unwrap())
            .collect();
        assert!(mutated.iter().all(|text| text.starts_with("{\"") && text.ends_with('}') && text.len() <= 40));
        for wanted in [
            r#"{"id": "QkJ", "n": 7.5}"#,
            r#"{"id": "kJ", "n": 7.5}"#,
            r#"{"id": "n", "n": 7.5}"#,
            r#"{"id": "-kJ", "n": id7.5}"#,
        ] {
            assert!(mutated.iter().any(|text| text == wanted), "{wanted}");
        }
        assert_eq!(of_word(b"", 40, 1), None);
        assert_eq!(of_word(b"{}", 40, 1), None);
    }

    #[test]
    fn checksums_are_corrected() {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(3);
        tar.append_data(&mut header, "predictions.csv", &b"abc"[..]).unwrap();
        let packed = tar.into_inner().unwrap();
        let mut damaged = packed.clone();
        damaged[148..156].fill(b'7');
        correct_checksums(&mut damaged);
        let files = |packed: &[u8]| {
            tar::Archive::new(packed)
                .entries()
                .unwrap()
                .map(|entry| entry.map(|entry| entry.size()).ok())
                .collect::<Vec<_>>()
        };
        assert_eq!(files(&damaged), files(&packed));
        assert_eq!(files(&damaged), [Some(3)]);
    }
}
