//! Runs one test of this binary in a process of its own, where limits and counts of the process are its alone.

use std::process::Command;

/// Set in the process that does the work.
const MARK: &str = "LOCKGATE_TEST_ALONE";

/// Runs `work` in another process, started by `shell` with this binary as its `$0`; `test` is the test's full name.
pub(crate) fn alone(test: &str, shell: &str, work: impl FnOnce()) {
    if std::env::var_os(MARK).is_some() {
        work();
        return;
    }
    let binary = std::env::current_exe().expect("this binary");
    let output = Command::new("sh")
        .args(["-c", shell])
        .arg(binary)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(MARK, "1")
        .output()
        .expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}
