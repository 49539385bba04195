//! Objects inside others: what they lie in must be there, and takes them along when it goes.

use http::StatusCode;
use lockgate_store::{Author, Delete, Store, StoreError};

use crate::response::Answer;

use super::Place;

/// Checks that what an object lies inside is there.
///
/// # Errors
/// It is not, or the store failed.
pub(super) async fn check_owner(store: &dyn Store, place: &Place<'_>) -> Result<(), Answer> {
    let (owners, words) = match place.kind.plural {
        "credentials" => ("consumers", "consumer"),
        "graphql_cost_decorations" => ("services", "service"),
        _ => return Ok(()),
    };
    let owner = place.parent.unwrap_or_default();
    match store.get(&format!("{owners}/{owner}")).await? {
        Some(_) => Ok(()),
        None => Err(Answer::error(
            StatusCode::NOT_FOUND,
            format!("{words} not found"),
        )),
    }
}

/// Removes what lies inside an object.
///
/// # Errors
/// The store failed.
pub(super) async fn remove(
    store: &dyn Store,
    owner: &str,
    owned: &str,
    author: &Author,
) -> Result<(), StoreError> {
    let listing = store.list(&format!("{owner}/{owned}/")).await?;
    for entry in listing.entries {
        let removal = store.delete(Delete {
            key: entry.key.to_string(),
            author: author.clone(),
        });
        removal.await?;
    }
    Ok(())
}
