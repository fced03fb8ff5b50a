//! Records as a [`Stream`] that takes its checkpoints itself.

use futures::stream::{self, Stream};
use serde::de::DeserializeOwned;

use super::{RecordEvent, Records, StreamError};
use crate::source::Source;
use crate::store::{CheckpointStore, JobState};

impl<S: Source, T: DeserializeOwned + Send> Records<S, T> {
    /// The values as a stream, which saves and commits its checkpoints in `store` whenever one is due, and once more at its
    /// end.
    ///
    /// **A value counts as used when the next one is asked for.** A checkpoint covers what was returned before, so whoever
    /// polls on has done with it, durably if it matters: do not put a buffer behind this stream (`buffered`, `ready_chunks`,
    /// a channel). What the consumer keeps must survive a crash by itself, or be idempotent: of the values since the last
    /// checkpoint some may have been used already, and all come again. To save state of your own in the same step, use
    /// [`next`](Self::next) and [`checkpoint`](Self::checkpoint).
    ///
    /// The stream ends after [`stop`](Self::stop), called on the records between two streams; and after the source has failed,
    /// with [`StreamError::Source`] as its last item. Dropping it loses nothing.
    pub fn stream<'a>(
        &'a mut self,
        store: &'a mut dyn CheckpointStore,
    ) -> impl Stream<Item = Result<T, StreamError>> + Send + 'a {
        stream::unfold(Some((self, store)), |running| async {
            let (records, store) = running?;
            let (item, goes_on) = records.step(store).await?;
            Some((item, goes_on.then_some((records, store))))
        })
    }

    /// The next item and whether more may follow.
    async fn step(&mut self, store: &mut dyn CheckpointStore) -> Option<(Result<T, StreamError>, bool)> {
        loop {
            match self.next().await {
                Ok(Some(RecordEvent::Record(record))) => {
                    return Some((record.map(|record| record.value).map_err(Into::into), true));
                }
                Ok(Some(RecordEvent::CheckpointDue(_))) => {
                    if let Err(error) = self.save(store).await {
                        let goes_on = !matches!(error, StreamError::Source(_));
                        return Some((Err(error), goes_on));
                    }
                }
                Ok(None) => return self.save(store).await.err().map(|error| (Err(error), false)),
                Err(error) => return Some((Err(error.into()), false)),
            }
        }
    }

    /// Between batches: everything handed out was returned.
    async fn save(&mut self, store: &mut dyn CheckpointStore) -> Result<(), StreamError> {
        let checkpoint = store.next_id();
        // Whatever ends this future early, the next call gives the checkpoint up: it may or may not be durable.
        self.unsettled = Some(checkpoint);
        let state = self.source.checkpoint(checkpoint).await?;
        store.save(&JobState { checkpoint, sources: vec![state], pending: Vec::new() }).await?;
        self.source.commit(checkpoint).await?;
        self.unsettled = None;
        Ok(())
    }
}
