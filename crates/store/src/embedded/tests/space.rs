//! The size of the file.

use std::{path::Path, sync::Arc};

use super::{super::file::Medium, Embedded, FakeDisk, put};
use crate::{EmbeddedOptions, HistoryLimits};

#[test]
fn uses_the_room_of_what_was_replaced() {
    let disk = Arc::new(FakeDisk::default());
    let options = EmbeddedOptions {
        history: HistoryLimits {
            max_records: 20,
            ..HistoryLimits::default()
        },
        ..EmbeddedOptions::default()
    };
    let store = Embedded::open_medium(Path::new("test"), disk.clone(), options).unwrap();
    let write = |count: usize| {
        for n in 0..count {
            let value = vec![n as u8; n * 37 % 3_000];
            put(&store, &format!("routes/{}", n % 10), &value).unwrap();
        }
        disk.len().unwrap()
    };
    let at_first = write(200);
    let later = write(1_000);
    assert!(later <= 2 * at_first, "{at_first} and then {later} bytes");
}
