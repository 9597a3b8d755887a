//! The fixed parts of the records of a zip file, with the fields in the order of sections 4.3.7 to 4.3.16 of
//! <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>. Numbers are little-endian.

/// Takes one field after the other from a record.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn next<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("invariant: a record is as long as its fields");
        self.0 = rest;
        *field
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.next())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.next())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.next())
    }

    fn skip<const N: usize>(&mut self) {
        self.next::<N>();
    }
}

/// Local file header (4.3.7), which precedes an entry's name, extra fields and data.
pub(crate) struct LocalHeader {
    pub(crate) signature: u32,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc32: u32,
    pub(crate) compressed_size: u32,
    pub(crate) uncompressed_size: u32,
    pub(crate) name_length: u16,
    pub(crate) extra_length: u16,
}

impl LocalHeader {
    pub(crate) const BYTES: usize = 30;
    pub(crate) const SIGNATURE: u32 = 0x0403_4b50;

    pub(crate) fn parse(record: &[u8; Self::BYTES]) -> Self {
        let mut fields = Fields(record);
        let signature = fields.u32();
        fields.skip::<2>(); // version needed
        let (flags, method) = (fields.u16(), fields.u16());
        fields.skip::<4>(); // time and date
        Self {
            signature,
            flags,
            method,
            crc32: fields.u32(),
            compressed_size: fields.u32(),
            uncompressed_size: fields.u32(),
            name_length: fields.u16(),
            extra_length: fields.u16(),
        }
    }
}

/// Central directory header (4.3.12), which precedes an entry's name, extra fields and comment.
pub(crate) struct CentralHeader {
    pub(crate) signature: u32,
    /// Its lower half is the version of the format, times ten.
    pub(crate) version_needed: u16,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc32: u32,
    pub(crate) compressed_size: u32,
    pub(crate) uncompressed_size: u32,
    pub(crate) name_length: u16,
    pub(crate) extra_length: u16,
    pub(crate) comment_length: u16,
    pub(crate) disk_start: u16,
    /// Its upper half is the Unix mode.
    pub(crate) external_attributes: u32,
    pub(crate) local_header_offset: u32,
}

impl CentralHeader {
    pub(crate) const BYTES: usize = 46;
    pub(crate) const SIGNATURE: u32 = 0x0201_4b50;

    pub(crate) fn parse(record: &[u8; Self::BYTES]) -> Self {
        let mut fields = Fields(record);
        let signature = fields.u32();
        fields.skip::<2>(); // version made by
        let version_needed = fields.u16();
        let (flags, method) = (fields.u16(), fields.u16());
        fields.skip::<4>(); // time and date
        let (crc32, compressed_size, uncompressed_size) = (fields.u32(), fields.u32(), fields.u32());
        let (name_length, extra_length, comment_length) = (fields.u16(), fields.u16(), fields.u16());
        let disk_start = fields.u16();
        fields.skip::<2>(); // internal attributes
        Self {
            signature,
            version_needed,
            flags,
            method,
            crc32,
            compressed_size,
            uncompressed_size,
            name_length,
            extra_length,
            comment_length,
            disk_start,
            external_attributes: fields.u32(),
            local_header_offset: fields.u32(),
        }
    }

    pub(crate) fn unix_mode(&self) -> u32 {
        self.external_attributes >> 16
    }

    /// Whether it is a folder by its attributes of MS-DOS.
    pub(crate) fn is_dos_folder(&self) -> bool {
        self.external_attributes & 0x10 != 0
    }
}

/// End of central directory record (4.3.16), which precedes the archive's comment.
pub(crate) struct EndOfDirectory {
    pub(crate) disk: u16,
    pub(crate) directory_disk: u16,
    pub(crate) disk_entries: u16,
    pub(crate) entries: u16,
    pub(crate) directory_size: u32,
    pub(crate) directory_offset: u32,
    pub(crate) comment_length: u16,
}

impl EndOfDirectory {
    pub(crate) const BYTES: usize = 22;
    pub(crate) const SIGNATURE: [u8; 4] = *b"PK\x05\x06";

    pub(crate) fn parse(record: &[u8; Self::BYTES]) -> Self {
        let mut fields = Fields(record);
        fields.skip::<4>(); // signature
        Self {
            disk: fields.u16(),
            directory_disk: fields.u16(),
            disk_entries: fields.u16(),
            entries: fields.u16(),
            directory_size: fields.u32(),
            directory_offset: fields.u32(),
            comment_length: fields.u16(),
        }
    }
}

/// Zip64 end of central directory locator (4.3.15), directly before the end of central directory record.
pub(crate) struct Zip64Locator {
    pub(crate) signature: u32,
    pub(crate) end_disk: u32,
    pub(crate) end_offset: u64,
    pub(crate) disks: u32,
}

impl Zip64Locator {
    pub(crate) const BYTES: usize = 20;
    pub(crate) const SIGNATURE: u32 = 0x0706_4b50;

    pub(crate) fn parse(record: &[u8; Self::BYTES]) -> Self {
        let mut fields = Fields(record);
        Self { signature: fields.u32(), end_disk: fields.u32(), end_offset: fields.u64(), disks: fields.u32() }
    }
}

/// Zip64 end of central directory record (4.3.14), without extensible data.
pub(crate) struct Zip64EndOfDirectory {
    pub(crate) signature: u32,
    /// The size in bytes of what follows this field.
    pub(crate) remaining_size: u64,
    pub(crate) disk: u32,
    pub(crate) directory_disk: u32,
    pub(crate) disk_entries: u64,
    pub(crate) entries: u64,
    pub(crate) directory_size: u64,
    pub(crate) directory_offset: u64,
}

