//! `export`, `import`, `diff` and `apply` against a gateway that runs.

use std::{
    io::Write as _,
    process::{Output, Stdio},
};

use crate::{
    gateway::Gateway,
    support::{lockgate, text, write},
};

const UPSTREAM: &str = "{type: roundrobin, nodes: {'127.0.0.1:1': 1}}";

/// Objects of which most refer to another.
const WHOLE: &str = "
routes:
  - {id: r1, uri: /a, service_id: s1, plugin_config_id: p1}
services:
  - {id: s1, upstream_id: u1, labels: {team: red}}
upstreams:
  - {id: u1, type: roundrobin, nodes: {'127.0.0.1:1': 1}}
plugin_configs:
  - {id: p1, plugins: {prometheus: {}}}
consumers:
  - {username: jack, group_id: g1, plugins: {key-auth: {key: jacks}}}
  - {id: jack/credentials/c1, plugins: {key-auth: {key: another}}}
consumer_groups:
  - {id: g1, plugins: {}}
global_rules:
  - {id: '1', plugins: {cors: {}}}
plugin_metadata:
  - {id: http-logger, log_format: {host: $host}}
secrets:
  - {id: vault/1, uri: 'http://127.0.0.1:1', prefix: kv, token: t}
protos:
  - {id: '1', content: 'syntax = \"proto3\"; message A { string a = 1; }'}
#END
";

fn run(gateway: &Gateway, arguments: &[&str]) -> Output {
    let mut command = lockgate();
    command.arg("-p").arg(gateway.prefix.path());
    command.args(arguments).current_dir(gateway.prefix.path());
    command.output().expect("runs")
}

/// Runs a command with a file `all.yaml` and expects its exit code and what it prints.
#[track_caller]
fn check(gateway: &Gateway, file: &str, arguments: &[&str], code: i32, expected: &str) {
    write(gateway.prefix.path(), "all.yaml", file);
    let output = run(gateway, arguments);
    let said = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {said}{}",
        text(&output.stderr)
    );
    assert_eq!(said, expected, "{arguments:?}: {}", text(&output.stderr));
}

#[test]
fn what_was_applied_is_exported_and_differs_in_nothing() {
    let gateway = Gateway::start("");
    let made = "+ secrets/vault/1
+ protos/1
+ plugin_metadata/http-logger
+ upstreams/u1
+ consumer_groups/g1
+ plugin_configs/p1
+ services/s1
+ consumers/jack
+ consumers/jack/credentials/c1
+ global_rules/1
+ routes/r1
";
    check(
        &gateway,
        WHOLE,
        &["diff", "all.yaml"],
        1,
        &format!("{made}11 changes to make\n"),
    );
    check(
        &gateway,
        WHOLE,
        &["apply", "all.yaml", "--dry-run"],
        0,
        &format!("{made}11 changes to make\n"),
    );
    check(
        &gateway,
        WHOLE,
        &["apply", "all.yaml"],
        0,
        &format!("{made}11 changes made\n"),
    );
    check(
        &gateway,
        WHOLE,
        &["apply", "all.yaml"],
        0,
        "nothing to change\n",
    );
    check(
        &gateway,
        WHOLE,
        &["diff", "all.yaml"],
        0,
        "nothing to change\n",
    );

    let exported = text(&run(&gateway, &["export"]).stdout);
    assert!(
        exported.ends_with("\n#END\n") && !exported.contains("create_time"),
        "{exported}"
    );
    check(
        &gateway,
        &exported,
        &["diff", "all.yaml"],
        0,
        "nothing to change\n",
    );
    check(&gateway, "", &["export", "out.json"], 0, "");
    check(
        &gateway,
        "",
        &["diff", "out.json"],
        0,
        "nothing to change\n",
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &gateway
            .prefix
            .path()
            .join("out.json")
            .metadata()
            .expect("written")
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);

    let removed: Vec<_> = made
        .lines()
        .rev()
        .filter(|line| !line.contains("credentials"))
        .collect();
    let removed = removed.join("\n").replace('+', "-");
    check(
        &gateway,
        "{}",
        &["apply", "all.yaml"],
        0,
        &format!("{removed}\n10 changes made\n"),
    );
    assert_eq!(text(&run(&gateway, &["export", "-"]).stdout), "{}\n#END\n");
}

#[test]
fn only_what_differs_is_changed() {
    let gateway = Gateway::start("");
    write(gateway.prefix.path(), "all.yaml", WHOLE);
    assert!(run(&gateway, &["import", "all.yaml"]).status.success());
    let other = WHOLE
        .replace("/a", "/b")
        .replace("team: red", "team: blue")
        .replace("  - {id: '1', plugins: {cors: {}}}\n", "  []\n");
    let changed = "~ services/s1: labels.team\n~ routes/r1: uri\n";
    let values = "~ services/s1: labels.team
    labels.team: \"red\" -> \"blue\"
~ routes/r1: uri
    uri: \"/a\" -> \"/b\"
- global_rules/1
3 changes to make
";
    check(
        &gateway,
        &other,
        &["diff", "all.yaml", "--values"],
        1,
        values,
    );
    check(
        &gateway,
        &other,
        &["import", "all.yaml"],
        0,
        &format!("{changed}2 changes made\n"),
    );
    check(
        &gateway,
        &other,
        &["apply", "all.yaml"],
        0,
        "- global_rules/1\n1 change made\n",
    );
}

