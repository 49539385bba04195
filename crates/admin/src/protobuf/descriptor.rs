//! The wire format of `google.protobuf.FileDescriptorSet`, as far as it shows whether bytes are one.

/// Whether bytes are a set of file descriptors, one at least.
pub(super) fn is_set(bytes: &[u8]) -> bool {
    /// `FileDescriptorSet.file`
    const FILE: u64 = 1;
    let Some(fields) = fields(bytes) else {
        return false;
    };
    !fields.is_empty()
        && fields
            .iter()
            .all(|(number, content)| *number == FILE && content.is_some_and(is_file))
}

/// Whether bytes are a descriptor of a file: it has a name or contents, and fields that such a descriptor has.
fn is_file(bytes: &[u8]) -> bool {
    /// Largest number of a field of `FileDescriptorProto`, which is `edition`.
    const EDITION: u64 = 14;
    fields(bytes).is_some_and(|fields| {
        !fields.is_empty() && fields.iter().all(|(number, _)| *number <= EDITION)
    })
}

/// Number of a field, and its bytes where it has any.
type Field<'a> = (u64, Option<&'a [u8]>);

/// The fields of a message by number, with the bytes of those that have any; `None` where the bytes are no message.
fn fields(mut bytes: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let content = match key & 7 {
            0 => {
                varint(&mut bytes)?;
                None
            }
            1 => {
                bytes = bytes.get(8..)?;
                None
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (content, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Some(content)
            }
            5 => {
                bytes = bytes.get(4..)?;
                None
            }
            _ => return None,
        };
        if key >> 3 == 0 {
            return None;
        }
        fields.push((key >> 3, content));
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_sets_of_descriptors() {
        for (bytes, expected) in [
            // One file that is called "a".
            (&[0x0a, 3, 0x0a, 1, b'a'][..], true),
            (&[0x0a, 3, 0x0a, 1, b'a', 0x0a, 3, 0x0a, 1, b'b'], true),
            (&[], false),
            (&[0x0a, 0], false),
            (&[0x0a, 4, 0x0a, 1, b'a'], false),
            (&[0x12, 3, 0x0a, 1, b'a'], false),
            (&[0x0a, 3, 0x7a, 1, b'a'], false),
            (&[0x0a], false),
            (&[0xff; 11], false),
        ] {
            assert_eq!(is_set(bytes), expected, "{bytes:?}");
        }
    }
}
