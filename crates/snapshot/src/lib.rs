//! The compiler from stored objects to an immutable snapshot.
