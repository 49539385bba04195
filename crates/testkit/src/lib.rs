//! Scripted origins, clients and an in-process gateway for tests.
