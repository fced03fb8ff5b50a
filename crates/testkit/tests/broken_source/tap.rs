//! The queue as a broken source sees it: forwards, remembers handles, and bends what the flaw bends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use headwater_core::{
    Capabilities, DeleteOutcome, Description, Extended, Handle, Message, Queue, QueueError, QueueErrorKind,
    QueueIdentity, ReceiveRequest, Received,
};

use super::Flaw;

#[derive(Debug)]
pub(super) struct Tap {
    inner: Arc<dyn Queue>,
    flaw: Flaw,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    newest: BTreeMap<String, Handle>,
    owner: BTreeMap<Handle, String>,
    redelivered: VecDeque<String>,
    never: BTreeSet<String>,
    in_next: bool,
    held: bool,
    lost: bool,
}

impl Tap {
    pub(super) fn new(inner: Arc<dyn Queue>, flaw: Flaw) -> Self {
        Self { inner, flaw, seen: Mutex::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes these messages, whatever any ledger says.
    pub(super) async fn delete_all(&self, ids: &[String]) {
        let handles: Vec<Handle> = ids.iter().filter_map(|id| self.seen().newest.get(id).cloned()).collect();
        for handle in handles {
            _ = self.inner.delete(&[handle]).await;
        }
    }

    pub(super) fn never_delete(&self, ids: Vec<String>) {
        self.seen().never.extend(ids);
    }

    pub(super) fn hold_deletes(&self, hold: bool) {
        self.seen().held = hold;
    }

    pub(super) fn in_next(&self, inside: bool) {
        self.seen().in_next = inside;
    }

    pub(super) fn answers_lost(&self) -> bool {
        self.seen().lost
    }

    pub(super) fn take_redelivered(&self) -> Option<String> {
        self.seen().redelivered.pop_front()
    }

    async fn bend(&self, messages: Vec<Message>) -> Vec<Message> {
        let mut shown = Vec::new();
        for message in messages {
            let id = message.id.to_string();
            let again = message.dequeue_count > 1;
            {
                let mut seen = self.seen();
                seen.owner.insert(message.handle.clone(), id.clone());
                seen.newest.insert(id.clone(), message.handle.clone());
                if again {
                    seen.redelivered.push_back(id);
                }
            }
            match self.flaw {
                Flaw::LosesEmptyMessages if message.body.len() <= 2 => {}
                Flaw::NeverRearms if again => {}
                Flaw::TrustsTheDequeueCount if again => _ = self.inner.delete(&[message.handle]).await,
                _ => shown.push(message),
            }
        }
        shown
    }

    /// Whether the flaw keeps this delete from having an effect.
    fn withholds(&self, handle: &Handle) -> bool {
        let mut seen = self.seen();
        let never = seen.owner.get(handle).is_some_and(|id| seen.never.contains(id));
        // One delete per call of `next`, as a source without tasks would do it.
        let outside = self.flaw == Flaw::DeletesOnlyInNext && !std::mem::replace(&mut seen.in_next, false);
        never || seen.held || outside
    }
}

#[async_trait]
impl Queue for Tap {
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
        match self.inner.receive(request).await {
            Ok(received) => Ok(Received::new(self.bend(received.messages).await, received.server_time)),
            Err(cause) if self.flaw == Flaw::FailsOnTransient && !cause.kind.is_fatal() => {
                Err(QueueError::new(QueueErrorKind::Refused, "broken on purpose"))
            }
            Err(cause) => Err(cause),
        }
    }

    async fn delete(&self, handles: &[Handle]) -> Result<Vec<DeleteOutcome>, QueueError> {
        let mut outcomes = Vec::new();
        for handle in handles {
            outcomes.push(if self.withholds(handle) {
                DeleteOutcome::Failed
            } else {
                self.inner.delete(std::slice::from_ref(handle)).await?[0]
            });
        }
        self.seen().lost |= outcomes.contains(&DeleteOutcome::Unknown);
        Ok(outcomes)
    }

    async fn extend(&self, handle: &Handle, lease: Duration) -> Result<Extended, QueueError> {
        if self.flaw == Flaw::ReleasesNothing {
            return Ok(Extended { handle: handle.clone(), next_visible: None });
        }
        self.inner.extend(handle, lease).await
    }
}
