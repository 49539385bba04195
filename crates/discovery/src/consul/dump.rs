//! What was known last, in a file: with it a gateway starts while the registry is away.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use lockgate_model::{boot::discovery::Dump, resource::Node};
use serde::Deserialize;
use serde_json::json;

use crate::{
    board::{Board, Services},
    shown::services,
};

/// The file.
#[derive(Debug)]
pub(crate) struct DumpFile {
    path: PathBuf,
    is_loaded: bool,
    expire_s: i64,
}

/// Its content, as the reference writes it.
#[derive(Debug, Deserialize)]
struct Content {
    services: BTreeMap<String, Vec<Node>>,
    last_update: i64,
}

impl DumpFile {
    pub(crate) fn new(config: &Dump) -> Self {
        Self {
            path: config.path.clone().into(),
            is_loaded: config.load_on_init,
            expire_s: config.expire,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts what the file has on the board as the first source, unless it is too old or not asked for.
    pub(crate) fn load(&self, board: &Board) {
        if !self.is_loaded {
            return;
        }
        let path = self.path.display();
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) => {
                tracing::warn!(%path, %error, "read dump file get error");
                return;
            }
        };
        let content: Content = match serde_json::from_slice(&text) {
            Ok(content) => content,
            Err(error) => {
                tracing::error!(%path, %error, "decoded dump data got error");
                return;
            }
        };
        if self.expire_s != 0 && content.last_update.saturating_add(self.expire_s) < now_s() {
            tracing::warn!(%path, "the dump file had expired, ignored it");
            return;
        }
        let services = content.services.into_iter();
        let services: Services = services.map(|(key, nodes)| (key, nodes.into())).collect();
        tracing::info!(%path, count = services.len(), "services were read from the dump file");
        board.replace(0, services);
    }

    /// Writes what the board has. The file is the old one or the new one, never half of it.
    pub(crate) async fn write(&self, board: &Board) {
        let content = json!({
            "services": services(&board.all()),
            "last_update": now_s(),
            "expire": self.expire_s,
        });
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let written = async {
            tokio::fs::write(&beside, content.to_string()).await?;
            tokio::fs::rename(&beside, &self.path).await
        };
        if let Err(error) = written.await {
            let path = self.path.display();
            tracing::error!(%path, %error, "write dump into file got error");
        }
    }
}

fn now_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs().cast_signed())
}
