//! `conf/debug.yaml`, which switches the basic debug mode while the gateway runs: read at start, looked at each second, and read
//! again when it has changed (`apisix/debug.lua`).
//!
//! Its hooks print what Lua functions of the reference are called with; there are none here, so that part is only told of.

use std::{
    fs,
    future::Future,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use lockgate_model::document::{self, Document, Format, Unreadable};
use lockgate_proxy::DebugMode;
use serde_json::Value;

use crate::{config_file, configuration::Configuration};

/// Time between two looks; the reference's.
const POLL: Duration = Duration::from_secs(1);

/// Longest file that is read; the reference's own has 1.5 KiB.
const LIMIT_BYTES: u64 = 64 << 10;

/// The file, and the mode that it switches.
pub(crate) struct DebugFile {
    path: PathBuf,
    mode: DebugMode,
    /// State of the file that was looked into last.
    seen: Option<Stamp>,
}

/// Tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    changed: (i64, i64),
    bytes: u64,
    inode: (u64, u64),
}

/// What a file asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    /// The basic mode.
    basic: bool,
    /// Calls of functions in the error log.
    hooks: bool,
}

impl DebugFile {
    /// Reads the file, where there is one.
    pub(crate) fn open(configuration: &Configuration) -> Self {
        let path = configuration.below_prefix(config_file::profiled("debug", "yaml"));
        Self::at(path)
    }

    fn at(path: PathBuf) -> Self {
        let mut file = Self {
            path,
            mode: DebugMode::default(),
            seen: None,
        };
        if let Some(outcome) = read_changed(&file.path, None) {
            file.take(outcome);
        }
        file
    }

    /// What it switches.
    pub(crate) fn mode(&self) -> DebugMode {
        self.mode.clone()
    }

    /// Takes changes in until it is `stopped`.
    pub(crate) async fn follow(mut self, stopped: impl Future<Output = ()>) -> io::Result<()> {
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                () = tokio::time::sleep(POLL) => self.look().await,
                () = &mut stopped => return Ok(()),
            }
        }
    }

    async fn look(&mut self) {
        let (path, seen) = (self.path.clone(), self.seen);
        let read = tokio::task::spawn_blocking(move || read_changed(&path, seen)).await;
        if let Ok(Some(outcome)) = read {
            self.take(outcome);
        }
    }

    fn take(&mut self, (stamp, text): (Stamp, io::Result<String>)) {
        self.seen = Some(stamp);
        let path = self.path.display();
        let asked = match text.map(|text| asked(&text)) {
            Ok(Ok(asked)) => asked,
            // As the reference, which is used to empty files.
            Ok(Err(Unreadable::NoEnd)) if stamp.bytes <= 8 => return,
            Ok(Err(error)) => {
                tracing::warn!(%path, %error, "the debug mode stays as it is");
                return;
            }
            Err(error) => {
                tracing::error!(%path, %error, "the debug mode stays as it is");
                return;
            }
        };
        if asked.hooks {
            tracing::warn!(%path, "hook_conf.enable has no effect: there are no Lua functions to look into");
        }
        if asked.basic != self.mode.is_on() {
            self.mode.set(asked.basic);
            let state = if asked.basic { "on" } else { "off" };
            tracing::warn!(%path, "the basic debug mode is {state}");
        }
    }
}

/// Reads a file if it is there, and in another state than the known one.
fn read_changed(path: &Path, known: Option<Stamp>) -> Option<(Stamp, io::Result<String>)> {
    // The state is looked at before the bytes: a change in between shows at the next look.
    let found = fs::metadata(path).ok()?;
    let stamp = Stamp {
        changed: (found.ctime(), found.ctime_nsec()),
        bytes: found.len(),
        inode: (found.dev(), found.ino()),
    };
    if known == Some(stamp) {
        return None;
    }
    let text = if found.is_file() && stamp.bytes <= LIMIT_BYTES {
        fs::read_to_string(path)
    } else {
        let limit = LIMIT_BYTES >> 10;
        Err(io::Error::other(format!(
            "it is not a file of at most {limit} KiB"
        )))
    };
    Some((stamp, text))
}

fn asked(text: &str) -> Result<Asked, Unreadable> {
    let document = document::read_file(text, Format::Yaml, &|_| None)?;
    Ok(Asked {
        basic: is_enabled(&document, "basic"),
        hooks: is_enabled(&document, "hook_conf"),
    })
}

fn is_enabled(document: &Document, part: &str) -> bool {
    let enable = document.get(part).and_then(|part| part.get("enable"));
    enable.and_then(Value::as_bool).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_asked_for() {
        let asks = |basic, hooks| Ok(Asked { basic, hooks });
        for (text, expected) in [
            ("basic:\n  enable: true\n#END\n", asks(true, false)),
            ("basic: {enable: false}\n#END", asks(false, false)),
            ("hook_conf: {enable: true}\n#END", asks(false, true)),
            ("basic: {enable: yes please}\n#END", asks(false, false)),
            ("basic: 1\n#END", asks(false, false)),
            ("basic: {enable: true}\n", Err(Unreadable::NoEnd)),
        ] {
            assert_eq!(asked(text), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn switches_with_each_file_that_is_whole() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("debug.yaml");
        let mut file = DebugFile::at(path.clone());
        let mode = file.mode();
        file.look().await;
        assert!(!mode.is_on(), "there is no file");
        for (text, is_on) in [
            ("basic: {enable: true}\n#END", true),
            ("basic: {enable: false}", true),
            ("basic: {enable: false}\n#END", false),
            ("basic: [enable: true\n#END", false),
            ("basic: {enable: true} \n#END", true),
        ] {
            fs::write(&path, text).expect("written");
            file.look().await;
            assert_eq!(mode.is_on(), is_on, "{text}");
        }
        fs::remove_file(&path).expect("removed");
        file.look().await;
        assert!(mode.is_on(), "a file that is gone says nothing");
        assert!(!DebugFile::at(path).mode().is_on());
    }
}
