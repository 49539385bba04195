//! Processes of the binary, and a plain client.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// Longest wait for an answer; nothing here takes as long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The binary, with nothing of this process's environment that it would heed.
pub(crate) fn lockgate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockgate"));
    for name in [
        "APISIX_PROFILE",
        "APISIX_WORKER_PROCESSES",
        "APISIX_STAND_ALONE",
        "APISIX_DEPLOYMENT_ETCD_HOST",
    ] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub(crate) fn output<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    lockgate().args(arguments).output().expect("runs")
}

/// What a process printed.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Ports that are free, at least until somebody else takes one. They lie below those that the system takes for connections
/// (`ip_local_port_range`), and no two calls in this process give the same.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 22_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Test processes that run at the same time begin elsewhere.
    let begin = std::process::id().wrapping_mul(331);
    std::array::from_fn(|_| {
        let ports = std::iter::repeat_with(|| {
            let offset = begin.wrapping_add(TAKEN.fetch_add(1, Relaxed)) % COUNT;
            u16::try_from(FIRST + offset).expect("below 32 768")
        });
        let mut tried = ports.take(COUNT as usize);
        let free = tried.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
        free.expect("free port")
    })
}

/// Writes a file below a directory, with its own directories.
pub(crate) fn write(directory: &Path, path: &str, text: &str) {
    let path = directory.join(path);
    std::fs::create_dir_all(path.parent().expect("below")).expect("directory");
    std::fs::write(path, text).expect("written");
}

/// A running process of the binary. It is killed when dropped.
pub(crate) struct Process {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// What it said on its standard error stream so far.
    pub(crate) said: String,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let said = String::new();
        Self {
            child,
            stderr,
            said,
        }
    }

    /// Its standard output stream.
    pub(crate) fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("taken once")
    }

    /// Waits for a line on the standard error stream; whether it came before the stream ended.
    pub(crate) fn says(&mut self, what: &str) -> bool {
        loop {
            let from = self.said.len();
            if self.stderr.read_line(&mut self.said).expect("readable") == 0 {
                return false;
            }
            if self.said[from..].contains(what) {
                return true;
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("alive");
    }

    /// Waits for its end; what it said last is in `said` then.
    pub(crate) fn end(&mut self) -> ExitStatus {
        self.stderr
            .read_to_string(&mut self.said)
            .expect("readable");
        self.child.wait().expect("waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// A connection that does not wait for ever.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.set_write_timeout(Some(PATIENCE)).expect("set");
    stream
}

/// Sends a request and reads until the other side closes.
pub(crate) fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).expect("sent");
    let mut response = Vec::new();
    stream.read_to_end(&mut response).expect("answered");
    text(&response)
}

/// `GET` on a connection of its own.
pub(crate) fn get(address: SocketAddr, path: &str) -> String {
    exchange(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"),
    )
}
