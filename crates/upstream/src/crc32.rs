//! CRC-32 as zip and nginx have it (reflected polynomial 0xEDB88320).

const TABLE: [u32; 256] = table();

/// A checksum in the making.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crc32(u32);

impl Crc32 {
    pub(crate) fn new() -> Self {
        Self(u32::MAX)
    }

    /// Takes in more bytes.
    #[inline]
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let low = (self.0 as u8) ^ byte;
            // Invariant: the table has an entry for every byte.
            let entry = TABLE.get(usize::from(low)).copied().unwrap_or_default();
            self.0 = entry ^ (self.0 >> 8);
        }
    }

    /// The checksum of what was taken in.
    #[inline]
    pub(crate) fn value(self) -> u32 {
        !self.0
    }
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0_usize;
    while index < 256 {
        let mut entry = index as u32;
        let mut bit = 0;
        while bit < 8 {
            entry = if entry & 1 == 1 {
                0xEDB8_8320 ^ (entry >> 1)
            } else {
                entry >> 1
            };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            table[index] = entry;
        }
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_check_value_of_its_definition() {
        let mut crc = Crc32::new();
        crc.update(b"1234");
        crc.update(b"56789");
        assert_eq!(crc.value(), 0xCBF4_3926);
        assert_eq!(Crc32::new().value(), 0);
    }
}