#[test]
fn a_selection_leaves_all_else_alone() {
    let gateway = Gateway::start("");
    check(
        &gateway,
        WHOLE,
        &["import", "all.yaml", "--only-kinds", "upstreams,services"],
        0,
        "+ upstreams/u1\n+ services/s1\n2 changes made\n",
    );
    let routes = format!(
        "routes: [{{id: 1, uri: /1, labels: {{a: b}}, upstream: {UPSTREAM}}}, {{id: 2, uri: /2, upstream: {UPSTREAM}}}]"
    );
    check(
        &gateway,
        &routes,
        &["apply", "all.yaml", "--label", "a=b"],
        0,
        "+ routes/1\n1 change made\n",
    );
    check(
        &gateway,
        "",
        &["apply", "all.yaml", "--label", "a=c"],
        0,
        "nothing to change\n",
    );
    check(
        &gateway,
        "",
        &["apply", "all.yaml", "--only-kinds", "routes"],
        0,
        "- routes/1\n1 change made\n",
    );
    let unknown = run(&gateway, &["diff", "all.yaml", "--only-kinds", "apples"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert_eq!(
        text(&unknown.stderr),
        "lockgate: there is no kind of object named apples\n"
    );
}

#[test]
fn what_waits_for_another_change_is_made_after_it() {
    let gateway = Gateway::start("");
    let keys = |jack: &str, jane: &str| {
        format!(
            "consumers: [{{username: jack, plugins: {{key-auth: {{key: {jack}}}}}}}, {{username: jane, plugins: {{key-auth: {{key: {jane}}}}}}}]"
        )
    };
    check(
        &gateway,
        &keys("a", "b"),
        &["apply", "all.yaml"],
        0,
        "+ consumers/jack\n+ consumers/jane\n2 changes made\n",
    );
    // jack may have the key b only after jane has given it up.
    let differs = "~ consumers/jane: plugins.key-auth.key\n~ consumers/jack: plugins.key-auth.key\n2 changes made\n";
    check(
        &gateway,
        &keys("b", "c"),
        &["apply", "all.yaml"],
        0,
        differs,
    );
}

#[test]
fn what_is_refused_is_named_and_the_rest_is_done() {
    let gateway = Gateway::start("");
    let file = format!(
        "routes: [{{id: 1, uri: /1, upstream: {UPSTREAM}}}, {{id: 2, uri: /2, upstream_id: none}}, {{id: 3, uri: /3, upstream: {UPSTREAM}}}]"
    );
    write(gateway.prefix.path(), "all.yaml", &file);
    let output = run(&gateway, &["apply", "all.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "+ routes/1\n+ routes/3\n");
    let said = text(&output.stderr);
    let expected = "routes/2: 400 Bad Request: failed to fetch upstream info by upstream id [none], response code: 404
not done: + routes/2
lockgate: 2 of 3 changes made; the command can be given again
";
    assert_eq!(said, expected);
    let mended = file.replace("upstream_id: none", &format!("upstream: {UPSTREAM}"));
    check(
        &gateway,
        &mended,
        &["apply", "all.yaml"],
        0,
        "+ routes/2\n1 change made\n",
    );
}

#[test]
fn the_admin_api_can_be_named() {
    let gateway = Gateway::start("");
    let url = format!("http://{}/", gateway.admin);
    let export = |key: Option<&str>, url: &str| {
        let mut command = lockgate();
        command.args(["-p", "no/such/directory", "export", "--admin-url", url]);
        if let Some(key) = key {
            command.env("LOCKGATE_ADMIN_KEY", key);
        }
        let output = command.output().expect("runs");
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (code, exported, _) = export(Some(crate::gateway::KEY), &url);
    assert_eq!((code, exported.as_str()), (Some(0), "{}\n#END\n"));
    for key in [None, Some("wrong")] {
        let (code, _, said) = export(key, &url);
        assert_eq!(code, Some(1));
        assert!(
            said.contains("the Admin API does not list secrets: 401 Unauthorized: "),
            "{said}"
        );
    }
    let (code, exported, said) = export(Some(crate::gateway::KEY), &format!("{url}elsewhere"));
    assert_eq!((code, exported.as_str()), (Some(1), ""));
    assert!(
        said.contains("the Admin API does not list secrets: 404 Not Found: "),
        "{said}"
    );
    let (code, _, said) = export(None, "http://127.0.0.1:1");
    assert!(code == Some(1) && said.contains("127.0.0.1:1"), "{said}");
}

#[test]
fn reads_from_the_standard_input_stream() {
    let gateway = Gateway::start("");
    let mut command = lockgate();
    command
        .arg("-p")
        .arg(gateway.prefix.path())
        .args(["apply", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("runs");
    let mut stdin = child.stdin.take().expect("piped");
    write!(stdin, "upstreams: [{{id: u, type: roundrobin, nodes: []}}]").expect("read");
    drop(stdin);
    let output = child.wait_with_output().expect("ends");
    assert_eq!(text(&output.stdout), "+ upstreams/u\n1 change made\n");
}
