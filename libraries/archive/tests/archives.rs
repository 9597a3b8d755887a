//! Archives that have to be accepted, and archives that have to be refused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Cursor;

use archive::{BuildContext, Contents, Limits, Problem, verify};
use domain::Coded as _;
use domain::FailureCode::{self, ArchiveInvalid, ArchiveTooLarge, ArchiveUnsafe, BuildFailed, DockerfileMissing};

use testing::zips::{Entry, SYMLINK, Zip, dockerfile, field, zip64};

fn check(archive: &[u8]) -> Result<Contents, Problem> {
    verify(Cursor::new(archive), &Limits::default())
}

fn check_entries(entries: impl IntoIterator<Item = Entry>) -> Result<Contents, Problem> {
    check(&Zip::of(entries).pack())
}

#[track_caller]
fn assert_accepted(archive: &[u8]) {
    if let Err(problem) = check(archive) {
        panic!("{problem}");
    }
}

#[track_caller]
fn assert_refused(result: Result<Contents, Problem>, code: FailureCode, says: &str) {
    let problem = result.expect_err(says);
    assert_eq!(problem.code(), code, "{problem}");
    let message = problem.to_string();
    assert!(message.contains(says), "{message}");
    assert!(message.ends_with('.') && message.len() < 500 && message.is_ascii(), "{message}");
}

/// The Dockerfile and one more entry that is refused.
#[track_caller]
fn assert_entry_refused(entry: Entry, code: FailureCode, says: &str) {
    assert_refused(check_entries([dockerfile(), entry.clone()]), code, says);
    assert_refused(check_entries([entry, dockerfile()]), code, says);
}

#[test]
fn ordinary_archives_are_accepted() {
    let contents = check_entries([
        Entry::new("code/", ""),
        Entry::new("code/Dockerfile", "FROM scratch\n").deflated(),
        Entry::new("code/src/", "").deflated(),
        Entry::new("code/src/train.py", "print()\n".repeat(1000)).deflated(),
        Entry::new("code/empty", "").deflated().streamed(),
        Entry::new("code/naïve.txt", "x").streamed(),
        Entry::new("__MACOSX/._Dockerfile", "x"),
    ]);
    let dockerfile = b"FROM scratch\n".to_vec();
    let expected = Contents { context: BuildContext::Code, dockerfile, entries: 7, unpacked_bytes: 8015 };
    assert_eq!(contents.unwrap(), expected);
}

#[test]
fn unusual_but_sound_archives_are_accepted() {
    let whole = Zip::of([dockerfile(), Entry::new("a", "x")]);
    assert_accepted(&Zip { comment: b"packed by me".to_vec(), ..whole.clone() }.pack());
    assert_accepted(&Zip { comment: vec![b'x'; 65_535], ..whole.clone() }.pack());
    assert_accepted(&Zip { large: true, ..whole }.pack());
    assert_accepted(&Zip::of([Entry::new("./Dockerfile", "FROM scratch\n"), Entry::new("./", "")]).pack());
    assert_accepted(&Zip::of([dockerfile().with(|e| e.mode = 0o100_644)]).pack());
    // Padding, as `zipalign` adds it.
    assert_accepted(&Zip::of([dockerfile().with(|e| e.local_extra = vec![0; 3])]).pack());
    let (name, size) = (b"Dockerfile", dockerfile().unpacked);
    let second_name = field(0x7075, &[&[1, 0, 0, 0, 0], &name[..]].concat());
    assert_accepted(&Zip::of([dockerfile().with(|e| e.extra = second_name)]).pack());
    let large = |entry: &mut Entry| {
        entry.extra = zip64(&[size.into(), size.into()]);
        entry.local_extra = entry.extra.clone();
        (entry.compressed, entry.unpacked) = (u32::MAX, u32::MAX);
        (entry.local.1, entry.local.2) = (u32::MAX, u32::MAX);
    };
    assert_accepted(&Zip { large: true, ..Zip::of([dockerfile().with(large)]) }.pack());
    let large_sizes_follow = |entry: &mut Entry| {
        entry.flags = 1 << 3;
        entry.after = [&entry.crc32.to_le_bytes()[..], &u64::from(size).to_le_bytes().repeat(2)].concat();
    };
    assert_accepted(&Zip::of([dockerfile().with(large_sizes_follow)]).pack());
}

