//! JSON schema validation in the words of the reference gateway.
