//! Requests, written by a client.

use crate::message::{NewMessage, Property, write_properties};
use crate::request::{ListQueues, Method, Request, WireRequest};
use crate::target::encode;
use crate::xml::plain::is_plain;
use crate::xml::write::{Document, forbidden_character};

/// Why a request cannot be put on the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A text holds a control character, which XML 1.0 cannot carry in any form.
    #[error(
        "{what} holds the character {character:?} at position {position}, which XML cannot carry; send it as base64"
    )]
    Character {
        /// Which text.
        what: &'static str,
        /// The character.
        character: char,
        /// Its position in the text in characters, from 1.
        position: usize,
    },
    /// A value that travels in a header is not printable ASCII.
    #[error("the {name} of a queue listing must be printable ASCII")]
    Header {
        /// Which value.
        name: &'static str,
    },
}

impl Request {
    /// Writes the request.
    ///
    /// Ranges are not checked, the service does that; query parameters are spelt as it is known to accept them; all
    /// text is escaped.
    ///
    /// # Errors
    /// [`WriteError`] if a text cannot be carried by XML or by a header.
    pub fn write(&self) -> Result<WireRequest, WriteError> {
        let mut headers = Vec::new();
        let (method, target, body) = match self {
            Self::CreateQueue { queue, settings } => {
                (Method::Put, queue_path(queue), Some(Document::write("Queue", |out| settings.write(out))))
            }
            Self::SetQueueAttributes { queue, settings } => {
                let target = queue_path(queue) + "?metaoverride=true";
                (Method::Put, target, Some(Document::write("Queue", |out| settings.write(out))))
            }
            Self::GetQueueAttributes { queue } => (Method::Get, queue_path(queue), None),
            Self::DeleteQueue { queue } => (Method::Delete, queue_path(queue), None),
            Self::ListQueues(list) => {
                headers = list_headers(list)?;
                (Method::Get, "/queues".to_owned(), None)
            }
            Self::SendMessage { queue, message } => (Method::Post, messages_path(queue), Some(send_body(message)?)),
            Self::BatchSendMessage { queue, messages } => {
                (Method::Post, messages_path(queue), Some(batch_send_body(messages)?))
            }
            Self::ReceiveMessage { queue, batch, wait_seconds } => {
                (Method::Get, receive_target(queue, *batch, *wait_seconds), None)
            }
            Self::PeekMessage { queue, batch } => {
                let batch = batch.map(|count| format!("&numOfMessages={count}")).unwrap_or_default();
                (Method::Get, format!("{}?peekonly=true{batch}", messages_path(queue)), None)
            }
            Self::DeleteMessage { queue, receipt_handle } => {
                let target = format!("{}?ReceiptHandle={}", messages_path(queue), encode(receipt_handle));
                (Method::Delete, target, None)
            }
            Self::BatchDeleteMessage { queue, receipt_handles } => {
                return WireRequest::batch_delete(queue, receipt_handles.iter().map(String::as_str));
            }
            Self::ChangeMessageVisibility { queue, receipt_handle, visibility_timeout } => {
                let query = format!("ReceiptHandle={}&VisibilityTimeout={visibility_timeout}", encode(receipt_handle));
                (Method::Put, format!("{}?{query}", messages_path(queue)), None)
            }
            Self::GetAccountAttributes => (Method::Get, ACCOUNT_TARGET.to_owned(), None),
            Self::SetAccountAttributes(account) => {
                check_text("the logging bucket", &account.logging_bucket)?;
                let body = Document::write("Account", |out| account.write(out));
                (Method::Put, ACCOUNT_TARGET.to_owned(), Some(body))
            }
        };
        if body.is_some() {
            headers.push(content_type());
        }
        Ok(WireRequest { method, target, headers, body })
    }
}

impl WireRequest {
    /// What [`Request::BatchDeleteMessage`] is written as, of handles that are borrowed: a consumer deletes all day.
    ///
    /// # Errors
    /// [`WriteError`] if a handle cannot be carried by XML.
    pub fn batch_delete<'a>(queue: &str, receipt_handles: impl Iterator<Item = &'a str>) -> Result<Self, WriteError> {
        let body = Self::batch_delete_body(receipt_handles)?;
        Ok(Self {
            method: Method::Delete,
            target: messages_path(queue),
            headers: vec![content_type()],
            body: Some(body),
        })
    }

    /// The body of [`batch_delete`](Self::batch_delete), in which alone two of them differ.
    ///
    /// # Errors
    /// [`WriteError`] if a handle cannot be carried by XML.
    pub fn batch_delete_body<'a>(mut receipt_handles: impl Iterator<Item = &'a str>) -> Result<String, WriteError> {
        let mut written = Ok(());
        let body = Document::write("ReceiptHandles", |out| {
            written = receipt_handles.try_for_each(|handle| write_handle(out, handle));
        });
        written.map(|()| body)
    }
}

