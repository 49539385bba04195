//! Starts that cannot be: one sentence, and exit code 1.

use std::{net::TcpListener, path::Path};

use crate::{
    gateway::{Gateway, config},
    support::{Process, free_ports, lockgate, text, write},
};

/// Starts with a file and expects one line that ends it.
#[track_caller]
fn check(prefix: &Path, file: &str, expected: &str) {
    write(prefix, "conf/config.yaml", file);
    let mut process = Process::start(lockgate().arg("-p").arg(prefix));
    assert!(!process.says("the gateway runs"), "{file}");
    assert_eq!(process.end().code(), Some(1), "{file}");
    let said = &process.said;
    let last = said.lines().last().unwrap_or_default();
    assert_eq!(last, format!("lockgate: {expected}"), "{file}\n{said}");
    assert!(
        !said.contains("panic") && !said.contains("backtrace"),
        "{said}"
    );
}

#[test]
fn a_taken_port_names_its_option() {
    let prefix = tempfile::tempdir().expect("directory");
    let held = TcpListener::bind("127.0.0.1:0").expect("free port");
    let taken = held.local_addr().expect("bound").port();
    let options = [
        "apisix.node_listen",
        "deployment.admin.admin_listen",
        "apisix.control",
    ];
    for (which, option) in options.into_iter().enumerate() {
        let mut ports = free_ports();
        ports[which] = taken;
        let expected =
            format!("cannot listen on 127.0.0.1:{taken} ({option}): another process listens there");
        check(prefix.path(), &config(ports, "k", ""), &expected);
    }
}

#[test]
fn a_store_in_use_is_named() {
    let gateway = Gateway::start("");
    let expected = format!(
        "the store {} is in use by another process",
        gateway.prefix.path().join("data/store.redb").display()
    );
    check(
        gateway.prefix.path(),
        &config(free_ports(), "k", ""),
        &expected,
    );
}

#[test]
fn a_bad_file_is_named_with_its_line() {
    let prefix = tempfile::tempdir().expect("directory");
    let path = prefix.path().join("conf/config.yaml");
    let path = path.display();
    let cases = [
        ("apisix:\n  id: a: b\n", format!("{path}:2: ")),
        (
            "nginx_config:\n  http:\n    send_timeout: soon\n",
            format!("{path}:3: nginx_config.http.send_timeout: "),
        ),
        (
            "apisix: {id: '${{LOCKGATE_TEST_IS_NOT_SET}}'}",
            format!("{path}:1: failed to handle configuration: "),
        ),
        (
            "deployment: {role: data_plane, role_data_plane: {config_provider: xds}}",
            format!("{path}:1: deployment.role_data_plane.config_provider: xds is not built yet: "),
        ),
    ];
    for (file, expected) in cases {
        write(prefix.path(), "conf/config.yaml", file);
        let output = lockgate()
            .arg("-p")
            .arg(prefix.path())
            .output()
            .expect("runs");
        assert_eq!(output.status.code(), Some(1), "{file}");
        let said = text(&output.stderr);
        assert!(
            said.starts_with(&format!("lockgate: {expected}")) && said.lines().count() == 1,
            "{file}: {said}"
        );
    }
}

#[test]
fn a_file_that_is_asked_for_must_be_there() {
    let prefix = tempfile::tempdir().expect("directory");
    let start = |arguments: &[&str], profile: &str| {
        let mut command = lockgate();
        command
            .arg("-p")
            .arg(prefix.path())
            .args(arguments)
            .env("APISIX_PROFILE", profile);
        let output = command.output().expect("runs");
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr)
    };
    assert_eq!(
        start(&["-c", "no/such.yaml"], ""),
        "lockgate: customized config file not exists, path: no/such.yaml\n"
    );
    let missing = prefix.path().join("conf/config-dev.yaml");
    assert_eq!(
        start(&[], "dev"),
        format!(
            "lockgate: there is no {} for APISIX_PROFILE=dev\n",
            missing.display()
        )
    );
    write(prefix.path(), "conf/config-dev.yaml", "a: [");
    assert!(start(&[], "dev").contains("conf/config-dev.yaml:1: "));
}

#[test]
fn a_file_that_leads_nowhere_does_not_count_as_none() {
    let prefix = tempfile::tempdir().expect("directory");
    std::fs::create_dir(prefix.path().join("conf")).expect("made");
    let path = prefix.path().join("conf/config.yaml");
    std::os::unix::fs::symlink("nowhere", &path).expect("linked");
    let mut process = Process::start(lockgate().arg("-p").arg(prefix.path()));
    assert_eq!(process.end().code(), Some(1));
    let expected = format!("lockgate: cannot read {}: No such file", path.display());
    assert!(process.said.starts_with(&expected), "{}", process.said);
}

#[test]
fn logs_that_cannot_be_written_are_named() {
    let prefix = tempfile::tempdir().expect("directory");
    let file = |http: &str| config(free_ports(), "k", http);
    let error_log = file("").replace("error_log: stderr", "error_log: /proc/none/error.log");
    check(
        prefix.path(),
        &error_log,
        "cannot open the error log /proc/none/error.log: No such file or directory (os error 2)",
    );
    check(
        prefix.path(),
        &file("  http: {access_log: /proc/none/access.log}\n"),
        "cannot open the access log /proc/none/access.log: No such file or directory (os error 2)",
    );
}

#[test]
fn a_prefix_that_cannot_be_used_is_named() {
    let prefix = tempfile::tempdir().expect("directory");
    write(prefix.path(), "logs", "a file");
    let expected = format!(
        "cannot make the directory {}: ",
        prefix.path().join("logs").display()
    );
    let output = lockgate()
        .arg("-p")
        .arg(prefix.path())
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.starts_with(&format!("lockgate: {expected}")) && said.lines().count() == 1,
        "{said}"
    );
}
