//! Workers and the life of a request.
