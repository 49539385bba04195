//! Plugin metadata: what all configurations of a plugin have in common.

use std::{any::Any, marker::PhantomData, sync::Arc};

use arc_swap::ArcSwapOption;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Compile, ConfigError, compile};

/// Metadata, compiled.
pub trait Metadata: Any + Send + Sync + Sized {
    /// The metadata as users write it, with the defaults of the schema filled in: plain data. [`Value`] where names of members are not
    /// known ahead.
    type Config: DeserializeOwned;

    /// Compiles metadata.
    ///
    /// # Errors
    /// It cannot be honoured; what was in force before stays.
    fn compile(config: Self::Config, cx: &Compile<'_>) -> Result<Self, ConfigError>;
}

pub(crate) type AnyMetadata = Box<dyn Any + Send + Sync>;

/// A type of metadata without its type.
#[derive(Clone, Copy)]
pub struct MetadataType {
    pub(crate) compile: fn(&Value, &Compile<'_>) -> Result<AnyMetadata, ConfigError>,
}

impl MetadataType {
    /// Metadata of this type.
    pub const fn of<T: Metadata>() -> Self {
        Self {
            compile: |config, cx| Ok(Box::new(T::compile(compile::parse(config)?, cx)?)),
        }
    }
}

/// Where the newest metadata of a plugin lies.
pub(crate) type Cell = ArcSwapOption<AnyMetadata>;

/// The newest metadata of a plugin, whenever it is asked for.
pub struct MetadataHandle<T> {
    cell: Arc<Cell>,
    of: PhantomData<fn() -> T>,
}

impl<T: Metadata> MetadataHandle<T> {
    pub(crate) fn new(cell: Arc<Cell>) -> Self {
        Self {
            cell,
            of: PhantomData,
        }
    }

    /// Shows the metadata, `None` where none is stored. Costs some nanoseconds and takes no lock.
    pub fn with<R>(&self, look: impl FnOnce(Option<&T>) -> R) -> R {
        let held = self.cell.load();
        look(held.as_ref().and_then(|held| held.downcast_ref()))
    }
}

impl<T> std::fmt::Debug for MetadataHandle<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("MetadataHandle").finish_non_exhaustive()
    }
}
