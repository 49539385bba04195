//! Who may ask: client addresses, keys and roles.

use std::hint::black_box;

use http::{Method, StatusCode};
use ipnet::IpNet;
use lockgate_store::Author;
use serde_json::json;

use crate::{
    args::Arg,
    options::{AdminKey, AdminOptions, Role},
    request::Call,
    response::Answer,
};

/// Whether `deployment.admin.allow_admin` lets a client in.
pub(crate) fn is_allowed(allow: Option<&[IpNet]>, call: &Call) -> bool {
    allow.is_none_or(|allow| allow.iter().any(|block| block.contains(&call.client)))
}

/// Checks the key of a request and says who writes.
///
/// # Errors
/// The answer to a request without a fitting key.
pub(crate) fn check(options: &AdminOptions, call: &Call) -> Result<Author, Answer> {
    let address = call.client.to_string();
    // A list without a usable key lets nobody in (`check_token` in `apisix/admin/init.lua`).
    if !options.is_key_required {
        let name = String::new();
        return Ok(Author { name, address });
    }
    let key = match presented(call) {
        Presented::Nothing => return Err(refused("missing apikey")),
        Presented::NoKey => None,
        Presented::Key(presented) => find(&options.keys, &presented),
    };
    let Some(key) = key else {
        return Err(refused("wrong apikey"));
    };
    if key.role == Role::Viewer && call.method != Method::GET {
        return Err(refused("invalid method for role viewer"));
    }
    Ok(Author {
        name: key.name.clone(),
        address,
    })
}

fn refused(description: &str) -> Answer {
    Answer::json(
        StatusCode::UNAUTHORIZED,
        &json!({ "error_msg": "failed to check token", "description": description }),
    )
}

/// What a client presents.
enum Presented {
    Nothing,
    /// An argument that names the key and has no text.
    NoKey,
    Key(String),
}

/// The key that the client presents: argument before header before cookie (`apisix/admin/init.lua`).
fn presented(call: &Call) -> Presented {
    match call.args.first("api_key") {
        Some(Arg::Bare) => return Presented::NoKey,
        Some(Arg::Text(key)) => return Presented::Key(key.to_owned()),
        None => {}
    }
    // nginx's `$http_x_api_key` also is the field with underscores.
    if let Some(field) = call
        .header("x-api-key")
        .or_else(|| call.header("x_api_key"))
    {
        return Presented::Key(field);
    }
    let cookies = call.header("cookie").unwrap_or_default();
    let cookie = cookies
        .split([';', ','])
        .filter_map(|cookie| cookie.split_once('='))
        .find(|(name, _)| name.trim() == "x_api_key");
    cookie.map_or(Presented::Nothing, |(_, text)| {
        Presented::Key(text.trim().to_owned())
    })
}

/// Finds a key. How long that takes does not tell how much of a key was right, nor which one.
fn find<'a>(keys: &'a [AdminKey], presented: &str) -> Option<&'a AdminKey> {
    let mut found = None;
    for key in keys {
        // A key that nobody set must not fit a request that sends none.
        if is_same(key.key.as_bytes(), presented.as_bytes())
            && !key.key.is_empty()
            && found.is_none()
        {
            found = Some(key);
        }
    }
    found
}

/// Compares in a time that depends on the length of `presented` alone.
fn is_same(expected: &[u8], presented: &[u8]) -> bool {
    let mut differences = u8::from(expected.len() != presented.len());
    for (place, byte) in presented.iter().enumerate() {
        let against = expected
            .get(place % expected.len().max(1))
            .copied()
            .unwrap_or_default();
        differences |= black_box(byte ^ against);
    }
    black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_whole_keys() {
        for (expected, presented, is_equal) in [
            ("secret", "secret", true),
            ("secret", "Secret", false),
            ("secret", "secre", false),
            ("secret", "secrets", false),
            ("ab", "abab", false),
            ("secret", "", false),
            ("", "a", false),
        ] {
            assert_eq!(
                is_same(expected.as_bytes(), presented.as_bytes()),
                is_equal,
                "{expected} {presented}"
            );
        }
    }

    #[test]
    fn never_finds_an_empty_key() {
        let keys = [AdminKey {
            name: "unset".into(),
            key: String::new(),
            role: Role::Admin,
        }];
        assert!(find(&keys, "").is_none());
    }
}
