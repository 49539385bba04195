//! The name of this instance: what `conf/apisix.uid` holds, else `apisix.id`, else one made at random, which is kept there
//! (`apisix/core/id.lua`).

use std::fs;

use crate::configuration::Configuration;

/// The name. One that cannot be kept is no reason not to run.
pub(crate) fn id(configuration: &Configuration) -> String {
    let path = configuration.below_prefix("conf/apisix.uid");
    if let Ok(kept) = fs::read_to_string(&path) {
        return kept.trim_end().to_owned();
    }
    let named = configuration.boot.config.apisix.id.clone();
    let id = named.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    // Without a file nothing was set up, and a look at the gateway shall leave nothing behind but its store.
    if configuration.file.is_some()
        && let Err(error) = fs::write(&path, &id)
    {
        tracing::warn!(path = %path.display(), %error, "the name of this instance cannot be kept");
    }
    id
}

#[cfg(test)]
mod tests {
    use lockgate_model::boot::{Boot, File};

    use super::*;

    #[test]
    fn keeps_its_first_name() {
        let dir = tempfile::tempdir().expect("directory");
        let configured = |text: &str| Configuration {
            prefix: dir.path().to_owned(),
            file: Some(dir.path().join("conf/config.yaml")),
            boot: Boot::read(Some(File { name: "", text }), &|_| None).expect("valid"),
        };
        let named = configured("apisix: {id: edge-1}");
        assert_eq!(id(&named), "edge-1", "there is no place to keep it");
        fs::create_dir(dir.path().join("conf")).expect("directory");
        let made = id(&configured(""));
        assert_eq!(made.len(), 36, "{made}");
        assert_eq!(id(&named), made);
        let path = dir.path().join("conf/apisix.uid");
        fs::write(&path, "edge-2\n").expect("written");
        assert_eq!(id(&named), "edge-2");
        fs::remove_file(&path).expect("there");
        assert_eq!(id(&named), "edge-1");
        assert_eq!(id(&configured("")), "edge-1");
    }

    #[test]
    fn leaves_nothing_behind_without_a_file() {
        let dir = tempfile::tempdir().expect("directory");
        fs::create_dir(dir.path().join("conf")).expect("directory");
        let bare = Configuration {
            prefix: dir.path().to_owned(),
            file: None,
            boot: Boot::read(None, &|_| None).expect("valid"),
        };
        assert_eq!(id(&bare).len(), 36);
        assert!(!dir.path().join("conf/apisix.uid").exists());
    }
}
