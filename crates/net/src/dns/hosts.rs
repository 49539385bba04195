//! The hosts file.

use std::{
    collections::HashMap,
    net::IpAddr,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

/// How long an answer of the hosts file is taken for true; the file is looked at that often.
pub(super) const HOSTS_TTL: Duration = Duration::from_secs(1);

/// The hosts file, read again when it changed.
#[derive(Debug)]
pub(super) struct Hosts {
    path: PathBuf,
    checked: Option<Instant>,
    modified: Option<SystemTime>,
    names: HashMap<String, Vec<IpAddr>>,
}

impl Hosts {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            checked: None,
            modified: None,
            names: HashMap::new(),
        }
    }

    pub(super) fn find(&mut self, host: &str) -> Vec<IpAddr> {
        if self
            .checked
            .is_none_or(|checked| checked.elapsed() >= HOSTS_TTL)
        {
            self.checked = Some(Instant::now());
            let modified = std::fs::metadata(&self.path)
                .and_then(|meta| meta.modified())
                .ok();
            if modified != self.modified {
                self.modified = modified;
                self.names = parse(&std::fs::read_to_string(&self.path).unwrap_or_default());
            }
        }
        self.names
            .get(&host.to_ascii_lowercase())
            .cloned()
            .unwrap_or_default()
    }
}

/// Reads hosts(5): an address and its names per line, `#` to the end of the line is a comment.
fn parse(text: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut names: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in text.lines() {
        let mut words = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse().ok()) else {
            continue;
        };
        for name in words {
            names
                .entry(name.to_ascii_lowercase())
                .or_default()
                .push(address);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_hosts_file() {
        let names = parse("127.0.0.1 localhost Local # x y\n::1 localhost\nbad line\n#\n");
        assert_eq!(names.get("localhost").map(Vec::len), Some(2));
        assert_eq!(
            names.get("local"),
            Some(&vec![IpAddr::from([127, 0, 0, 1])])
        );
        assert_eq!(names.len(), 2);
    }
}
