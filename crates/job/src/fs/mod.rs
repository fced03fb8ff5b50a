//! File systems: the machine's own, and one in memory that loses, tears and fails what tests tell it to. Their words, and
//! what they owe, are in [`headwater_core::fs`].

mod local;
mod memory;

use std::sync::Arc;

pub use headwater_core::fs::{FileLimits, FileSystem, Identity, Listed, Lock, LockError, Metadata, NewFile};
pub(crate) use headwater_core::fs::{ReadError, create_dirs, lasts, read, way_out};
pub use local::LocalFs;
pub use memory::{Fault, Loss, MemoryFs};

/// Runs file work where it may wait: on a blocking thread for a real disk, so that a slow fsync does not hold up lease
/// renewals on this one; in place for a simulated one, so that one seed gives one trace.
pub(crate) async fn run<T: Send + 'static>(
    fs: &Arc<dyn FileSystem>,
    work: impl FnOnce(&dyn FileSystem) -> T + Send + 'static,
) -> T {
    if !fs.blocks() {
        return work(&**fs);
    }
    let fs = Arc::clone(fs);
    match tokio::task::spawn_blocking(move || work(&*fs)).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that is shutting down cancels; whoever waits here is being dropped with it.
            Err(_) => std::future::pending().await,
        },
    }
}
