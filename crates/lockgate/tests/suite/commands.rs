//! `version`, `help`, `test`, and what is none of them.

use crate::support::{output, text, write};

#[test]
fn prints_its_version() {
    let output = output(["version"]);
    assert!(output.status.success() && output.stderr.is_empty());
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        text(&output.stdout),
        format!("lockgate {version} (compatible with APISIX 3.18.0)\n")
    );
}

#[test]
fn prints_help_and_ends_well() {
    for arguments in [["help"], ["--help"]] {
        let output = output(arguments);
        assert!(output.status.success(), "{arguments:?}");
        let help = text(&output.stdout);
        for command in ["help", "version", "test", "echo", "--config", "--prefix"] {
            assert!(help.contains(command), "{arguments:?}: {help}");
        }
    }
}

#[test]
fn refuses_a_command_that_it_does_not_know() {
    let output = output(["begin"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "invalid argument: begin\n");
    assert!(text(&output.stdout).contains("Usage: lockgate "));
}

#[test]
fn tests_a_configuration_without_starting() {
    let prefix = tempfile::tempdir().expect("directory");
    let prefix_flag = prefix.path().to_str().expect("UTF-8");
    let test = || output(["test", "-p", prefix_flag]);

    assert_eq!(text(&test().stdout), "configuration test is successful\n");

    let file =
        "deployment: {role_traditional: {config_provider: embedded}}\napisix: {tracing: true}\n";
    write(prefix.path(), "conf/config.yaml", file);
    let (output, path) = (test(), prefix.path().join("conf/config.yaml"));
    assert!(output.status.success());
    let warning = "apisix.tracing: has no effect yet: no traces are made";
    let expected = format!(
        "{}:2: {warning}\nconfiguration test is successful\n",
        path.display()
    );
    assert_eq!(text(&output.stdout), expected);

    write(
        prefix.path(),
        "conf/config.yaml",
        "apisix: {enable_admin: 'yes'}\n",
    );
    let output = test();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let reason = "failed to merge, path[apisix->enable_admin] expect: boolean, but got: string";
    let expected = format!(
        "lockgate: configuration test failed: {}:1: {reason}\n",
        path.display()
    );
    assert_eq!(text(&output.stderr), expected);

    let file = "deployment: {role_traditional: {config_provider: embedded}}\ndiscovery: {consul: {servers: ['ftp://a']}}\n";
    write(prefix.path(), "conf/config.yaml", file);
    let output = test();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = text(&output.stderr);
    assert!(
        said.starts_with("lockgate: configuration test failed: discovery.consul: ")
            && said.contains("only support consul http schema address"),
        "{said}"
    );
    assert!(
        !prefix.path().join("logs").exists(),
        "a test leaves nothing behind"
    );
}