#[test]
fn a_file_of_another_type_is_named() {
    let tar = [&[0; 257][..], b"ustar\0", &[0; 300]].concat();
    for (file, says) in [
        (&b""[..], "is empty"),
        (b"\x1f\x8b\x08\0", "tar.gz"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"Rar!\x1a\x07", "RAR"),
        (b"<!DOCTYPE html>", "web page"),
        (&tar, "a tar archive"),
        (b"hello", "not a zip archive"),
        (b"PK", "incomplete"),
    ] {
        assert_refused(check(file), ArchiveInvalid, says);
    }
}

#[test]
fn a_truncated_archive_is_refused_wherever_it_ends() {
    let whole = Zip::of([dockerfile(), Entry::new("a", "data").deflated()]).pack();
    for end in 1..whole.len() {
        assert_eq!(check(&whole[..end]).unwrap_err().code(), ArchiveInvalid);
    }
    assert_refused(check(&whole[..whole.len() / 2]), ArchiveInvalid, "its end is missing");
}

#[test]
fn data_outside_the_entries_is_refused() {
    let whole = Zip::of([dockerfile(), Entry::new("a", "x")]);
    assert_refused(check(&[whole.pack(), b"x".to_vec()].concat()), ArchiveInvalid, "after its end");
    assert_refused(check(&[b"#!/bin/sh\n".to_vec(), whole.pack()].concat()), ArchiveInvalid, "before its first entry");
    let adjusted = Zip { prefix: b"MZ".to_vec(), ..whole.clone() };
    assert_refused(check(&adjusted.pack()), ArchiveInvalid, "before its first entry");
    // An entry that only tools that read the file from its start would see.
    let hidden = Zip::of([Entry::new("evil", "x")]).pack();
    let hidden = hidden[..30 + 5].to_vec();
    let entries = [dockerfile().with(|e| e.after = hidden.clone()), Entry::new("a", "x")];
    assert_refused(check_entries(entries.clone()), ArchiveInvalid, "between its entries");
    let entries = entries.map(|e| e.with(|e| e.flags = 1 << 3));
    assert_refused(check_entries(entries), ArchiveInvalid, "between its entries");
    // Two archives in one file: tools differ in which one they read.
    let two = [Zip::of([Entry::new("evil", "x")]).pack(), whole.pack()].concat();
    assert_refused(check(&two), ArchiveInvalid, "data");
    let ends_again = Zip { comment: b"PK\x05\x06".to_vec(), ..whole.clone() };
    assert_refused(check(&ends_again.pack()), ArchiveInvalid, "in its comment");
    let in_comment = Zip { comment: Zip::of([Entry::new("evil", "x")]).pack(), ..whole };
    assert_refused(check(&in_comment.pack()), ArchiveInvalid, "data");
}

#[test]
fn a_wrong_table_of_contents_is_refused() {
    let whole = Zip::of([dockerfile(), Entry::new("a", "x")]);
    let claiming = |claimed, large| Zip { claimed: Some(claimed), large, ..whole.clone() }.pack();
    assert_refused(check(&claiming(1, false)), ArchiveInvalid, "more entries than it announces");
    assert_refused(check(&claiming(3, false)), ArchiveInvalid, "fewer entries");
    assert_refused(check(&claiming(3, true)), ArchiveInvalid, "fewer entries");
    let mut disagreeing = Zip { large: true, ..whole.clone() }.pack();
    let end = disagreeing.len() - 22;
    disagreeing[end + 8..end + 12].copy_from_slice(&[9, 0, 9, 0]);
    assert_refused(check(&disagreeing), ArchiveInvalid, "two end records disagree");
    let mut split = whole.pack();
    let end = split.len() - 22;
    split[end + 4] = 1;
    assert_refused(check(&split), ArchiveInvalid, "split");
    let mut beyond = whole.pack();
    beyond[end + 16..end + 20].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_refused(check(&beyond), ArchiveInvalid, "beyond the end");
    let broken_extra = dockerfile().with(|e| e.extra = vec![1, 0, 200, 0]);
    assert_refused(check_entries([broken_extra]), ArchiveInvalid, "extra field");
    let twice = dockerfile().with(|e| e.extra = [zip64(&[1]), zip64(&[2])].concat());
    assert_refused(check_entries([twice]), ArchiveInvalid, "extra field");
    let missing = dockerfile().with(|e| e.unpacked = u32::MAX);
    assert_refused(check_entries([missing]), ArchiveInvalid, "extra field");
}

