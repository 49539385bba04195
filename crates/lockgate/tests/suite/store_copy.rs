//! `backup` and `restore` of the embedded store.

use rustix::process::Signal;

use crate::{
    gateway::Gateway,
    support::{Process, get, lockgate, text},
};

const ROUTE: &str =
    r#"{"uri": "/kept", "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}}"#;

#[test]
fn a_copy_takes_the_place_of_the_store() {
    let mut gateway = Gateway::start("");
    gateway.put(ROUTE);
    let prefix = gateway.prefix.path().to_owned();
    let run = |command: &str, file: &str| {
        let mut process = lockgate();
        process
            .arg("-p")
            .arg(&prefix)
            .arg(command)
            .arg(prefix.join(file));
        let output = process.output().expect("runs");
        let said = text(&output.stdout) + &text(&output.stderr);
        (
            output.status.success(),
            said.replace(&format!("{}/", prefix.display()), ""),
        )
    };
    let (is_done, said) = run("backup", "copy");
    let in_use = "lockgate: the gateway runs: stop it first, or use export and import: the store data/store.redb is in use by another process\n";
    assert_eq!((is_done, said.as_str()), (false, in_use));

    gateway.process.signal(Signal::TERM);
    assert!(gateway.process.end().success());
    assert_eq!(
        run("backup", "copy"),
        (
            true,
            "copy is a copy of the store at revision 2\n".to_owned()
        )
    );
    assert!(!run("backup", "copy").0, "nothing is overwritten");
    std::fs::remove_dir_all(prefix.join("data")).expect("there");
    assert!(!run("backup", "other").0, "there is nothing to copy");

    let restored = "the store is that of copy: 2 objects at revision 2\n".to_owned();
    assert_eq!(run("restore", "copy"), (true, restored.clone()));
    assert_eq!(run("restore", "copy"), (true, restored));
    assert!(prefix.join("data/store.redb.before-restore").exists());
    let (is_done, said) = run("restore", "conf/config.yaml");
    assert!(
        !is_done && said.starts_with("lockgate: conf/config.yaml is no store: "),
        "{said}"
    );
    assert!(!run("restore", "none").0);

    gateway.process = Process::start(lockgate().arg("-p").arg(&prefix));
    assert!(
        gateway.process.says("the gateway runs"),
        "{}",
        gateway.process.said
    );
    assert!(get(gateway.proxy, "/kept").starts_with("HTTP/1.1 502 "));
    assert!(!run("restore", "copy").0, "the store is in use");
}
