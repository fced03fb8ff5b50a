//! A queue of the service as Headwater's [`Queue`].

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use headwater_core::{
    Capabilities, DeleteOutcome, Description, Extended, Handle, Queue, QueueError, QueueErrorKind, QueueIdentity,
    ReceiveRequest, Received,
};
use headwater_mns_proto::numbers::{BATCH, MAX_RECEIVE_RESPONSE, MAX_SHORT_RESPONSE, VISIBILITY_TIMEOUT, WAIT_SECONDS};
use headwater_mns_proto::{DeleteFailure, ErrorClass, Request, answer};

use crate::client::{Call, MnsClient, server_time};
use crate::damage;
use crate::error::MnsError;
use crate::net::Reply;
use crate::received::{self, server_ms};
use crate::retry::Repeat;

/// One queue. Cheap to clone.
#[derive(Clone)]
pub struct MnsQueue {
    client: MnsClient,
    name: String,
    verifies: bool,
    /// The last receive: the next is nearly always the same.
    receive: Arc<Mutex<Option<Receive>>>,
    /// What every delete is but for its handles.
    delete: Arc<OnceLock<Call>>,
}

struct Receive {
    max: u32,
    wait: u32,
    call: Arc<Call>,
}

impl MnsClient {
    /// A queue by its name. Whether it exists is not asked.
    pub fn queue(&self, name: impl Into<String>) -> MnsQueue {
        MnsQueue {
            client: self.clone(),
            name: name.into(),
            verifies: false,
            receive: Arc::default(),
            delete: Arc::default(),
        }
    }
}

impl MnsQueue {
    /// The client it goes through.
    pub fn client(&self) -> &MnsClient {
        &self.client
    }

    /// Whether each received body is compared with its MessageBodyMD5; not by default: from 4 KB on that costs about as much as
    /// receiving it, and TCP's and TLS's checks cover the way to the service. What does not fit is in
    /// [`Received::damaged`].
    #[must_use]
    pub fn verify_bodies(mut self, verifies: bool) -> Self {
        self.verifies = verifies;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The call of a receive: the last one's, if it asked for the same.
    fn receive_call(&self, max: u32, wait: u32) -> Result<Arc<Call>, MnsError> {
        let mut kept = self.receive.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_ref().filter(|kept| (kept.max, kept.wait) == (max, wait)) {
            return Ok(kept.call.clone());
        }
        let request = Request::ReceiveMessage { queue: self.name.clone(), batch: Some(max), wait_seconds: Some(wait) };
        let time = Duration::from_secs(u64::from(wait)) + self.client.settings().receive_margin;
        let call = Arc::new(self.client.call(&request, MAX_RECEIVE_RESPONSE, time, Repeat::Always)?);
        *kept = Some(Receive { max, wait, call: call.clone() });
        Ok(call)
    }

    fn delete_call(&self) -> Result<&Call, MnsError> {
        if let Some(call) = self.delete.get() {
            return Ok(call);
        }
        let call = self.client.delete_call(&self.name)?;
        Ok(self.delete.get_or_init(|| call))
    }
}

impl fmt::Debug for MnsQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MnsQueue").field("client", &self.client).field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Queue for MnsQueue {
    fn identity(&self) -> QueueIdentity {
        let account = self.client.endpoint().account().unwrap_or_default().to_owned();
        QueueIdentity { account, name: self.name.clone() }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::mns()
    }

    async fn describe(&self) -> Result<Description, QueueError> {
        let attributes = self.client.queue_attributes(&self.name).await?;
        let seconds = |seconds: u32| Some(Duration::from_secs(u64::from(seconds)));
        Ok(Description::new(
            seconds(attributes.visibility_timeout),
            seconds(attributes.message_retention_period),
            Some(u64::from(attributes.maximum_message_size)),
        ))
    }

    /// One request, not repeated after a failure: pacing is the caller's. (After a closed connection or with a renewed
    /// key it is made a second time.)
    async fn receive(&self, request: ReceiveRequest) -> Result<Received, QueueError> {
        let wait = u32::try_from(request.wait.as_secs()).unwrap_or(u32::MAX).min(*WAIT_SECONDS.end());
        let call = self.receive_call(request.max.clamp(*BATCH.start(), *BATCH.end()), wait)?;
        let read = |reply: &Reply| {
            let mut messages = answer::received(reply.head.status, &reply.body.bytes)?;
            let damaged = if self.verifies { damage::take_out(&mut messages) } else { Vec::new() };
            Ok(Received::new(received::messages(messages, &reply.body), server_time(reply)).with_damaged(damaged))
        };
        Ok(self.client.attempt(&call, None, &read).await?)
    }

