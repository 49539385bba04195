//! A client for each worker.

use std::sync::OnceLock;

use crate::Client;

/// One client for the control runtime, and one for each worker that asks for it: no worker waits for another's pool.
#[derive(Debug)]
pub struct Clients {
    control: Client,
    workers: Box<[OnceLock<Client>]>,
}

impl Clients {
    /// With room for this many workers.
    pub fn new(control: Client, workers: usize) -> Self {
        Self {
            control,
            workers: (0..workers).map(|_| OnceLock::new()).collect(),
        }
    }

    /// For the control runtime.
    pub fn control(&self) -> &Client {
        &self.control
    }

    /// For a worker, by its number from 0. One beyond those there is room for has the control runtime's pool, which keeps the
    /// connections of runtimes apart but is locked by all that use it.
    pub fn of(&self, worker: usize) -> &Client {
        self.workers.get(worker).map_or(&self.control, |client| {
            client.get_or_init(|| self.control.apart())
        })
    }
}
