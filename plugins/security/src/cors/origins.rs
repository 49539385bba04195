//! Lists of origins as configurations write them.

use std::collections::BTreeSet;

/// A list of origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origins {
    /// All, without credentials (`*`).
    Any,
    /// All (`**`).
    Forced,
    /// One.
    One(Box<[u8]>),
    /// Several, with commas between them.
    Several(BTreeSet<Box<[u8]>>),
}

impl Origins {
    pub(super) fn parse(text: &str) -> Self {
        match text {
            "*" => Self::Any,
            "**" => Self::Forced,
            text if text.contains(',') => {
                let origins = text.split(',').filter(|origin| !origin.is_empty());
                Self::Several(origins.map(|origin| origin.as_bytes().into()).collect())
            }
            text => Self::One(text.as_bytes().into()),
        }
    }

    /// Whether it is `*`.
    pub(super) fn is_any(&self) -> bool {
        *self == Self::Any
    }

    /// What is answered to an origin. Where the list is one origin it is that, whoever asks; where it is several, nothing if they do not hold it.
    pub(super) fn answer<'a>(&'a self, origin: Option<&'a [u8]>) -> Option<&'a [u8]> {
        match self {
            Self::Any => Some(b"*"),
            Self::Forced => Some(origin.unwrap_or(b"*")),
            Self::One(origin) => Some(origin),
            Self::Several(origins) => origin.filter(|origin| origins.contains(*origin)),
        }
    }
}
