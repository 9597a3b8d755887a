//! Random archives.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{Cursor, Read, Write};

use archive::{Limits, verify};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use testing::zips::{Entry, Zip, dockerfile};

const LIMITS: Limits = Limits { entries: 100, entry_bytes: 1 << 20, unpacked_bytes: 4 << 20, ratio: 2000 };

const DOCKERFILE: &[u8] = b"FROM scratch\n";

/// An archive written by an independent implementation.
fn written(files: &[(String, Vec<u8>, bool)], to_a_pipe: bool) -> Vec<u8> {
    fn fill<W: Write + std::io::Seek>(mut zip: ZipWriter<W>, files: &[(String, Vec<u8>, bool)]) -> W {
        for (name, data, deflate) in files {
            let method = if *deflate { CompressionMethod::Deflated } else { CompressionMethod::Stored };
            let options = SimpleFileOptions::default().compression_method(method).large_file(data.len() % 2 == 1);
            zip.start_file(name, options).unwrap();
            zip.write_all(data).unwrap();
        }
        zip.finish().unwrap()
    }
    if to_a_pipe {
        fill(ZipWriter::new_stream(Vec::new()), files).into_inner()
    } else {
        fill(ZipWriter::new(Cursor::new(Vec::new())), files).into_inner()
    }
}

prop_compose! {
    fn files()(more in btree_map("f[a-z]{1,3}(/f[a-z]{1,3})?-x", (vec(any::<u8>(), 0..300), any::<bool>()), 0..8))
        -> Vec<(String, Vec<u8>, bool)> {
        let more = more.into_iter().map(|(name, (data, deflate))| (name, data, deflate));
        more.chain([("Dockerfile".to_owned(), DOCKERFILE.to_vec(), true)]).collect()
    }
}

proptest! {
    #[test]
    fn random_bytes_are_refused(bytes in vec(any::<u8>(), 0..2000)) {
        prop_assert!(verify(Cursor::new(bytes), &LIMITS).is_err());
    }

    #[test]
    fn any_archive_written_by_another_implementation_is_accepted(files in files(), to_a_pipe in any::<bool>()) {
        let archive = written(&files, to_a_pipe);
        let contents = verify(Cursor::new(&archive), &LIMITS).map_err(|problem| TestCaseError::fail(problem.to_string()))?;
        prop_assert_eq!(contents.entries, files.len());
        prop_assert_eq!(contents.dockerfile, DOCKERFILE);
        prop_assert_eq!(contents.unpacked_bytes, files.iter().map(|(_, data, _)| data.len() as u64).sum::<u64>());
    }

    #[test]
    fn a_changed_archive_is_refused_or_reads_the_same_elsewhere(
        files in files(), to_a_pipe in any::<bool>(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        from_the_end in any::<bool>(),
    ) {
        let mut archive = written(&files, to_a_pipe);
        let length = archive.len();
        for (at, byte) in changes {
            // Most checks concern the last hundred bytes.
            let at = if from_the_end { length - 1 - at.index(length.min(100)) } else { at.index(length) };
            archive[at] = byte;
        }
        if verify(Cursor::new(&archive), &LIMITS).is_ok() {
            let mut other = ZipArchive::new(Cursor::new(&archive)).unwrap();
            prop_assert_eq!(other.len(), files.len());
            for (name, data, _) in &files {
                let mut read = Vec::new();
                other.by_name(name).unwrap().read_to_end(&mut read).unwrap();
                prop_assert_eq!(&read, data);
            }
        }
    }

    #[test]
    fn a_header_with_random_fields_is_handled(
        flags in any::<u16>(), method in prop::sample::select(vec![0_u16, 8]), crc32 in any::<u32>(),
        sizes in any::<[u32; 4]>(), mode in any::<u32>(), offset in prop::option::of(any::<u32>()),
        extra in vec(any::<u8>(), 0..60), data in vec(any::<u8>(), 0..200), claimed in 0_u64..4, large in any::<bool>(),
    ) {
        let entry = Entry::new("x", data).with(|e| {
            (e.flags, e.method, e.crc32, e.mode, e.offset) = (flags, method, crc32, mode & 0xffff, offset);
            (e.compressed, e.unpacked, e.local) = (sizes[0], sizes[1], (crc32, sizes[2], sizes[3]));
            (e.extra, e.local_extra) = (extra.clone(), extra);
        });
        let archive = Zip { claimed: Some(claimed), large, ..Zip::of([dockerfile(), entry]) }.pack();
        let _ = verify(Cursor::new(archive), &LIMITS);
    }
}
