//! Writes zip archives, mostly malformed ones.

use flate2::{Compress, Compression, FlushCompress};

pub const SYMLINK: u32 = 0o120_777;

/// An entry whose every field can be wrong.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: Vec<u8>,
    /// The name in the local header.
    pub local_name: Vec<u8>,
    pub flags: u16,
    pub method: u16,
    pub crc32: u32,
    pub compressed: u32,
    pub unpacked: u32,
    /// Checksum and sizes in the local header.
    pub local: (u32, u32, u32),
    pub mode: u32,
    pub extra: Vec<u8>,
    pub local_extra: Vec<u8>,
    pub data: Vec<u8>,
    /// Bytes after the data.
    pub after: Vec<u8>,
    /// The offset in the central directory; the real one if absent.
    pub offset: Option<u32>,
}

impl Entry {
    /// A stored file, or a folder if the name ends in a slash.
    pub fn new(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Self {
        let (name, data) = (name.as_ref().to_vec(), data.as_ref().to_vec());
        let (crc32, size) = (crc32fast::hash(&data), u32::try_from(data.len()).unwrap());
        Self {
            local_name: name.clone(),
            name,
            flags: 0,
            method: 0,
            crc32,
            compressed: size,
            unpacked: size,
            local: (crc32, size, size),
            mode: 0,
            extra: Vec::new(),
            local_extra: Vec::new(),
            data,
            after: Vec::new(),
            offset: None,
        }
    }

    /// The same file, deflated.
    #[must_use]
    pub fn deflated(mut self) -> Self {
        let mut compress = Compress::new(Compression::best(), false);
        let mut deflated = Vec::with_capacity(self.data.len() + 1024);
        compress.compress_vec(&self.data, &mut deflated, FlushCompress::Finish).unwrap();
        self.method = 8;
        self.compressed = u32::try_from(deflated.len()).unwrap();
        self.local.1 = self.compressed;
        self.data = deflated;
        self
    }

    /// The same entry as written to a pipe: its sizes follow the data.
    #[must_use]
    pub fn streamed(mut self) -> Self {
        self.flags |= 1 << 3;
        self.local = (0, 0, 0);
        self.after = [&b"PK\x07\x08"[..], &le(self.crc32), &le(self.compressed), &le(self.unpacked)].concat();
        self
    }

    /// The same entry with a change.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

pub fn dockerfile() -> Entry {
    Entry::new("Dockerfile", "FROM scratch\n")
}

/// The extra field of large numbers (zip64) for either header.
pub fn zip64(numbers: &[u64]) -> Vec<u8> {
    let numbers: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    field(1, &numbers)
}

pub fn field(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &u16::try_from(data.len()).unwrap().to_le_bytes(), data].concat()
}

/// The parts of an archive.
#[derive(Clone, Debug, Default)]
pub struct Zip {
    /// Data before the first entry; the offsets include it.
    pub prefix: Vec<u8>,
    pub entries: Vec<Entry>,
    /// The number of entries in the end record; the real one if absent.
    pub claimed: Option<u64>,
    /// Whether to write a zip64 end record.
    pub large: bool,
    pub comment: Vec<u8>,
}

impl Zip {
    pub fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self { entries: entries.into_iter().collect(), ..Self::default() }
    }

    pub fn pack(&self) -> Vec<u8> {
        let (mut file, mut directory) = (self.prefix.clone(), Vec::new());
        for entry in &self.entries {
            let offset = entry.offset.unwrap_or(u32::try_from(file.len()).unwrap());
            let (crc32, compressed, unpacked) = entry.local;
            file.extend(b"PK\x03\x04\x14\x00");
            file.extend([entry.flags.to_le_bytes(), entry.method.to_le_bytes()].concat());
            file.extend([le(0), le(crc32), le(compressed), le(unpacked)].concat());
            file.extend([len(&entry.local_name), len(&entry.local_extra)].concat());
            file.extend([&entry.local_name[..], &entry.local_extra, &entry.data, &entry.after].concat());

            directory.extend(b"PK\x01\x02\x14\x03\x14\x00");
            directory.extend([entry.flags.to_le_bytes(), entry.method.to_le_bytes()].concat());
            directory.extend([le(0), le(entry.crc32), le(entry.compressed), le(entry.unpacked)].concat());
            directory.extend([len(&entry.name), len(&entry.extra), [0; 2], [0; 2], [0; 2]].concat());
            directory.extend([le(entry.mode << 16), le(offset)].concat());
            directory.extend([&entry.name[..], &entry.extra].concat());
        }
        let start = file.len() as u64;
        file.extend(&directory);
        let claimed = self.claimed.unwrap_or(self.entries.len() as u64);
        if self.large {
            let end = file.len() as u64;
            file.extend(b"PK\x06\x06");
            file.extend([&44_u64.to_le_bytes()[..], &[45, 0, 45, 0], &le(0), &le(0)].concat());
            file.extend([claimed, claimed, directory.len() as u64, start].map(u64::to_le_bytes).concat());
            file.extend([&b"PK\x06\x07"[..], &le(0), &end.to_le_bytes(), &le(1)].concat());
            file.extend(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
        } else {
            let claimed = u16::try_from(claimed).unwrap().to_le_bytes();
            file.extend([&b"PK\x05\x06\0\0\0\0"[..], &claimed, &claimed].concat());
            file.extend([le(u32::try_from(directory.len()).unwrap()), le(u32::try_from(start).unwrap())].concat());
        }
        file.extend(len(&self.comment));
        file.extend(&self.comment);
        file
    }
}

fn le(number: u32) -> [u8; 4] {
    number.to_le_bytes()
}

fn len(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap().to_le_bytes()
}
