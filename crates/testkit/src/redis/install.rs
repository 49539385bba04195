//! Where Redis is; Debian's packages are installed where it is not.

use std::{fs::File, path::Path, process::Command};

const SERVER: &str = "/usr/bin/redis-server";

/// The program; with `--sentinel` it is a sentinel. Tests that run at the same time, in this process or another, wait for the
/// one that installs it.
pub(super) fn server() -> &'static Path {
    let path = Path::new(SERVER);
    if path.exists() {
        return path;
    }
    let lock = File::create(std::env::temp_dir().join("lockgate-install-redis.lock"))
        .expect("a temporary file can be made");
    lock.lock().expect("the file can be locked");
    if !path.exists() {
        apt_get(&["update"]);
        apt_get(&["install", "-y", "--no-install-recommends", "redis-server"]);
    }
    assert!(
        path.exists(),
        "the package redis-server has brought no {SERVER}"
    );
    path
}

fn apt_get(arguments: &[&str]) {
    let outcome = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output();
    let problem = match outcome {
        Ok(output) if output.status.success() => return,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    panic!(
        "these tests need Redis 7 or newer in {SERVER}, and `apt-get {}` failed (it needs root): {problem}",
        arguments.join(" ")
    );
}
