//! Where secrets are kept: a Vault, and the secret managers of AWS and Google.

use serde_json::{Value, json};

/// A Vault.
pub(super) fn vault() -> Value {
    json!({
        "type": "object",
        "properties": {
            "namespace": {"type": "string"},
            "prefix": {"type": "string"},
            "token": {"type": "string"},
            "uri": uri(),
        },
        "required": ["uri", "prefix", "token"],
    })
}

/// Amazon's cloud.
pub(super) fn aws() -> Value {
    json!({
        "type": "object",
        "properties": {
            "access_key_id": {"type": "string"},
            "endpoint_url": uri(),
            "region": {"type": "string", "default": "us-east-1"},
            "secret_access_key": {"type": "string"},
            "session_token": {"type": "string"},
        },
        "required": ["access_key_id", "secret_access_key"],
    })
}

/// Google's cloud.
pub(super) fn gcp() -> Value {
    json!({
        "type": "object",
        "properties": {
            "auth_config": {
                "type": "object",
                "properties": {
                    "client_email": {"type": "string"},
                    "entries_uri": {
                        "type": "string",
                        "default": "https://secretmanager.googleapis.com/v1",
                    },
                    "private_key": {"type": "string"},
                    "project_id": {"type": "string"},
                    "scope": {
                        "type": "array",
                        "items": {"type": "string"},
                        "default": ["https://www.googleapis.com/auth/cloud-platform"],
                    },
                    "token_uri": {
                        "type": "string",
                        "default": "https://oauth2.googleapis.com/token",
                    },
                },
                "required": ["client_email", "private_key", "project_id"],
            },
            "auth_file": {"type": "string"},
            "ssl_verify": {"type": "boolean", "default": true},
        },
        "oneOf": [{"required": ["auth_config"]}, {"required": ["auth_file"]}],
    })
}

fn uri() -> Value {
    json!({
        "type": "string",
        "pattern": r"^[^\/]+:\/\/([\da-zA-Z.-]+|\[[\da-fA-F:]+\])(:\d+)?",
    })
}
