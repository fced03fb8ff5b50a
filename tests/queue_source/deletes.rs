//! A queue that looks at the disk before every delete: what is deleted at once must be durable in the source's own log.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use headwater::job::fs::MemoryFs;
use headwater_core::{
    Capabilities, DeleteOutcome, Description, Extended, Handle, Queue, QueueError, QueueIdentity, ReceiveRequest,
    Received, SharedStr,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Watch {
    inner: Arc<dyn Queue>,
    fs: MemoryFs,
    /// The message of every handle that was given out.
    ids: Mutex<HashMap<Handle, SharedStr>>,
    /// Messages that were seen in what a loss of power leaves of the log.
    durable: Mutex<BTreeSet<SharedStr>>,
    early: Mutex<Vec<SharedStr>>,
}

impl Watch {
    pub(crate) fn new(inner: Arc<dyn Queue>, fs: &MemoryFs) -> Self {
        let (ids, durable, early) = Default::default();
        Self { inner, fs: fs.clone(), ids, durable, early }
    }

    /// Messages of which a delete was asked for before they were durable.
    pub(crate) fn early(&self) -> Vec<SharedStr> {
        self.early.lock().expect("a list").clone()
    }

    fn look(&self, handles: &[Handle]) {
        let ids = self.ids.lock().expect("ids");
        let mut durable = self.durable.lock().expect("ids");
        let unseen: Vec<_> =
            handles.iter().filter_map(|handle| ids.get(handle)).filter(|id| !durable.contains(*id)).collect();
        if unseen.is_empty() {
            return;
        }
        let files = self.fs.durable_files();
        let log: Vec<_> = files.iter().filter(|(path, _)| path.starts_with("/log")).map(|(_, bytes)| bytes).collect();
        for id in unseen {
            // As a record holds it: its length, its bytes.
            let needle: Vec<u8> = (id.len() as u32).to_le_bytes().into_iter().chain(id.bytes()).collect();
            if log.iter().any(|bytes| bytes.windows(needle.len()).any(|window| window == needle)) {
                durable.insert(id.clone());
            } else {
                self.early.lock().expect("a list").push(id.clone());
            }
        }
    }
}

#[async_trait]
impl Queue for Watch {
    fn identity(&self) -> QueueIdentity {
        self.inner.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn describe(&self) -> Result<Description, QueueError> {
        self.inner.describe().await
    }

    async fn receive(&self, request: ReceiveRequest) -> Result<Received, QueueError> {
        let received = self.inner.receive(request).await?;
        let mut ids = self.ids.lock().expect("ids");
        ids.extend(received.messages.iter().map(|message| (message.handle.clone(), message.id.clone())));
        drop(ids);
        Ok(received)
    }

    async fn delete(&self, handles: &[Handle]) -> Result<Vec<DeleteOutcome>, QueueError> {
        self.look(handles);
        self.inner.delete(handles).await
    }

    async fn extend(&self, handle: &Handle, lease: Duration) -> Result<Extended, QueueError> {
        let extended = self.inner.extend(handle, lease).await?;
        let mut ids = self.ids.lock().expect("ids");
        if let Some(id) = ids.get(handle).cloned() {
            ids.insert(extended.handle.clone(), id);
        }
        drop(ids);
        Ok(extended)
    }
}
