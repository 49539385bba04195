//! A gateway in the background: `start`, `stop`, `quit`, `restart`, `reload`, with the words that scripts look for.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use crate::{
    gateway::{KEY, config},
    support::{PATIENCE, exchange, free_ports, get, lockgate, text, write},
};

/// A directory of a gateway. What runs in it is stopped when it is dropped.
struct Home {
    dir: tempfile::TempDir,
    ports: [u16; 3],
}

impl Home {
    fn new() -> Self {
        let home = Self {
            dir: tempfile::tempdir().expect("directory"),
            ports: free_ports(),
        };
        home.write("conf/config.yaml", &home.file());
        home
    }

    /// A configuration on free ports.
    fn file(&self) -> String {
        config(self.ports, KEY, "").replace("error_log: stderr", "error_log: logs/error.log")
    }

    fn write(&self, path: &str, text: &str) {
        write(self.dir.path(), path, text);
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join(path)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = lockgate();
        command.arg("-p").arg(self.dir.path()).args(arguments);
        command.output().expect("runs")
    }

    /// Runs a command that must end well; what it prints to both streams.
    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        // Whether this machine lets few files be open is not the matter here.
        let of_files =
            |line: &&str| line.starts_with("Warning! Current maximum number of open file");
        let lines = said.split_inclusive('\n').filter(|line| !of_files(line));
        lines.collect()
    }

    /// Runs a command that must fail.
    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        said
    }

    fn pid(&self) -> Option<u32> {
        let text = fs::read_to_string(self.path("logs/nginx.pid")).ok()?;
        Some(text.trim().parse().expect("an id"))
    }

    fn proxy(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports[0]))
    }

    fn serves(&self) -> bool {
        TcpStream::connect(self.proxy()).is_ok()
            && get(self.proxy(), "/").starts_with("HTTP/1.1 404 ")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.run(&["stop"]);
    }
}

