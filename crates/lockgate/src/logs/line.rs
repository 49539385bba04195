//! A line of the error log, as nginx writes it: `2026/11/28 00:00:00 [warn] 7#9: what happened, key: value`.

use std::{
    cell::RefCell,
    fmt::{self, Write as _},
};

use jiff::{Timestamp, tz::TimeZone};
use tracing::{
    Event, Level,
    field::{Field, Visit},
};

/// The line of an event.
pub(super) fn format(event: &Event<'_>) -> String {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let level = match *event.metadata().level() {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "notice",
        Level::DEBUG => "info",
        Level::TRACE => "debug",
    };
    let mut line = head(level);
    line.push_str(&fields.message);
    line.push_str(&fields.rest);
    line.push('\n');
    line
}

/// What each line begins with.
pub(super) fn head(level: &str) -> String {
    thread_local! {
        /// The second that was written last.
        static NOW: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
    }
    let now = Timestamp::now();
    let second = now.as_second();
    let time = NOW.with_borrow_mut(|last| {
        if last.0 != second {
            let local = now.to_zoned_datetime(TimeZone::system());
            *last = (second, local.strftime("%Y/%m/%d %H:%M:%S").to_string());
        }
        last.1.clone()
    });
    let thread = rustix::thread::gettid().as_raw_nonzero();
    format!("{time} [{level}] {}#{thread}: ", std::process::id())
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Fields {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let _infallible = if field.name() == "message" {
            write!(Escaping(&mut self.message), "{value}")
        } else {
            write!(self.rest, ", {}: ", field.name())
                .and_then(|()| write!(Escaping(&mut self.rest), "{value}"))
        };
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}

/// Control characters would let a value pretend to be a line.
struct Escaping<'a>(&'a mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            if letter.is_control() {
                write!(self.0, "\\x{:02X}", u32::from(letter))?;
            } else {
                self.0.push(letter);
            }
        }
        Ok(())
    }
}
