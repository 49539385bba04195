//! Admin API, control API.
