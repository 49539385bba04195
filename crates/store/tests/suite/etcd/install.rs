//! Where etcd is; Debian's package is installed where it is not.

use std::{fs::File, path::Path, process::Command};

const ETCD: &str = "/usr/bin/etcd";

/// The program. Tests that run at the same time, in this process or another, wait for the one that installs it.
pub(crate) fn etcd() -> &'static Path {
    let path = Path::new(ETCD);
    if path.exists() {
        return path;
    }
    let lock = File::create(std::env::temp_dir().join("lockgate-install-etcd.lock"))
        .expect("a temporary file can be made");
    lock.lock().expect("the file can be locked");
    if !path.exists() {
        apt_get(&["update"]);
        apt_get(&["install", "-y", "--no-install-recommends", "etcd-server"]);
    }
    assert!(
        path.exists(),
        "the package etcd-server has brought no {ETCD}"
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
        "these tests need etcd 3.4 or newer in {ETCD}, and `apt-get {}` failed (it needs root): {problem}",
        arguments.join(" ")
    );
}
