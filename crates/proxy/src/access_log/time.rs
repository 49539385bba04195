//! Times as nginx writes them into logs, in the machine's time zone.

use std::{cell::RefCell, time::Duration};

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};

thread_local! {
    /// The second formatted last, and both its texts: a busy worker formats once per second.
    static LAST: RefCell<(u64, String, String)> = const { RefCell::new((0, String::new(), String::new())) };
}

/// `$time_local`: `23/Nov/2026:20:00:00 +0000`.
pub(crate) fn local(unix: Duration, out: &mut Vec<u8>) {
    with(unix, |last| out.extend_from_slice(last.1.as_bytes()));
}

/// `$time_iso8601`: `2026-11-23T20:00:00+00:00`.
pub(crate) fn iso8601(unix: Duration, out: &mut Vec<u8>) {
    with(unix, |last| out.extend_from_slice(last.2.as_bytes()));
}

fn with(unix: Duration, read: impl FnOnce(&(u64, String, String))) {
    LAST.with_borrow_mut(|last| {
        if last.0 != unix.as_secs() || last.1.is_empty() {
            let at = Timestamp::from_second(unix.as_secs().cast_signed())
                .unwrap_or(Timestamp::UNIX_EPOCH);
            let zoned = at.to_zoned_datetime(TimeZone::system());
            *last = (unix.as_secs(), in_log(&zoned), in_iso(&zoned));
        }
        read(last);
    });
}

fn in_log(at: &ZonedDateTime) -> String {
    at.strftime("%d/%b/%Y:%H:%M:%S %z").to_string()
}

fn in_iso(at: &ZonedDateTime) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_both_forms() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let at = Timestamp::from_second(784_111_777)
            .expect("valid")
            .to_zoned_datetime(zone);
        assert_eq!(in_log(&at), "06/Nov/1994:10:49:37 +0200");
        assert_eq!(in_iso(&at), "1994-11-06T10:49:37+02:00");
    }
}