    async fn delete(&self, handles: &[Handle]) -> Result<Vec<DeleteOutcome>, QueueError> {
        if handles.is_empty() {
            // The service would refuse an empty list as a malformed request.
            return Ok(Vec::new());
        }
        let call = self.delete_call()?;
        match self.client.batch_delete(call, handles.iter().map(Handle::as_str)).await {
            // An error means that nothing was deleted if it says so.
            Ok(failures) => Ok(outcomes(handles, &failures)),
            Err(error) if error.may_have_happened() => {
                tracing::debug!(%error, "a delete has no clear outcome");
                Ok(vec![DeleteOutcome::Unknown; handles.len()])
            }
            // Refused as a whole for its only handle; for several, nothing says which one it means.
            Err(error) if error.kind() == QueueErrorKind::Gone => {
                let outcome = if handles.len() == 1 { DeleteOutcome::Stale } else { DeleteOutcome::Unknown };
                Ok(vec![outcome; handles.len()])
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn extend(&self, handle: &Handle, lease: Duration) -> Result<Extended, QueueError> {
        let whole = lease.as_secs() + u64::from(lease.subsec_nanos() > 0);
        let seconds = u32::try_from(whole).unwrap_or(u32::MAX);
        let request = Request::ChangeMessageVisibility {
            queue: self.name.clone(),
            receipt_handle: handle.as_str().to_owned(),
            visibility_timeout: seconds.clamp(*VISIBILITY_TIMEOUT.start(), *VISIBILITY_TIMEOUT.end()),
        };
        let read = |reply: &Reply| answer::visibility_changed(reply.head.status, &reply.body.bytes);
        let changed = self.client.run(&request, MAX_SHORT_RESPONSE, Repeat::IfUndone, read).await?;
        Ok(Extended {
            handle: Handle::new(&changed.receipt_handle),
            next_visible: server_ms(changed.next_visible_time),
        })
    }
}

/// One outcome per handle. The service lists what failed; the rest is deleted. An entry for a handle that was not sent
/// makes it uncertain which one failed, so that then only what is listed is certain.
fn outcomes(handles: &[Handle], failures: &[DeleteFailure]) -> Vec<DeleteOutcome> {
    let is_sent = |failure: &DeleteFailure| handles.iter().any(|handle| handle.as_str() == failure.receipt_handle);
    let unlisted = if failures.iter().all(is_sent) { DeleteOutcome::Deleted } else { DeleteOutcome::Unknown };
    let outcome = |handle: &Handle| {
        let failure = failures.iter().find(|failure| failure.receipt_handle == handle.as_str());
        match failure.map(DeleteFailure::class) {
            None => unlisted,
            Some(ErrorClass::Gone) => DeleteOutcome::Stale,
            Some(_) => DeleteOutcome::Failed,
        }
    };
    handles.iter().map(outcome).collect()
}

#[cfg(test)]
mod tests {
    use headwater_mns_proto::ErrorCode;

    use super::*;

    fn failure(handle: &str, code: ErrorCode) -> DeleteFailure {
        DeleteFailure { receipt_handle: handle.to_owned(), code, message: String::new() }
    }

    #[test]
    fn every_handle_has_its_own_outcome() {
        use DeleteOutcome::*;
        let handles = [Handle::new("a"), Handle::new("b"), Handle::new("c"), Handle::new("d")];
        let failures = [
            failure("b", ErrorCode::ReceiptHandleError),
            failure("c", ErrorCode::InternalError),
            failure("d", ErrorCode::MessageNotExist),
        ];
        assert_eq!(outcomes(&handles, &failures), [Deleted, Stale, Failed, Stale]);
        assert_eq!(outcomes(&handles, &[]), [Deleted; 4]);
        assert_eq!(outcomes(&handles, &[failure("b", ErrorCode::AccessDenied)]), [Deleted, Failed, Deleted, Deleted]);
        let strange = [failure("B", ErrorCode::ReceiptHandleError), failure("a", ErrorCode::ReceiptHandleError)];
        assert_eq!(outcomes(&handles, &strange), [Stale, Unknown, Unknown, Unknown]);
    }
}