#[test]
fn a_count_beyond_the_limit_is_refused_before_anything_is_read() {
    let many = Zip { claimed: Some(10_001), ..Zip::of([dockerfile()]) }.pack();
    assert_refused(check(&many), ArchiveTooLarge, "10001 files and folders; the limit is 10000");
    let millions = Zip { claimed: Some(u64::MAX), large: true, ..Zip::of([dockerfile()]) }.pack();
    assert_refused(check(&millions), ArchiveTooLarge, "the limit is 10000");
    let entries = (0..10_000).map(|n| Entry::new(format!("{n}"), "")).chain([dockerfile()]);
    assert_refused(check_entries(entries), ArchiveTooLarge, "10001 files and folders");
    let entries = (0..9_999).map(|n| Entry::new(format!("{n}"), "")).chain([dockerfile()]);
    assert_eq!(check_entries(entries).unwrap().entries, 10_000);
}

#[test]
fn unsafe_names_are_refused() {
    for (name, says) in [
        (&b"../etc/cron.d/x"[..], "points outside the archive"),
        (b"code/../../x", "points outside the archive"),
        (b"/etc/passwd", "is an absolute path"),
        (b"C:x", "drive letter"),
        (b"..\\x", "backslash"),
        (b"a\0b", "NUL"),
        (b"caf\xe9", "is not UTF-8"),
        (b"a//b", "empty component"),
        (b"", "is empty"),
        (&[b'x'; 300], "too long"),
        (&b"x".repeat(60_000), "too long"),
    ] {
        assert_entry_refused(Entry::new(name, "x"), ArchiveUnsafe, says);
    }
}