fn content_type() -> (&'static str, String) {
    ("content-type", "text/xml;charset=UTF-8".to_owned())
}

const ACCOUNT_TARGET: &str = "/?accountmeta=true";

fn messages_path(queue: &str) -> String {
    queue_path(queue) + "/messages"
}

fn receive_target(queue: &str, batch: Option<u32>, wait_seconds: Option<u32>) -> String {
    let path = messages_path(queue);
    match (batch, wait_seconds) {
        (Some(count), Some(wait)) => format!("{path}?numOfMessages={count}&waitseconds={wait}"),
        (Some(count), None) => format!("{path}?numOfMessages={count}"),
        (None, Some(wait)) => format!("{path}?waitseconds={wait}"),
        (None, None) => path,
    }
}

fn send_body(message: &NewMessage) -> Result<String, WriteError> {
    check_message(message)?;
    Ok(Document::write("Message", |out| write_message(out, message)))
}

fn batch_send_body(messages: &[NewMessage]) -> Result<String, WriteError> {
    messages.iter().try_for_each(check_message)?;
    Ok(Document::write("Messages", |out| {
        messages.iter().for_each(|message| out.element("Message", |out| write_message(out, message)));
    }))
}

fn queue_path(queue: &str) -> String {
    format!("/queues/{}", encode(queue))
}

fn list_headers(list: &ListQueues) -> Result<Vec<(&'static str, String)>, WriteError> {
    let text = |name: &'static str, header: &'static str, value: &Option<String>| match value {
        Some(text) if !text.bytes().all(|b| (b' '..=b'~').contains(&b)) => Err(WriteError::Header { name }),
        value => Ok(value.clone().map(|text| (header, text))),
    };
    let limit = list.limit.map(|limit| ("x-mns-ret-number", limit.to_string()));
    let attributes = list.with_attributes.then(|| ("x-mns-with-meta", "true".to_owned()));
    let prefix = text("prefix", "x-mns-prefix", &list.prefix)?;
    let marker = text("marker", "x-mns-marker", &list.marker)?;
    Ok([prefix, limit, marker, attributes].into_iter().flatten().collect())
}

fn write_message(out: &mut Document, message: &NewMessage) {
    out.text("MessageBody", &message.body);
    out.optional("DelaySeconds", message.delay_seconds);
    out.optional("Priority", message.priority);
    if let Some(group) = &message.message_group_id {
        out.text("MessageGroupId", group);
    }
    write_properties(out, &message.user_properties, &message.system_properties);
}

/// Nearly every handle needs neither an escape nor a second look.
fn write_handle(out: &mut Document, handle: &str) -> Result<(), WriteError> {
    if is_plain(handle.as_bytes()) {
        out.plain("<ReceiptHandle>");
        out.plain(handle);
        out.plain("</ReceiptHandle>");
    } else {
        check_text("a receipt handle", handle)?;
        out.text("ReceiptHandle", handle);
    }
    Ok(())
}

fn check_message(message: &NewMessage) -> Result<(), WriteError> {
    check_text("the message body", &message.body)?;
    check_text("the message group id", message.message_group_id.as_deref().unwrap_or_default())?;
    message.user_properties.iter().chain(&message.system_properties).try_for_each(check_property)
}

fn check_property(property: &Property) -> Result<(), WriteError> {
    check_text("a property's name", &property.name)?;
    check_text("a property's value", &property.value)?;
    check_text("a property's type", property.kind.as_str())
}

fn check_text(what: &'static str, text: &str) -> Result<(), WriteError> {
    match forbidden_character(text) {
        None => Ok(()),
        Some((character, position)) => Err(WriteError::Character { what, character, position }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Handles are written on a way of their own, as any text is.
        #[test]
        fn a_handle_is_written_as_any_other_text(handles in prop::collection::vec("([ -~]{0,20}|\\PC{0,20}|[<>&\"'\r\n\t\u{1}\u{fffe}a]{0,40})", 0..4)) {
            let written = WireRequest::batch_delete_body(handles.iter().map(String::as_str));
            let checked = handles.iter().try_for_each(|handle| check_text("a receipt handle", handle));
            let expected = checked.map(|()| {
                Document::write("ReceiptHandles", |out| handles.iter().for_each(|handle| out.text("ReceiptHandle", handle)))
            });
            prop_assert_eq!(written, expected);
        }
    }
}
