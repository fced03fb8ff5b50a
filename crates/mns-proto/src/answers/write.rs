//! Answers, written by a server.

use crate::answers::{Answer, DeleteFailure, QueueList, SendFailure};
use crate::failure::ServiceError;
use crate::message::{Message, Received, SentMessage, write_properties};
use crate::xml::write::Document;

/// An answer ready to be sent.
///
/// `Debug` shows the body's length only: it may hold messages.
#[derive(Clone, PartialEq, Eq)]
pub struct WireAnswer {
    /// The status.
    pub status: u16,
    /// Headers of this answer; the server adds those that every answer has (`x-mns-request-id`, `x-mns-version`,
    /// date, length).
    pub headers: Vec<(&'static str, String)>,
    /// The body; none for 204. Bytes of a message's body that are no UTF-8, which XML cannot carry, are written as U+FFFD.
    pub body: Option<String>,
}

impl std::fmt::Debug for WireAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WireAnswer")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body_length", &self.body.as_ref().map(String::len))
            .finish()
    }
}

impl Answer<'_> {
    /// Writes the answer: every element the official clients insist on, nothing they would stumble over.
    pub fn write(&self) -> WireAnswer {
        let (status, body) = match self {
            Self::QueueCreated { location } => return created(201, location),
            Self::QueueExists { location } => return created(204, location),
            Self::Done => return WireAnswer { status: 204, headers: Vec::new(), body: None },
            Self::QueueAttributes(queue) => (200, Document::write("Queue", |out| queue.write(out))),
            Self::QueueList(list) => (200, Document::write("Queues", |out| list.write(out))),
            Self::Sent(sent) => (201, Document::write("Message", |out| write_sent(out, sent))),
            Self::BatchSent(sent) => {
                let status = if sent.iter().all(Result::is_ok) { 201 } else { 500 };
                (status, each("Messages", "Message", sent, write_send_outcome))
            }
            Self::Received(received) => (200, Document::write("Message", |out| write_received(out, received))),
            Self::BatchReceived(received) => (200, each("Messages", "Message", received, write_received)),
            Self::Peeked(message) => (200, Document::write("Message", |out| write_message(out, message, None))),
            Self::BatchPeeked(messages) => {
                (200, each("Messages", "Message", messages, |out, message| write_message(out, message, None)))
            }
            Self::DeleteFailures(failures) => (404, each("Errors", "Error", failures, write_delete_failure)),
            Self::VisibilityChanged(changed) => {
                let body = Document::write("ChangeVisibility", |out| {
                    out.text("ReceiptHandle", &changed.receipt_handle);
                    out.value("NextVisibleTime", changed.next_visible_time);
                });
                (200, body)
            }
            Self::AccountAttributes(account) => (200, Document::write("Account", |out| account.write(out))),
            Self::Error(error) => (error.status, Document::write("Error", |out| write_error(out, error))),
        };
        WireAnswer { status, headers: vec![("content-type", "text/xml;charset=utf-8".to_owned())], body: Some(body) }
    }
}

fn created(status: u16, location: &str) -> WireAnswer {
    WireAnswer { status, headers: vec![("location", location.to_owned())], body: None }
}

fn each<T>(root: &str, item: &str, items: &[T], write: impl Fn(&mut Document, &T)) -> String {
    Document::write(root, |out| items.iter().for_each(|one| out.element(item, |out| write(out, one))))
}

impl QueueList {
    fn write(&self, out: &mut Document) {
        for queue in &self.queues {
            out.element("Queue", |out| {
                out.text("QueueURL", &queue.url);
                if let Some(attributes) = &queue.attributes {
                    attributes.write(out);
                }
            });
        }
        if let Some(marker) = &self.next_marker {
            out.text("NextMarker", marker);
        }
    }
}

fn write_sent(out: &mut Document, sent: &SentMessage) {
    out.text("MessageId", &sent.id);
    out.text("MessageBodyMD5", &sent.body_md5);
    if let Some(handle) = &sent.receipt_handle {
        out.text("ReceiptHandle", handle);
    }
}

fn write_send_outcome(out: &mut Document, outcome: &Result<SentMessage, SendFailure>) {
    match outcome {
        Ok(sent) => write_sent(out, sent),
        Err(failure) => {
            out.text("ErrorCode", failure.code.as_str());
            out.text("ErrorMessage", &failure.message);
        }
    }
}

fn write_received(out: &mut Document, received: &Received<'_>) {
    write_message(out, &received.message, Some(received));
}

fn write_message(out: &mut Document, message: &Message<'_>, lease: Option<&Received<'_>>) {
    out.text("MessageId", &message.id);
    if let Some(lease) = lease {
        out.text("ReceiptHandle", &lease.receipt_handle);
    }
    out.text("MessageBodyMD5", &message.body_md5);
    out.text("MessageBody", &String::from_utf8_lossy(&message.body));
    out.value("EnqueueTime", message.enqueue_time);
    out.optional("NextVisibleTime", lease.map(|lease| lease.next_visible_time));
    out.value("FirstDequeueTime", message.first_dequeue_time);
    out.value("DequeueCount", message.dequeue_count);
    out.value("Priority", message.priority);
    write_properties(out, &message.user_properties, &message.system_properties);
    if let Some(group) = &message.message_group_id {
        out.text("MessageGroupId", group);
    }
}

fn write_delete_failure(out: &mut Document, failure: &DeleteFailure) {
    out.text("ErrorCode", failure.code.as_str());
    out.text("ErrorMessage", &failure.message);
    out.text("ReceiptHandle", &failure.receipt_handle);
}

fn write_error(out: &mut Document, error: &ServiceError) {
    out.text("Code", error.code.as_str());
    out.text("Message", &error.message);
    out.text("RequestId", error.request_id.as_deref().unwrap_or_default());
    out.text("HostId", error.host_id.as_deref().unwrap_or_default());
}
