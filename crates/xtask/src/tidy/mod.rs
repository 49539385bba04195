//! What the repository promises about itself, checked: the crate graph, the length of files, the links of the documentation,
//! a reason for each dependency, and that the test command is written the same everywhere.

mod dependencies;
mod files;
mod graph;
mod links;

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Runs every check; each finding is one line that says where and what.
///
/// # Errors
/// The repository cannot be read.
pub(crate) fn run() -> Result<Vec<String>> {
    let metadata = metadata()?;
    let root = metadata
        .get("workspace_root")
        .and_then(Value::as_str)
        .context("cargo metadata names no workspace root")?;
    let root = Path::new(root);
    let files = files::tracked(root)?;
    let mut findings = graph::check(&metadata);
    findings.extend(dependencies::check(root)?);
    findings.extend(files::check(root, &files)?);
    findings.extend(links::check(root, &files)?);
    Ok(findings)
}

fn metadata() -> Result<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .output()
        .context("running cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("reading the output of cargo metadata")
}
