//! The operations beside receive, delete and extend: what a command line, a test or a producer needs.

use headwater_mns_proto::numbers::{MAX_RECEIVE_RESPONSE, MAX_SHORT_RESPONSE};
use headwater_mns_proto::{
    AccountAttributes, ListQueues, Message, NewMessage, QueueAttributes, QueueCreation, QueueList, QueueSettings,
    Request, SendFailure, SentMessage, answer,
};

use crate::client::MnsClient;
use crate::error::MnsError;
use crate::retry::Repeat;

impl MnsClient {
    /// Makes a queue; one that exists with the same settings is left as it is.
    ///
    /// # Errors
    /// [`MnsError`]; with the code `QueueAlreadyExist` if it exists with other settings.
    pub async fn create_queue(&self, queue: &str, settings: QueueSettings) -> Result<QueueCreation, MnsError> {
        let request = Request::CreateQueue { queue: queue.to_owned(), settings };
        self.run(&request, MAX_SHORT_RESPONSE, Repeat::Always, |reply| {
            answer::queue_created(reply.head.status, &reply.body.bytes)
        })
        .await
    }

    /// Removes a queue with its messages.
    ///
    /// # Errors
    /// [`MnsError`].
    pub async fn delete_queue(&self, queue: &str) -> Result<(), MnsError> {
        let request = Request::DeleteQueue { queue: queue.to_owned() };
        self.run(&request, MAX_SHORT_RESPONSE, Repeat::Always, |reply| {
            answer::done(reply.head.status, &reply.body.bytes)
        })
        .await
    }

    /// Reads a queue's attributes.
    ///
    /// # Errors
    /// [`MnsError`]; a consumer with few rights may not be allowed to.
    pub async fn queue_attributes(&self, queue: &str) -> Result<QueueAttributes, MnsError> {
        let request = Request::GetQueueAttributes { queue: queue.to_owned() };
        self.run(&request, MAX_SHORT_RESPONSE, Repeat::Always, |reply| {
            answer::queue_attributes(reply.head.status, &reply.body.bytes)
        })
        .await
    }

    /// Changes settings of a queue; what is `None` stays.
    ///
    /// # Errors
    /// [`MnsError`].
    pub async fn set_queue_attributes(&self, queue: &str, settings: QueueSettings) -> Result<(), MnsError> {
        let request = Request::SetQueueAttributes { queue: queue.to_owned(), settings };
        self.run(&request, MAX_SHORT_RESPONSE, Repeat::Always, |reply| {
            answer::done(reply.head.status, &reply.body.bytes)
        })
        .await
    }

    /// Reads one page of the account's queues; the next starts at its `next_marker`.
    ///
    /// # Errors
    /// [`MnsError`].
    pub async fn list_queues(&self, list: ListQueues) -> Result<QueueList, MnsError> {
        let request = Request::ListQueues(list);
        self.run(&request, MAX_SHORT_RESPONSE, Repeat::Always, |reply| {
            answer::queue_list(reply.head.status, &reply.body.bytes)
        })
        .await
    }

    /// Sends a message.
    ///
    /// It is tried again only where the service certainly did not take it, so that it is there once; after any other
    /// failure it may be there all the same, as [`MnsError::may_have_happened`] says.
    ///
    /// # Errors
    /// [`MnsError`].
    pub async fn send(&self, queue: &str, message: NewMessage) -> Result<SentMessage, MnsError> {
        let request = Request::SendMessage { queue: queue.to_owned(), message };
        self.run(&request, MAX_SHORT_RESPONSE, Repeat::IfUndone, |reply| {
            answer::sent(reply.head.status, &reply.body.bytes)
        })
        .await
    }

    /// Sends up to 16 messages of together at most 64 KiB; each has its own outcome, in order. Tried again as
    /// [`send`](Self::send) is.
    ///
    /// # Errors
    /// [`MnsError`] if the request failed as a whole.
    pub async fn batch_send(
        &self,
        queue: &str,
        messages: Vec<NewMessage>,
    ) -> Result<Vec<Result<SentMessage, SendFailure>>, MnsError> {
        let request = Request::BatchSendMessage { queue: queue.to_owned(), messages };
        self.run(&request, MAX_SHORT_RESPONSE, Repeat::IfUndone, |reply| {
            answer::batch_sent(reply.head.status, &reply.body.bytes)
        })
        .await
    }

    /// Looks at up to `count` messages (1 to 16) without leasing them.
    ///
    /// # Errors
    /// [`MnsError`].
    pub async fn peek(&self, queue: &str, count: u32) -> Result<Vec<Message<'static>>, MnsError> {
        let request = Request::PeekMessage { queue: queue.to_owned(), batch: Some(count) };
        self.run(&request, MAX_RECEIVE_RESPONSE, Repeat::Always, |reply| {
            let messages = answer::peeked(reply.head.status, &reply.body.bytes)?;
            Ok(messages.into_iter().map(Message::into_owned).collect())
        })
        .await
    }

    /// Reads the account's settings.
    ///
    /// # Errors
    /// [`MnsError`].
    pub async fn account_attributes(&self) -> Result<AccountAttributes, MnsError> {
        self.run(&Request::GetAccountAttributes, MAX_SHORT_RESPONSE, Repeat::Always, |reply| {
            answer::account_attributes(reply.head.status, &reply.body.bytes)
        })
        .await
    }
}