impl Zip64EndOfDirectory {
    pub(crate) const BYTES: usize = 56;
    pub(crate) const SIGNATURE: u32 = 0x0606_4b50;
    /// `remaining_size` of a record without extensible data.
    pub(crate) const REMAINING_SIZE: u64 = 44;

    pub(crate) fn parse(record: &[u8; Self::BYTES]) -> Self {
        let mut fields = Fields(record);
        let (signature, remaining_size) = (fields.u32(), fields.u64());
        fields.skip::<4>(); // versions made by and needed
        Self {
            signature,
            remaining_size,
            disk: fields.u32(),
            directory_disk: fields.u32(),
            disk_entries: fields.u64(),
            entries: fields.u64(),
            directory_size: fields.u64(),
            directory_offset: fields.u64(),
        }
    }
}

/// Data descriptor (4.3.9): the checksum and sizes after an entry's data.
pub(crate) struct DataDescriptor {
    pub(crate) crc32: u32,
    pub(crate) compressed_size: u64,
    pub(crate) uncompressed_size: u64,
}

impl DataDescriptor {
    /// With a signature and zip64 sizes.
    pub(crate) const MAX_BYTES: u64 = 24;

    /// Reads a descriptor of any of the four lengths: the signature is optional, and sizes have four or eight bytes.
    pub(crate) fn parse(record: &[u8]) -> Option<Self> {
        let record = match record.len() {
            16 | 24 => record.strip_prefix(b"PK\x07\x08")?,
            12 | 20 => record,
            _ => return None,
        };
        let has_long_sizes = record.len() == 20;
        let mut fields = Fields(record);
        let crc32 = fields.u32();
        let mut size = || if has_long_sizes { fields.u64() } else { fields.u32().into() };
        Some(Self { crc32, compressed_size: size(), uncompressed_size: size() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record whose every byte is its own offset.
    fn numbered<const N: usize>() -> [u8; N] {
        std::array::from_fn(|at| u8::try_from(at).unwrap())
    }

    /// The little-endian number of consecutive bytes that starts at an offset.
    fn at(offset: u8, bytes: u8) -> u64 {
        (0..bytes).rev().fold(0, |number, byte| number << 8 | u64::from(offset + byte))
    }

    #[test]
    fn fields_stand_at_the_offsets_of_the_specification() {
        let local = LocalHeader::parse(&numbered());
        assert_eq!((u64::from(local.flags), u64::from(local.method)), (at(6, 2), at(8, 2)));
        assert_eq!(
            (u64::from(local.crc32), u64::from(local.compressed_size), u64::from(local.uncompressed_size)),
            (at(14, 4), at(18, 4), at(22, 4))
        );
        assert_eq!((u64::from(local.name_length), u64::from(local.extra_length)), (at(26, 2), at(28, 2)));

        let central = CentralHeader::parse(&numbered());
        assert_eq!(u64::from(central.version_needed), at(6, 2));
        assert_eq!((u64::from(central.flags), u64::from(central.method)), (at(8, 2), at(10, 2)));
        assert_eq!(
            (u64::from(central.crc32), u64::from(central.compressed_size), u64::from(central.uncompressed_size)),
            (at(16, 4), at(20, 4), at(24, 4))
        );
        assert_eq!(
            [central.name_length, central.extra_length, central.comment_length, central.disk_start].map(u64::from),
            [at(28, 2), at(30, 2), at(32, 2), at(34, 2)]
        );
        assert_eq!(
            (u64::from(central.external_attributes), u64::from(central.local_header_offset)),
            (at(38, 4), at(42, 4))
        );

        let end = EndOfDirectory::parse(&numbered());
        assert_eq!(
            [end.disk, end.directory_disk, end.disk_entries, end.entries, end.comment_length].map(u64::from),
            [at(4, 2), at(6, 2), at(8, 2), at(10, 2), at(20, 2)]
        );
        assert_eq!((u64::from(end.directory_size), u64::from(end.directory_offset)), (at(12, 4), at(16, 4)));

        let locator = Zip64Locator::parse(&numbered());
        assert_eq!(
            (u64::from(locator.end_disk), locator.end_offset, u64::from(locator.disks)),
            (at(4, 4), at(8, 8), at(16, 4))
        );

        let end = Zip64EndOfDirectory::parse(&numbered());
        assert_eq!(
            (end.remaining_size, u64::from(end.disk), u64::from(end.directory_disk)),
            (at(4, 8), at(16, 4), at(20, 4))
        );
        assert_eq!(
            [end.disk_entries, end.entries, end.directory_size, end.directory_offset],
            [at(24, 8), at(32, 8), at(40, 8), at(48, 8)]
        );
    }

    #[test]
    fn a_data_descriptor_has_one_of_four_lengths() {
        let short = [&7_u32.to_le_bytes()[..], &8_u32.to_le_bytes(), &9_u32.to_le_bytes()].concat();
        let long = [&7_u32.to_le_bytes()[..], &8_u64.to_le_bytes(), &9_u64.to_le_bytes()].concat();
        for plain in [short, long] {
            for record in [plain.clone(), [&b"PK\x07\x08"[..], &plain].concat()] {
                let descriptor = DataDescriptor::parse(&record).unwrap();
                let DataDescriptor { crc32, compressed_size, uncompressed_size } = descriptor;
                assert_eq!((crc32, compressed_size, uncompressed_size), (7, 8, 9));
                assert!(DataDescriptor::parse(&record[1..]).is_none());
            }
        }
    }
}
