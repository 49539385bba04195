//! `conf/apisix.yaml` and `conf/apisix.json`: where they are, and what is made of them.

use std::{fs, io, path::PathBuf, sync::Arc};

use anyhow::{Context as _, anyhow};
use lockgate_admin::Loader;
use lockgate_model::{
    boot::Provider,
    document::{self, Format},
};
use lockgate_store::{BoxFuture, File, FileOptions, Reading};

use crate::{configuration::Configuration, wiring};

/// The file that the configuration comes from, and its language; `None` where it comes from elsewhere.
pub(crate) fn place(configuration: &Configuration) -> Option<(PathBuf, Format)> {
    let config = &configuration.boot.config;
    let (format, suffix) = match config.deployment.provider() {
        Provider::Yaml if !config.is_pushed() => (Format::Yaml, "yaml"),
        Provider::Json => (Format::Json, "json"),
        _ => return None,
    };
    Some((
        configuration.below_prefix(profiled("apisix", suffix)),
        format,
    ))
}

/// A file below the prefix whose name depends on the profile (`apisix/core/profile.lua`).
pub(crate) fn profiled(name: &str, suffix: &str) -> String {
    match environment("APISIX_PROFILE").filter(|profile| !profile.is_empty()) {
        Some(profile) => format!("conf/{name}-{profile}.{suffix}"),
        None => format!("conf/{name}.{suffix}"),
    }
}

/// Checks before a start that the file can be read, as `apisix start` does. One that is not there, or is still being written, may come
/// later; and the reference does not look at JSON here.
pub(crate) fn check(configuration: &Configuration) -> anyhow::Result<()> {
    let Some((path, Format::Yaml)) = place(configuration) else {
        return Ok(());
    };
    let shown = path.display();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
    };
    document::read_file(&format!("{text}\n#END"), Format::Yaml, &environment)
        .map(drop)
        .map_err(|error| anyhow!("{shown}: {error}"))
}

/// Reads the file and follows it; `None` where the configuration comes from elsewhere.
pub(crate) async fn open(configuration: &Configuration) -> Option<File> {
    let (path, format) = place(configuration)?;
    let loader = Arc::new(Loader::new(wiring::environment(configuration)));
    let read = move |bytes: Vec<u8>| -> BoxFuture<'static, Result<Reading, String>> {
        let loader = loader.clone();
        Box::pin(async move {
            let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
            let document = document::read_file(&text, format, &environment);
            let document = document.map_err(|error| error.to_string())?;
            Ok(loader.load(&document).await)
        })
    };
    Some(File::open(FileOptions::new(path, Arc::new(read))).await)
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
