//! The batch processor of all loggers: workers push entries, the control runtime sends them in batches.
//!
//! A push takes a short lock and never waits. A batch is sent when it is full, when no entry came for a while, or when its
//! oldest entry has waited long enough; a batch that fails is sent again as often as the settings say, and then given up. What
//! waits is bounded in entries and bytes for each plugin; what does not fit is dropped and counted.
//!
//! What it deliberately does not do: know what an entry is, how it is written down, or whom it goes to (that is a [`Sender`]);
//! keep entries over a restart.
//!
//! Start at [`Processors::get`] and [`Processor::push`]; the life of a batch is in `drive.rs`. The rules are those of the
//! reference's `apisix/utils/batch-processor.lua` and `batch-processor-manager.lua`.

mod backlog;
mod buffer;
mod drive;
mod limits;
mod lines;
mod processor;
mod processors;
mod report;
mod sender;
mod settings;

pub use backlog::Bounds;
pub use processor::Processor;
pub use processors::{Flushed, Processors};
pub use report::{Place, Report};
pub use sender::{Failed, Sender, Sending};
pub use settings::Settings;
