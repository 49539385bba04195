//! The HTTP engine against its naive double, and every fuzz target on its corpus.

mod corpus;
mod properties;
