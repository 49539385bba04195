//! `lockgate` in an empty directory: fixed ports, so in a network of its own where the system gives one.

use std::{env, process::Command};

use crate::support::{Process, get, lockgate};

/// Set for the process that runs inside.
const INSIDE: &str = "LOCKGATE_TEST_INSIDE";

#[test]
fn starts_in_an_empty_directory() {
    if env::var_os(INSIDE).is_none()
        && let Some(flags) = ["-n", "-rn"].into_iter().find(|flags| can_unshare(flags))
    {
        let own = env::current_exe().expect("known");
        let script = "ip link set lo up && exec \"$0\" --exact without_file::starts_in_an_empty_directory --nocapture";
        let status = Command::new("unshare")
            .args([flags, "sh", "-c", script])
            .arg(own)
            .env(INSIDE, "1")
            .status();
        assert!(status.expect("runs").success());
        return;
    }
    let prefix = tempfile::tempdir().expect("directory");
    let mut process = Process::start(lockgate().current_dir(prefix.path()));
    assert!(process.says("the gateway runs"), "{}", process.said);
    assert!(
        process
            .said
            .contains("there is no configuration file: the Admin API asks for no key"),
        "{}",
        process.said
    );
    let said = process.said.lines().last().unwrap_or_default();
    assert!(
        said.contains("proxy: 0.0.0.0:9080")
            && said.contains("admin: 127.0.0.1:9180, control: 127.0.0.1:9090"),
        "{said}"
    );
    let response = get(([127, 0, 0, 1], 9080).into(), "/");
    assert!(
        response.starts_with("HTTP/1.1 404 ") && response.contains("404 Route Not Found"),
        "{response}"
    );
    let listed = get(([127, 0, 0, 1], 9180).into(), "/apisix/admin/routes");
    assert!(listed.starts_with("HTTP/1.1 200 "), "{listed}");
    for file in ["data/store.redb", "logs/access.log", "logs/error.log"] {
        assert!(prefix.path().join(file).exists(), "{file}");
    }
}

fn can_unshare(flags: &str) -> bool {
    let probe = Command::new("unshare")
        .args([flags, "sh", "-c", "ip link set lo up"])
        .output();
    probe.is_ok_and(|probe| probe.status.success())
}
