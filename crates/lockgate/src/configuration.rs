//! Finds `config.yaml` and reads it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use lockgate_model::boot::{Boot, File, Warning};

use crate::cli::Flags;

/// The settings of this process, and where its files are.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// Directory of conf/, logs/ and data/.
    pub(crate) prefix: PathBuf,
    /// The file that was read; `None` where there is none.
    pub(crate) file: Option<PathBuf>,
    /// What it says.
    pub(crate) boot: Boot,
}

impl Configuration {
    /// Reads the configuration that the flags and the environment ask for.
    pub(crate) fn read(flags: &Flags) -> anyhow::Result<Self> {
        let environment = |name: &str| std::env::var(name).ok();
        let file = find(
            flags,
            environment("APISIX_PROFILE").filter(|profile| !profile.is_empty()),
        )?;
        let text = match &file {
            None => None,
            Some(path) => {
                let text = fs::read_to_string(path);
                Some(text.with_context(|| format!("cannot read {}", path.display()))?)
            }
        };
        let name = file
            .as_ref()
            .map(|path| path.display().to_string())
            .unwrap_or_default();
        let read = text.as_deref().map(|text| File { name: &name, text });
        let boot = Boot::read(read, &environment)?;
        let configuration = Self {
            prefix: flags.prefix.clone(),
            file,
            boot,
        };
        configuration.check_trusted()?;
        Ok(configuration)
    }

    /// A path of an option, which is relative to the prefix.
    pub(crate) fn below_prefix(&self, path: impl AsRef<Path>) -> PathBuf {
        below(&self.prefix, path.as_ref())
    }

    /// File of the certificate authorities that upstreams are checked against; `None` for the system's.
    pub(crate) fn trusted(&self) -> Option<PathBuf> {
        let path = self
            .boot
            .config
            .apisix
            .ssl
            .ssl_trusted_certificate
            .as_deref();
        // Relative to the current directory, as the reference takes it.
        path.filter(|path| *path != "system").map(PathBuf::from)
    }

    fn check_trusted(&self) -> anyhow::Result<()> {
        if let Some(path) = self.trusted()
            && !path.exists()
        {
            bail!(
                "certificate path {} doesn't exist (apisix.ssl.ssl_trusted_certificate)",
                path.display()
            );
        }
        Ok(())
    }

    /// A warning with its place in front.
    pub(crate) fn place_of(&self, warning: &Warning) -> String {
        match &self.file {
            Some(file) if warning.line > 0 => format!("{}:{}", file.display(), warning.line),
            _ => "environment".to_owned(),
        }
    }
}

/// A path below a prefix, without a `./` that people would read in every message.
pub(crate) fn below(prefix: &Path, path: &Path) -> PathBuf {
    if prefix == Path::new(".") {
        path.to_owned()
    } else {
        prefix.join(path)
    }
}

/// The file to read, by the reference's rules (`apisix/core/profile.lua`).
fn find(flags: &Flags, profile: Option<String>) -> anyhow::Result<Option<PathBuf>> {
    if let Some(path) = &flags.config {
        if !path.exists() {
            bail!(
                "customized config file not exists, path: {}",
                path.display()
            );
        }
        return Ok(Some(path.clone()));
    }
    let name = profile.as_ref().map_or_else(
        || "config.yaml".to_owned(),
        |profile| format!("config-{profile}.yaml"),
    );
    let path = below(&flags.prefix, &Path::new("conf").join(name));
    // Neither a profile that is asked for by name nor a file that cannot be reached counts as none: without a file the Admin
    // API asks for no key.
    let is_there = match fs::symlink_metadata(&path) {
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    match (is_there, profile) {
        (true, _) => Ok(Some(path)),
        (false, Some(profile)) => bail!(
            "there is no {} for APISIX_PROFILE={profile}",
            path.display()
        ),
        (false, None) => Ok(None),
    }
}
