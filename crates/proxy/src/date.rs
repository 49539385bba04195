//! The `Date` field, made once per second (RFC 9110 §5.6.7).

use std::{cell::RefCell, time::Duration};

/// The text of the last second asked for.
#[derive(Debug, Default)]
pub(crate) struct Date {
    text: RefCell<(u64, String)>,
}

impl Date {
    /// Appends `Date: Sun, 06 Nov 1994 08:49:37 GMT` and a line end.
    #[inline]
    pub(crate) fn write(&self, unix: Duration, out: &mut Vec<u8>) {
        let mut text = self.text.borrow_mut();
        if text.0 != unix.as_secs() || text.1.is_empty() {
            *text = (
                unix.as_secs(),
                format!("Date: {}\r\n", imf_fixdate(unix.as_secs())),
            );
        }
        out.extend_from_slice(text.1.as_bytes());
    }
}

/// Seconds since the Unix epoch as an IMF-fixdate.
pub(crate) fn imf_fixdate(unix: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (days, seconds) = (unix / 86_400, unix % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} GMT",
        DAYS.get((days % 7) as usize).copied().unwrap_or_default(),
        MONTHS.get(month as usize - 1).copied().unwrap_or_default(),
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
    )
}

/// Year, month (1 to 12) and day (1 to 31) of a day since the Unix epoch, in the Gregorian calendar.
///
/// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
pub(crate) fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_date_of_the_rfc() {
        for (unix, text) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (4_102_444_799, "Thu, 31 Dec 2099 23:59:59 GMT"),
        ] {
            assert_eq!(imf_fixdate(unix), text);
        }
    }
}
