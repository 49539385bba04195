//! `backup` and `restore`: the file of the embedded store.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use lockgate_model::boot::Provider;
use lockgate_store::{Embedded, EmbeddedOptions, Store as _, StoreError};

use crate::{cli::Flags, configuration::Configuration, say, store};

/// Copies the store, with its revision and history, into a new file.
pub(super) fn backup(flags: &Flags, to: &Path) -> anyhow::Result<()> {
    let path = path(flags)?;
    if !path.exists() {
        bail!("there is no store {}", path.display());
    }
    let runtime = runtime()?;
    let revision = runtime.block_on(async {
        let store = open(&path)?;
        store.backup(to).await?;
        anyhow::Ok(store.revision())
    })?;
    say(&format!(
        "{} is a copy of the store at revision {revision}\n",
        to.display()
    ));
    Ok(())
}

/// Puts a copy in the place of the store, which is kept beside it.
pub(super) fn restore(flags: &Flags, from: &Path) -> anyhow::Result<()> {
    let path = path(flags)?;
    let [incoming, outgoing] =
        ["restoring", "before-restore"].map(|end| path.with_added_extension(end));
    let copied = || -> io::Result<()> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::copy(from, &incoming)?;
        fs::File::open(&incoming)?.sync_all()
    };
    copied().with_context(|| format!("cannot copy {}", from.display()))?;
    let restored = check(&incoming, from).and_then(|(revision, count)| {
        if path.exists() {
            // Nobody else may have it open.
            drop(open(&path)?);
            fs::rename(&path, &outgoing)
                .with_context(|| format!("cannot move {} away", path.display()))?;
        }
        fs::rename(&incoming, &path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok((revision, count))
    });
    match restored {
        Ok((revision, count)) => {
            say(&format!(
                "the store is that of {}: {count} objects at revision {revision}\n",
                from.display()
            ));
            Ok(())
        }
        Err(error) => {
            let _gone = fs::remove_file(&incoming);
            Err(error)
        }
    }
}

/// Whether a copy is a whole store: its revision, and how many objects are in it.
fn check(copy: &Path, from: &Path) -> anyhow::Result<(u64, usize)> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let store = open(copy).with_context(|| format!("{} is no store", from.display()))?;
        let listing = store.list("").await?;
        Ok((listing.revision, listing.entries.len()))
    })
}

fn open(path: &Path) -> anyhow::Result<Embedded> {
    match Embedded::open(path, EmbeddedOptions::default()) {
        Err(error @ StoreError::Locked { .. }) => {
            Err(error).context("the gateway runs: stop it first, or use export and import")
        }
        opened => Ok(opened?),
    }
}

fn path(flags: &Flags) -> anyhow::Result<PathBuf> {
    let configuration = Configuration::read(flags)?;
    if configuration.boot.config.deployment.provider() != Provider::Embedded {
        bail!("the configuration is not in the embedded store: use the tools of where it is");
    }
    Ok(store::embedded_path(&configuration))
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let built = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    built.context("cannot start a runtime")
}
