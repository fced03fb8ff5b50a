//! Test-only (feature `traps`): what a source does that makes a known mistake. See the ledger's module of the same name.

use std::sync::Arc;

use headwater_core::MessageRows;
use headwater_ledger::{Handle, Ledger, Trap};
use tokio::task::JoinSet;

use crate::source::QueueSource;
use crate::state::Shared;

impl QueueSource {
    /// Whether this mistake is switched on.
    pub(crate) fn has_trap(&self, trap: Trap) -> bool {
        self.shared.config.limits.has_trap(trap)
    }
}

/// [`Trap::SkippedDeletedAtOnce`]: a second code path that deletes, for what the start time skips.
pub(crate) fn delete_skipped(shared: &Arc<Shared>, ledger: &Ledger, messages: &[MessageRows], tasks: &mut JoinSet<()>) {
    let Some(start) = shared.config.start_time.filter(|_| shared.config.limits.has_trap(Trap::SkippedDeletedAtOnce))
    else {
        return;
    };
    let skipped = |message: &&MessageRows| message.meta.enqueued.is_some_and(|enqueued| enqueued.0 < start);
    let keys: Vec<_> = messages.iter().filter(skipped).map(|message| message.meta.key).collect();
    let ids = ledger.ids().into_iter().filter(|id| keys.contains(&id.key));
    let handles: Vec<Handle> = ids.filter_map(|id| id.handle).collect();
    if !handles.is_empty() {
        let shared = Arc::clone(shared);
        tasks.spawn(async move { _ = shared.queue.delete(&handles).await });
    }
}