#[track_caller]
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it never happens that {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn a_start_returns_when_it_serves_and_a_stop_when_it_has_ended() {
    let home = Home::new();
    home.ok(&["start"]);
    assert!(home.serves());
    let pid = home.pid().expect("written");

    let said = home.ok(&["start"]);
    assert_eq!(
        said,
        "the old APISIX is still running, the new one will not start\n"
    );
    assert_eq!(home.pid(), Some(pid));

    assert_eq!(home.ok(&["stop"]), "");
    assert!(home.pid().is_none() && !home.serves());
    for command in ["stop", "quit"] {
        assert!(home.ok(&[command]).starts_with("no gateway runs by "));
    }
}

#[test]
fn what_runs_in_the_background_has_let_its_terminal_go() {
    let home = Home::new();
    home.ok(&["start"]);
    let pid = home.pid().expect("written");
    for stream in [0, 1] {
        let open = fs::read_link(format!("/proc/{pid}/fd/{stream}")).expect("open");
        assert_eq!(open, Path::new("/dev/null"), "{stream}");
    }
    let errors = fs::read_link(format!("/proc/{pid}/fd/2")).expect("open");
    assert!(errors.ends_with("logs/error.log"), "{}", errors.display());
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("runs");
    let (_, after_name) = stat.rsplit_once(')').expect("a name");
    let session = after_name.split_whitespace().nth(3).expect("a session");
    assert_eq!(session, pid.to_string());
}

#[test]
fn a_file_of_a_process_that_is_gone_is_no_hindrance() {
    let home = Home::new();
    home.write("logs/nginx.pid", "-1\n");
    assert_eq!(home.ok(&["start"]), "invalid pid\n");
    assert!(!home.serves());
    home.write("logs/nginx.pid", "2147483647\n");
    assert!(home.ok(&["stop"]).starts_with("no gateway runs by "));
    let said = home.ok(&["start"]);
    let expected = "nginx.pid exists but there's no corresponding process with pid 2147483647, the file will be overwritten\n";
    assert!(said.starts_with(expected), "{said}");
    assert!(home.serves());
}

#[test]
fn a_start_that_fails_says_why() {
    let home = Home::new();
    let taken = TcpListener::bind(("127.0.0.1", home.ports[0])).expect("free");
    let said = home.fails(&["start"]);
    let reason = "(apisix.node_listen): another process listens there";
    assert!(
        said.contains(reason) && said.ends_with("lockgate: the gateway did not start\n"),
        "{said}"
    );
    assert_eq!(home.pid(), None);
    drop(taken);
    home.write("conf/config.yaml", "abc");
    assert!(home.fails(&["start"]).contains("config.yaml:1: "));
}

#[test]
fn the_file_that_a_start_names_is_that_of_the_commands_after_it() {
    let home = Home::new();
    home.write("other.yaml", &home.file());
    home.write("conf/config.yaml", "abc");
    let other = home.path("other.yaml");
    let other = other.to_str().expect("UTF-8");
    let missing = home.fails(&["start", "-c", "none.yaml"]);
    assert!(
        missing.contains("customized config file not exists, path: none.yaml"),
        "{missing}"
    );

    let said = home.ok(&["start", "-c", other]);
    assert!(
        said.starts_with(&format!("Use customized yaml: {other}\n")),
        "{said}"
    );
    let index = home.path("conf/.customized_config_path");
    assert_eq!(fs::read_to_string(&index).expect("written"), other);
    let before = home.pid();
    for command in ["test", "reload", "restart"] {
        home.ok(&[command]);
    }
    assert!(home.serves() && home.pid() != before);

    home.ok(&["stop"]);
    assert!(!index.exists());
    assert!(home.fails(&["test"]).contains("configuration test failed"));
}

#[test]
fn quit_returns_at_once() {
    let home = Home::new();
    home.ok(&["start"]);
    assert_eq!(home.ok(&["quit"]), "");
    eventually("it has ended", || home.pid().is_none());
    assert!(!home.serves());
}

#[test]
fn a_restart_with_a_bad_file_leaves_what_runs() {
    let home = Home::new();
    home.ok(&["start"]);
    let before = home.pid();
    home.write("conf/config.yaml", "abc");
    for command in ["restart", "reload"] {
        let said = home.fails(&[command]);
        assert!(said.contains("config.yaml:1: "), "{said}");
    }
    assert!(home.serves() && home.pid() == before);
    home.write("conf/config.yaml", &home.file());
    home.ok(&["restart"]);
    assert!(home.serves() && home.pid() != before);
}

#[test]
fn a_reload_takes_effect_in_the_process_that_runs() {
    let mut home = Home::new();
    assert!(home.fails(&["reload"]).contains("no gateway runs by "));
    home.ok(&["start"]);
    let before = home.pid();
    let [port] = free_ports();
    home.ports[0] = port;
    home.write("conf/config.yaml", &home.file());
    assert_eq!(home.ok(&["reload"]), "");
    eventually("the new port is served", || home.serves());
    assert_eq!(home.pid(), before);
}

#[test]
fn called_as_apisix_it_answers_as_that() {
    let home = Home::new();
    let program = home.path("apisix");
    symlink(env!("CARGO_BIN_EXE_lockgate"), &program).expect("made");
    let run = |arguments: &[&str]| {
        let mut command = Command::new("./apisix");
        command.current_dir(home.dir.path()).args(arguments);
        let output = command.output().expect("runs");
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    for arguments in [&[][..], &["help"]] {
        let (code, help, _) = run(arguments);
        assert!(code == Some(0) && help.contains("Usage: apisix "), "{help}");
        for command in "help init init_etcd start stop quit restart reload test version".split(' ')
        {
            assert!(
                help.contains(&format!("\n  {command} ")),
                "{command}: {help}"
            );
        }
    }
    assert_eq!(
        run(&["version"]),
        (Some(0), "3.18.0\n".to_owned(), String::new())
    );
    let (code, help, said) = run(&["begin"]);
    assert_eq!(
        (code, said.as_str()),
        (Some(1), "invalid argument: begin\n")
    );
    assert!(help.contains("Usage: apisix "), "{help}");
    for command in ["init", "init_etcd", "start"] {
        let (code, _, said) = run(&[command]);
        assert_eq!(code, Some(0), "{command}: {said}");
    }
    assert!(home.serves());
    assert_eq!(run(&["stop"]).0, Some(0));
    assert!(!home.serves());
}

#[test]
fn init_makes_the_key_that_is_missing_and_says_so() {
    let home = Home::new();
    home.write("conf/config.yaml", &home.file().replace(KEY, ""));
    let said = home.ok(&["init"]);
    assert!(said.contains("WARNING: using empty Admin API."), "{said}");
    let written = fs::read_to_string(home.path("conf/config.yaml")).expect("file");
    assert!(!written.contains("key: ''"), "{written}");
    assert_eq!(home.ok(&["init"]), "");
    assert!(!home.path("conf/nginx.conf").exists());
    home.ok(&["start"]);
    let admin = SocketAddr::from(([127, 0, 0, 1], home.ports[1]));
    let key = written
        .split("key: ")
        .nth(1)
        .expect("a key")
        .split(',')
        .next()
        .expect("a key");
    let key = key.trim_matches(['"', '\'']);
    let request = format!(
        "GET /apisix/admin/routes HTTP/1.1\r\nHost: test\r\nX-API-KEY: {key}\r\nConnection: close\r\n\r\n"
    );
    assert!(exchange(admin, &request).starts_with("HTTP/1.1 200 "));
}

#[test]
fn init_says_what_the_reference_says() {
    let home = Home::new();
    let open = home
        .file()
        .replace("  admin:\n", "  admin:\n    admin_key_required: false\n");
    home.write("conf/config.yaml", &open);
    let said = home.ok(&["init"]);
    assert!(
        said.starts_with("Warning! Admin key is bypassed! If you are deploying"),
        "{said}"
    );
    let cases = [
        (
            home.file().replace(
                &format!("admin_key:\n      - {{name: admin, key: '{KEY}', role: admin}}"),
                "admin_key: []\n    allow_admin: [0.0.0.0/0]",
            ),
            "ERROR: missing valid Admin API token.",
        ),
        (
            home.file().replace(
                &format!("port: {}}}", home.ports[2]),
                &format!("port: {}}}", home.ports[1]),
            ),
            " conflicts with ",
        ),
    ];
    for (file, expected) in cases {
        home.write("conf/config.yaml", &file);
        let said = home.fails(&["init"]);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn init_warns_of_few_open_files() {
    let home = Home::new();
    let script = format!(
        "ulimit -n 512 && exec {} -p {} init",
        env!("CARGO_BIN_EXE_lockgate"),
        home.dir.path().display()
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .output()
        .expect("runs");
    let said = text(&output.stdout);
    let expected =
        "Warning! Current maximum number of open file descriptors [512] is not greater than 1024,";
    assert!(
        output.status.success() && said.starts_with(expected),
        "{said}"
    );
}
