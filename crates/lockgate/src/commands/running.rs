//! What commands know of a gateway that runs in the background: the file of its id, and the configuration it was started with.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process, test_kill_process},
};

use crate::configuration::below;

/// Pause between two looks at a process that is to end.
const POLL: Duration = Duration::from_millis(20);

/// The directory of a gateway.
pub(super) struct Home<'a>(pub(super) &'a Path);

/// Whether a gateway runs, by the file of its id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// There is no id.
    None,
    /// What is written is the id of no process.
    Invalid,
    /// The process is gone.
    Gone(i32),
    /// It runs.
    Running(Pid),
}

impl Home<'_> {
    /// Looks at the file of the id.
    pub(super) fn state(&self) -> anyhow::Result<State> {
        let path = self.pid_path();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let Ok(number) = text.trim().parse::<i32>() else {
            return Ok(State::None);
        };
        let Some(pid) = Pid::from_raw(number.max(0)) else {
            return Ok(State::Invalid);
        };
        Ok(match test_kill_process(pid) {
            Err(Errno::SRCH) => State::Gone(number),
            // One of another user runs, too.
            Ok(()) | Err(_) => State::Running(pid),
        })
    }

    /// Waits until what runs has ended, so long at most; what is the case then.
    pub(super) fn wait_for_end(&self, limit: Duration) -> anyhow::Result<State> {
        let began = Instant::now();
        loop {
            let state = self.state()?;
            if !matches!(state, State::Running(_)) || began.elapsed() >= limit {
                return Ok(state);
            }
            std::thread::park_timeout(POLL);
        }
    }

    /// Sends a signal to what runs; false where nothing does.
    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<bool> {
        let State::Running(pid) = self.state()? else {
            return Ok(false);
        };
        match kill_process(pid, signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => {
                let id = pid.as_raw_nonzero();
                bail!("cannot signal the process {id}: {error}")
            }
        }
    }

    /// The file of the id.
    pub(super) fn pid_path(&self) -> PathBuf {
        below(self.0, Path::new("logs/nginx.pid"))
    }

    /// The configuration that `start -c` named, for the commands that follow (`apisix/core/profile.lua`).
    pub(super) fn started_with(&self) -> Option<PathBuf> {
        let text = fs::read_to_string(self.index_path()).ok()?;
        Some(PathBuf::from(text))
    }

    /// Keeps which configuration the gateway is started with.
    pub(super) fn remember(&self, config: &Path) -> anyhow::Result<()> {
        let absolute = std::path::absolute(config)
            .with_context(|| format!("cannot tell where {} is", config.display()))?;
        let index = self.index_path();
        let written = fs::write(&index, absolute.as_os_str().as_encoded_bytes());
        written.with_context(|| format!("cannot write {}", index.display()))
    }

    /// Forgets it.
    pub(super) fn forget(&self) {
        // Mostly there is none.
        let _missing = fs::remove_file(self.index_path());
    }

    fn index_path(&self) -> PathBuf {
        below(self.0, Path::new("conf/.customized_config_path"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_is_in_the_file_of_the_id() {
        let dir = tempfile::tempdir().expect("directory");
        let home = Home(dir.path());
        assert_eq!(home.state().expect("readable"), State::None);
        fs::create_dir(dir.path().join("logs")).expect("made");
        let own = i32::try_from(std::process::id()).expect("an id");
        let cases = [
            ("", State::None),
            ("x", State::None),
            ("-1\n", State::Invalid),
            ("0", State::Invalid),
            // Above what Linux gives out.
            ("2147483647\n", State::Gone(i32::MAX)),
            (
                &format!("{own}\n"),
                State::Running(Pid::from_raw(own).expect("an id")),
            ),
        ];
        for (text, expected) in cases {
            fs::write(home.pid_path(), text).expect("written");
            assert_eq!(home.state().expect("readable"), expected, "{text:?}");
        }
        let waited = home.wait_for_end(Duration::from_millis(1));
        assert!(matches!(waited.expect("readable"), State::Running(_)));
    }

    #[test]
    fn keeps_which_configuration_was_named() {
        let dir = tempfile::tempdir().expect("directory");
        fs::create_dir(dir.path().join("conf")).expect("made");
        let home = Home(dir.path());
        assert_eq!(home.started_with(), None);
        home.remember(Path::new("x.yaml")).expect("written");
        let kept = home.started_with().expect("written");
        assert!(
            kept.is_absolute() && kept.ends_with("x.yaml"),
            "{}",
            kept.display()
        );
        home.forget();
        assert_eq!(home.started_with(), None);
    }
}