#[test]
fn a_hostile_name_is_escaped_in_the_message() {
    let problem = check_entries([Entry::new("\x1b]0;<script>\n\u{202e}/../x", "")]).unwrap_err();
    assert!(problem.to_string().contains(r#""\u{1b}]0;\u{3c}script\u{3e}\u{a}\u{202e}/../x""#), "{problem}");
}

#[test]
fn links_devices_and_other_special_entries_are_refused() {
    for (mode, says) in [
        (SYMLINK, "a symbolic link"),
        (0o010_644, "a named pipe"),
        (0o020_644, "a device"),
        (0o060_644, "a device"),
        (0o140_644, "a socket"),
        (0o040_755, "a folder by its mode"),
        (0o170_000, "unknown type"),
    ] {
        assert_entry_refused(Entry::new("x", "/etc/passwd").with(|e| e.mode = mode), ArchiveUnsafe, says);
    }
    assert_entry_refused(Entry::new("folder/", "/etc/passwd").with(|e| e.mode = SYMLINK), ArchiveUnsafe, "link");
    assert_entry_refused(Entry::new("folder/", "x"), ArchiveUnsafe, "a folder that has data");
    assert_entry_refused(Entry::new(".", "x"), ArchiveUnsafe, "name of a folder");
}

#[test]
fn a_path_occurs_only_once() {
    for (one, other) in [("a", "a"), ("a/b", "./a/b"), ("a/", "a"), ("a", "a/"), ("a/", "a/")] {
        let entries = [dockerfile(), Entry::new(one, ""), Entry::new("z", ""), Entry::new(other, "")];
        assert_refused(check_entries(entries), ArchiveUnsafe, "more than once");
    }
    assert_entry_refused(Entry::new("Dockerfile", "FROM evil\n"), ArchiveUnsafe, "\"Dockerfile\" more than once");
    for below in ["Dockerfile/x", "Dockerfile/x/y/", "./Dockerfile/x"] {
        // Not adjacent when sorted by bytes.
        let entries = [Entry::new("Dockerfile-x", ""), Entry::new(below, ""), dockerfile()];
        assert_refused(check_entries(entries), ArchiveUnsafe, "one of its parent folders is a file");
    }
}

#[test]
fn an_encrypted_entry_is_refused() {
    for flag in [1, 1 << 6, 1 << 13] {
        assert_entry_refused(Entry::new("x", "y").with(|e| e.flags = flag), ArchiveInvalid, "without a password");
    }
}

#[test]
fn an_uncommon_compression_is_refused() {
    for method in [1, 9, 12, 14, 93, 95, 99] {
        assert_entry_refused(
            Entry::new("x", "y").with(|e| e.method = method),
            ArchiveInvalid,
            "Only methods 0 (stored) and 8",
        );
    }
}

#[test]
fn headers_that_disagree_are_refused() {
    let entry = || Entry::new("x", "data");
    for (entry, says) in [
        (entry().with(|e| e.local_name = b"../x".to_vec()), "name"),
        (entry().with(|e| e.local_name = b"y".to_vec()), "name"),
        (entry().with(|e| e.extra = field(0x7075, b"\x01\0\0\0\0../x")), "name"),
        (entry().with(|e| e.local_extra = field(0x7075, b"\x01\0\0\0\0../x")), "name"),
        (entry().with(|e| e.local.0 ^= 1), "checksum"),
        (entry().with(|e| e.local.1 += 1), "size"),
        (entry().with(|e| e.local.2 += 1), "size"),
        (entry().streamed().with(|e| e.local.2 = 9), "size"),
    ] {
        assert_entry_refused(entry, ArchiveUnsafe, &format!("disagree about its {says}"));
    }
    let mut method = Zip::of([dockerfile()]).pack();
    method[8] = 8;
    assert_refused(check(&method), ArchiveUnsafe, "disagree about its compression");
    let mut encrypted = Zip::of([dockerfile()]).pack();
    encrypted[6] = 1;
    assert_refused(check(&encrypted), ArchiveInvalid, "without a password");
}

#[test]
fn what_a_tool_may_leave_out_or_make_a_folder_is_refused() {
    let whole = Zip::of([dockerfile()]).pack();
    let at = whole.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    let with = |offset: usize, byte: u8| {
        let mut changed = whole.clone();
        changed[at + offset] = byte;
        changed
    };
    assert_accepted(&with(6, 63));
    assert_refused(check(&with(6, 64)), ArchiveInvalid, "newer version of the format");
    // 0x20 is the attribute of a file that was changed since the last backup.
    assert_accepted(&with(38, 0x20));
    assert_refused(check(&with(38, 0x10)), ArchiveUnsafe, "a folder by its attributes");
    // bsdtar leaves out an entry whose extra fields end with anything but zeros.
    assert_entry_refused(
        Entry::new("x", "").with(|e| e.extra = vec![1, 2]),
        ArchiveInvalid,
        "extra field is malformed",
    );
    assert_entry_refused(
        Entry::new("x", "").with(|e| e.local_extra = vec![1]),
        ArchiveInvalid,
        "extra field is malformed",
    );
}

#[test]
fn an_entry_that_differs_from_its_announcement_is_refused() {
    let text = Entry::new("x", "data ".repeat(1000)).deflated();
    let both = |change: fn(&mut u32)| {
        text.clone().with(|e| {
            change(&mut e.unpacked);
            e.local.2 = e.unpacked;
        })
    };
    assert_entry_refused(both(|size| *size -= 1), ArchiveInvalid, "more than it announces");
    assert_entry_refused(both(|size| *size += 1), ArchiveInvalid, "less than it announces");
    let wrong_sum = |e: &mut Entry| (e.crc32, e.local.0) = (1, 1);
    assert_entry_refused(text.clone().with(wrong_sum), ArchiveInvalid, "checksum is wrong");
    let longer = |e: &mut Entry| {
        e.data.push(0);
        (e.compressed, e.local.1) = (e.compressed + 1, e.compressed + 1);
    };
    assert_entry_refused(text.clone().with(longer), ArchiveInvalid, "extra bytes at the end");
    let shorter = |e: &mut Entry| {
        e.data.pop();
        (e.compressed, e.local.1) = (e.compressed - 1, e.compressed - 1);
    };
    assert_entry_refused(text.clone().with(shorter), ArchiveInvalid, "ends too early");
    assert_entry_refused(text.with(|e| e.data.fill(0xff)), ArchiveInvalid, "compressed data is not valid");
}

#[test]
fn entries_that_share_bytes_are_refused() {
    // The idea of a bomb without nesting: many records share the same data.
    let many = (0..100).map(|n| Entry::new("x", "data").with(|e| e.offset = (n > 0).then_some(0)));
    let entries = many.enumerate().map(|(n, entry)| entry.with(|e| e.name = format!("{n}").into_bytes()));
    let problem = check_entries(entries.chain([dockerfile()])).unwrap_err();
    assert_eq!(problem.code(), ArchiveUnsafe, "{problem}");
    let swallowing = [Entry::new("x", "data").with(|e| {
        (e.compressed, e.unpacked) = (60, 60);
        e.local = (e.crc32, 60, 60);
    })];
    assert_refused(check_entries(swallowing.into_iter().chain([dockerfile()])), ArchiveUnsafe, "overlaps");
    let huge = Entry::new("x", "").with(|e| {
        e.extra = zip64(&[u64::MAX, u64::MAX]);
        e.local_extra = e.extra.clone();
        (e.compressed, e.unpacked) = (u32::MAX, u32::MAX);
        e.local = (e.crc32, u32::MAX, u32::MAX);
    });
    assert_refused(check_entries([huge, dockerfile()]), ArchiveUnsafe, "overlaps");
    let nowhere = Entry::new("x", "").with(|e| e.offset = Some(1 << 30));
    assert_refused(check_entries([dockerfile(), nowhere]), ArchiveInvalid, "between its entries");
    let shifted = Entry::new("x", "data").with(|e| e.offset = Some(60));
    assert_refused(check_entries([dockerfile(), shifted]), ArchiveInvalid, "between its entries");
}

#[test]
fn a_zip_bomb_is_refused_while_it_unpacks() {
    let zeros = || Entry::new("zeros", vec![0; 20 << 20]).deflated();
    assert_entry_refused(zeros(), ArchiveTooLarge, "\"zeros\" in the zip archive unpacks to more than 200 times");
    // A wrong announced size does not help.
    let modest = zeros().with(|e| (e.unpacked, e.local.2) = (1 << 30, 1 << 30));
    assert_entry_refused(modest, ArchiveTooLarge, "200 times");
    // Each of these would be accepted alone.
    let small = (0..50).map(|n| Entry::new(format!("{n}"), vec![0; 1 << 20]).deflated());
    assert_refused(check_entries(small.chain([dockerfile()])), ArchiveTooLarge, "200 times");
    // An inner archive is not unpacked, so its contents do not matter.
    let inner = Zip::of([zeros()]).pack();
    assert!(check_entries([dockerfile(), Entry::new("inner.zip", inner)]).is_ok());
}

#[test]
fn limits_apply_to_the_real_unpacked_size() {
    let limits = Limits { entries: 2, entry_bytes: 1000, unpacked_bytes: 1500, ratio: 200 };
    let check = |sizes: &[usize]| {
        let files = sizes.iter().enumerate().map(|(n, size)| match n {
            0 => Entry::new("Dockerfile", vec![b'#'; *size]).deflated(),
            _ => Entry::new(format!("{n}"), vec![b'x'; *size]),
        });
        verify(Cursor::new(Zip::of(files).pack()), &limits)
    };
    assert_eq!(check(&[1000, 500]).unwrap().unpacked_bytes, 1500);
    assert_refused(check(&[1001]), ArchiveTooLarge, "more than 1000 bytes, the limit for one file");
    assert_refused(check(&[1000, 501]), ArchiveTooLarge, "more than 1500 bytes, the limit for all files together");
    assert_refused(check(&[1, 1, 1]), ArchiveTooLarge, "3 files and folders; the limit is 2");
    // Folders that are only part of a name are made too.
    let below = |path: &str| verify(Cursor::new(Zip::of([dockerfile(), Entry::new(path, "x")]).pack()), &limits);
    assert_refused(below("a/b/c"), ArchiveTooLarge, "4 files and folders; the limit is 2");
    let deep = (0..10).map(|n| Entry::new(format!("{n}{}/x", "/d".repeat(100)), "x"));
    let limits = Limits { entries: 1000, ..Limits::default() };
    let deep = verify(Cursor::new(Zip::of(deep.chain([dockerfile()])).pack()), &limits);
    assert_refused(deep, ArchiveTooLarge, "1021 files and folders");
}

#[test]
fn exactly_one_usable_dockerfile_is_required() {
    let code = || Entry::new("code/Dockerfile", "FROM scratch\n");
    let empty = || Entry::new("Dockerfile", "");
    assert_eq!(check_entries([dockerfile()]).unwrap().context, BuildContext::Root);
    assert_eq!(check_entries([code()]).unwrap().context, BuildContext::Code);
    assert_eq!(check_entries([empty(), code()]).unwrap().context, BuildContext::Code);
    assert_refused(check_entries([dockerfile(), code()]), DockerfileMissing, "not clear which one to build");
    assert_refused(check_entries([empty()]), DockerfileMissing, "\"Dockerfile\" in the zip archive is empty");
    assert_refused(check_entries([Entry::new("Dockerfile/", "")]), DockerfileMissing, "\"Dockerfile/\"");
    assert_refused(check_entries([]), DockerfileMissing, "no Dockerfile at its root or in code/. Add a file");
    let similar = ["dockerfile", "Code/Dockerfile", "my-solution/Dockerfile", "Dockerfile.txt"];
    let problem = check_entries(similar.map(|name| Entry::new(name, "x"))).unwrap_err().to_string();
    assert_eq!(similar.iter().filter(|name| problem.contains(&format!("\"{name}\""))).count(), 3, "{problem}");
}

#[test]
fn the_text_of_the_dockerfile_is_handed_out_up_to_one_mebibyte() {
    let other = || Entry::new("other/Dockerfile", "FROM other\n");
    assert_eq!(
        check_entries([other(), Entry::new("Dockerfile", ""), Entry::new("code/Dockerfile", "FROM x\n")])
            .unwrap()
            .dockerfile,
        b"FROM x\n"
    );

    // Many chunks of the unpacker, hard to compress.
    let text = |bytes: usize| {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_le_bytes()[3]
        };
        (0..bytes).map(|_| next()).collect::<Vec<u8>>()
    };
    let largest = text(1 << 20);
    for entry in [Entry::new("Dockerfile", largest.clone()), Entry::new("Dockerfile", largest.clone()).deflated()] {
        assert!(check_entries([other(), entry, Entry::new("x", "y")]).unwrap().dockerfile == largest);
    }
    let too_large = text((1 << 20) + 1);
    for entry in [Entry::new("Dockerfile", too_large.clone()), Entry::new("Dockerfile", too_large.clone()).deflated()] {
        assert_refused(
            check_entries([entry]),
            BuildFailed,
            "\"Dockerfile\" in the zip archive is larger than 1048576 bytes",
        );
    }
    // The problems of the whole archive come first.
    assert_refused(check_entries([Entry::new("Dockerfile", too_large), Entry::new("../x", "")]), ArchiveUnsafe, "../x");
}

#[test]
fn an_announced_data_descriptor_has_to_be_there() {
    let bare = Entry::new("x", "data").streamed().with(|entry| entry.after.clear());
    assert_entry_refused(bare.clone(), ArchiveInvalid, "its sizes do not follow its data");
    // The same if its sizes are where they are not looked for.
    assert_entry_refused(
        bare.with(|entry| entry.local = (0, 4, 4)),
        ArchiveInvalid,
        "its sizes do not follow its data",
    );
}
