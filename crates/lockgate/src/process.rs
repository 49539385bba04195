//! What the process asks of the system: open files, the file of its id.

use std::{fs, path::PathBuf};

use lockgate_model::boot::NginxConfig;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files beyond connections: logs, the store, listeners. The reference adds as many.
const SPARE_FILES: u64 = 128;

/// Fewer open files than this make a slow gateway; the reference warns from there on (`apisix/cli/ops.lua`).
pub(crate) const FEW_FILES: u64 = 1024;

/// How many files may be open, where that is few.
pub(crate) fn few_open_files() -> Option<u64> {
    let current = getrlimit(Resource::Nofile).current;
    current.filter(|current| *current <= FEW_FILES)
}

/// Raises the limit of open files to what is configured, or as near as this user may come.
pub(crate) fn raise_open_files(nginx: &NginxConfig) {
    let wanted = wanted_files(nginx);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let most = limit.maximum.unwrap_or(u64::MAX);
    let set = |current: u64| {
        let maximum = limit.maximum.map(|most| most.max(current));
        let current = Some(current);
        setrlimit(Resource::Nofile, Rlimit { current, maximum }).is_ok()
    };
    // Only root may go beyond the hard limit.
    if set(wanted) {
        return;
    }
    let reachable = wanted.min(most);
    let got = if set(reachable) {
        reachable
    } else {
        limit.current.unwrap_or(most)
    };
    tracing::warn!(
        wanted,
        got,
        "this user may not open as many files as worker_rlimit_nofile says"
    );
    if got <= FEW_FILES {
        tracing::warn!(
            got,
            "few connections can be open at a time: raise the limit of open files (ulimit -n)"
        );
    }
}

fn wanted_files(nginx: &NginxConfig) -> u64 {
    let connections = nginx.event.worker_connections.0;
    match nginx.worker_rlimit_nofile {
        Some(files) if files.0 > connections => files.0,
        _ => connections.saturating_add(SPARE_FILES),
    }
}

/// The file that holds the process's id while it runs.
#[derive(Debug)]
pub(crate) struct PidFile(PathBuf);

impl PidFile {
    /// Writes the file. One that cannot be written is no reason not to run.
    pub(crate) fn write(path: PathBuf) -> Self {
        if let Err(error) = fs::write(&path, format!("{}\n", std::process::id())) {
            tracing::error!(path = %path.display(), %error, "cannot write the file of the process id");
        }
        Self(path)
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // One that could not be written is not there.
        let _missing = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use lockgate_model::boot::{Boot, File};

    use super::*;

    #[test]
    fn wants_more_files_than_connections() {
        let cases = [
            (
                "{worker_rlimit_nofile: 30000, event: {worker_connections: 100}}",
                30000,
            ),
            (
                "{worker_rlimit_nofile: 100, event: {worker_connections: 100}}",
                228,
            ),
            (
                "{worker_rlimit_nofile: ~, event: {worker_connections: 100}}",
                228,
            ),
        ];
        for (nginx, expected) in cases {
            let text = format!(
                "deployment: {{role_traditional: {{config_provider: embedded}}}}\nnginx_config: {nginx}"
            );
            let boot = Boot::read(
                Some(File {
                    name: "",
                    text: &text,
                }),
                &|_| None,
            )
            .expect("valid");
            assert_eq!(wanted_files(&boot.config.nginx_config), expected, "{nginx}");
        }
    }

    #[test]
    fn keeps_the_id_in_a_file_while_it_runs() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("nginx.pid");
        let file = PidFile::write(path.clone());
        assert_eq!(
            fs::read_to_string(&path).expect("written"),
            format!("{}\n", std::process::id())
        );
        drop(file);
        assert!(!path.exists());
        drop(PidFile::write(dir.path().join("none/nginx.pid")));
    }
}
