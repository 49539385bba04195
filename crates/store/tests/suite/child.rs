//! Other processes: a test runs its own binary again, which finds that test in another role.

use std::{
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
};

/// Where the child finds the file of the store.
const PATH: &str = "LOCKGATE_STORE_TEST_PATH";

/// Begins what a child says; the test harness writes to the same stream.
const MARK: &str = "@child ";

/// In a child, the file to work on.
pub(crate) fn path() -> Option<PathBuf> {
    env::var_os(PATH).map(PathBuf::from)
}

/// Says a line to the parent.
pub(crate) fn say(line: &str) {
    println!("\n{MARK}{line}");
}

/// A child that says things, and is killed when this is dropped.
pub(crate) struct Spawned {
    pub(crate) child: Child,
    pub(crate) lines: Receiver<String>,
}

impl Spawned {
    /// Runs a test of this binary, given by its whole name, as a child that works on `path`.
    pub(crate) fn test(name: &str, path: &Path) -> Self {
        Self::start(Command::new(env::current_exe().unwrap()), name, path)
    }

    /// As [`Self::test`], in an environment where files cannot be larger than so many blocks of 512 bytes.
    pub(crate) fn test_with_small_files(name: &str, path: &Path, blocks: u32) -> Self {
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!(
                "trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\""
            ))
            .arg(env::current_exe().unwrap());
        Self::start(shell, name, path)
    }

    fn start(mut command: Command, name: &str, path: &Path) -> Self {
        let mut child = command
            .args([name, "--exact", "--nocapture", "--test-threads=1"])
            .env(PATH, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(said) = line.strip_prefix(MARK)
                    && send.send(said.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Kills it and returns what it had said that has not been read.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().collect()
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
