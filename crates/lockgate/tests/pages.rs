//! The console examples of the README and the guides, typed into a shell word for word.
//!
//! A block marked `console` is a session: lines that begin with `$ ` are typed, lines behind them that begin with `> ` go on
//! with the same command, and the rest is what must come out. `…` in that stands for anything within its line. The blocks of
//! a page are one session, in an empty directory, with the `lockgate` that was built in front of `PATH`.
//!
//! Where the system allows it, each page has a network of its own, so that the default ports are free.

use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// How long the session of one page may take.
const LIMIT: Duration = Duration::from_mins(2);

/// One typed command and what must come out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Step {
    line: usize,
    command: String,
    expected: String,
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut is_console = false;
    for (number, line) in page.lines().enumerate() {
        if let Some(kind) = line.strip_prefix("```") {
            is_console = kind == "console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| is_console) {
            steps.push(Step {
                line: number + 1,
                command: format!("{command}\n"),
                ..Step::default()
            });
        } else if let Some(step) = steps.last_mut().filter(|_| is_console) {
            if let Some(more) = line.strip_prefix('>').filter(|_| step.expected.is_empty()) {
                step.command
                    .push_str(more.strip_prefix(' ').unwrap_or(more));
                step.command.push('\n');
            } else {
                step.expected.push_str(line);
                step.expected.push('\n');
            }
        }
    }
    steps
}

/// Whether `text` is `pattern`, in which `…` stands for anything within a line.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut texts = text.trim_end().lines();
    let mut patterns = pattern.trim_end().lines();
    loop {
        match (patterns.next(), texts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(text)) if is_line_like(pattern.trim_end(), text.trim_end()) => {}
            _ => return false,
        }
    }
}

fn is_line_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// Marks the end of a command's output, by its number.
fn mark(number: usize) -> String {
    format!("@@ end of step {number} @@")
}

fn may_unshare() -> bool {
    Command::new("unshare")
        .args(["--net", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs the session of a page; each finding says where and what.
fn run(name: &str, page: &str) -> Vec<String> {
    let steps = steps(page);
    let dir = tempfile::tempdir().expect("temporary directory");
    let binary = Path::new(env!("CARGO_BIN_EXE_lockgate"));
    let mut script = String::from("ip link set lo up 2>/dev/null\n");
    for (number, step) in steps.iter().enumerate() {
        script.push_str(&step.command);
        let _infallible = writeln!(script, "printf '\\n{}\\n'", mark(number));
    }
    // What was started in the background ends with the session.
    script.push_str("kill $(jobs -p) 2>/dev/null\nwait\n");
    let script_path = dir.path().join("session");
    fs::write(&script_path, script).expect("written");
    let home = dir.path().join("home");
    fs::create_dir(&home).expect("created");
    let mut command = if may_unshare() {
        let mut command = Command::new("unshare");
        command.args(["--net", "bash"]);
        command
    } else {
        Command::new("bash")
    };
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = command
        .arg(&script_path)
        .current_dir(&home)
        .env(
            "PATH",
            format!("{}:{path}", binary.parent().expect("a folder").display()),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("bash is there");
    let mut stdout = shell.stdout.take().expect("piped");
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _cut = stdout.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let began = Instant::now();
    let mut is_late = false;
    while shell.try_wait().expect("waited").is_none() {
        if began.elapsed() > LIMIT {
            is_late = true;
            let _gone = shell.kill();
            break;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let _ended = shell.wait();
    if is_late {
        return vec![format!("{name}: the session took longer than {LIMIT:?}")];
    }
    let output = reader.join().expect("read");
    let mut rest = output.as_str();
    let mut findings = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let Some((text, behind)) = rest.split_once(&format!("\n{}\n", mark(number))) else {
            findings.push(format!("{name}:{}: the session broke off", step.line));
            break;
        };
        rest = behind;
        if !is_like(&step.expected, text) {
            findings.push(format!(
                "{name}:{}: {}\nexpected:\n{}\ncame:\n{text}\n",
                step.line,
                step.command.trim_end(),
                step.expected.trim_end()
            ));
        }
    }
    findings
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The README, every guide, and the page of every plugin.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    let folders = |folder: PathBuf| {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.expect("readable").path())
    };
    for family in folders(root().join("plugins")) {
        let plugins = folders(family.join("src"));
        pages.extend(
            plugins
                .map(|plugin| plugin.join("README.md"))
                .filter(|page| page.is_file()),
        );
    }
    let guides = fs::read_dir(root().join("docs")).expect("docs/ is there");
    pages.extend(
        guides
            .map(|entry| entry.expect("readable").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "md")),
    );
    pages.sort();
    pages
}

#[test]
fn every_session_of_the_pages_runs_as_printed() {
    let mut sessions = 0;
    let mut findings = Vec::new();
    for path in pages() {
        let page = fs::read_to_string(&path).expect("readable");
        if steps(&page).is_empty() {
            continue;
        }
        sessions += 1;
        let name = path.strip_prefix(root()).unwrap_or(&path).display();
        findings.extend(run(&name.to_string(), &page));
    }
    assert!(sessions > 0, "no page has a session");
    let mut out = std::io::stderr().lock();
    for finding in &findings {
        let _closed = writeln!(out, "{finding}");
    }
    assert!(findings.is_empty(), "{} findings", findings.len());
}

#[test]
fn reads_commands_and_what_they_print() {
    let page = "x\n```console\n$ a 'b\n> c'\nd\n> e\n```\n$ no\n```sh\n$ no\n```\n";
    let step = Step {
        line: 3,
        command: "a 'b\nc'\n".into(),
        expected: "d\n> e\n".into(),
    };
    assert_eq!(steps(page), [step]);
}

#[test]
fn dots_stand_for_anything_within_a_line() {
    for (pattern, text, fits) in [
        ("a…c\n", "abbc\n", true),
        ("a…c…e", "a1c2c3e", true),
        ("a…c", "abd", false),
        ("a", "a\nb", false),
        ("…", "anything", true),
        ("a\n", "a\n\n", true),
        ("", "", true),
    ] {
        assert_eq!(is_like(pattern, text), fits, "{pattern} {text}");
    }
}
