//! Answers, read by a client.
//!
//! What an answer means is decided by its root element and its code, never by the status alone: 404 is an empty
//! queue, a missing queue, or a batch delete of which some entries failed. Only when a body is not the service's own
//! does the status speak.
//!
//! Every function takes any bytes without panicking and reads no further than [`MAX_RECEIVE_RESPONSE`] or
//! [`MAX_SHORT_RESPONSE`].

use std::borrow::Cow;

use crate::answers::scan;
use crate::answers::{ChangedVisibility, DeleteFailure, ListedQueue, QueueCreation, QueueList, SendFailure};
use crate::attributes::{AccountAttributes, QueueAttributes, number};
use crate::code::{ErrorClass, ErrorCode};
use crate::failure::{Failure, ServiceError, excerpt};
use crate::message::{Message, Received, SentMessage, check_handle, check_room};
use crate::numbers::{MAX_RECEIVE_RESPONSE, MAX_SHORT_RESPONSE};
use crate::operation::Operation;
use crate::xml::read::{Cursor, XmlError};

/// Reads the answer to a receive, single or batch. No message is an empty list.
///
/// Whether a body is UTF-8 nobody asks in an answer as the service writes it; in any other form, the whole answer has to be.
///
/// # Errors
/// [`Failure`]. One damaged message makes the whole answer unreadable, since nothing tells how far the damage goes.
pub fn received(status: u16, body: &[u8]) -> Result<Vec<Received<'_>>, Failure> {
    if body.len() <= MAX_RECEIVE_RESPONSE
        && let Some(messages) = scan::received(body)
    {
        return Ok(messages);
    }
    received_by_events(status, body)
}

/// As [`received`], without the short cut.
pub(super) fn received_by_events(status: u16, body: &[u8]) -> Result<Vec<Received<'_>>, Failure> {
    messages(status, body, |cursor| {
        let (message, lease) = Message::read(cursor)?;
        let receipt_handle = lease.receipt_handle.filter(|handle| !handle.is_empty());
        Ok(Received {
            receipt_handle: receipt_handle.ok_or_else(|| missing("ReceiptHandle"))?,
            next_visible_time: lease.next_visible_time.ok_or_else(|| missing("NextVisibleTime"))?,
            message,
        })
    })
}

/// Reads the answer to a peek, single or batch. No message is an empty list.
///
/// Who peeks wants to see: what is not UTF-8 is read as U+FFFD, so that one such body does not hide the others.
///
/// # Errors
/// [`Failure`].
pub fn peeked(status: u16, body: &[u8]) -> Result<Vec<Message<'_>>, Failure> {
    fn read(status: u16, body: &[u8]) -> Result<Vec<Message<'_>>, Failure> {
        messages(status, body, |cursor| Message::read(cursor).map(|(message, _)| message))
    }
    match String::from_utf8_lossy(body) {
        Cow::Borrowed(_) => read(status, body),
        Cow::Owned(text) => Ok(read(status, text.as_bytes())?.into_iter().map(Message::into_owned).collect()),
    }
}

/// Reads the answer to a send.
///
/// # Errors
/// [`Failure`].
pub fn sent(status: u16, body: &[u8]) -> Result<SentMessage, Failure> {
    let outcome = document(status, body, MAX_SHORT_RESPONSE, |root, cursor| match root {
        "Message" => read_send_outcome(cursor).map(Some),
        _ => Ok(None),
    })?;
    outcome.map_err(|failure| {
        let SendFailure { code, message } = failure;
        Failure::Service(ServiceError { status, code, message, request_id: None, host_id: None })
    })
}

/// Reads the answer to a batch send: one outcome per message, in the order sent.
///
/// # Errors
/// [`Failure`] if the request failed as a whole.
pub fn batch_sent(status: u16, body: &[u8]) -> Result<Vec<Result<SentMessage, SendFailure>>, Failure> {
    document(status, body, MAX_SHORT_RESPONSE, |root, cursor| match root {
        "Messages" => list(cursor, "Message", read_send_outcome).map(Some),
        _ => Ok(None),
    })
}

/// Reads the answer to a request that has nothing to report: delete, delete queue, set attributes.
///
/// # Errors
/// [`Failure`].
pub fn done(status: u16, body: &[u8]) -> Result<(), Failure> {
    if is_success(status) && is_blank(body) {
        return Ok(());
    }
    document(status, body, MAX_SHORT_RESPONSE, |_, _| Ok(None))
}

/// Reads the answer to the creation of a queue.
///
/// # Errors
/// [`Failure`].
pub fn queue_created(status: u16, body: &[u8]) -> Result<QueueCreation, Failure> {
    done(status, body)?;
    Ok(if status == 201 { QueueCreation::Created } else { QueueCreation::Existed })
}

/// Reads the answer to a batch delete: the entries that failed. All others are deleted; an empty list means all, which only an
/// answer without a body says.
///
/// # Errors
/// [`Failure`] if the request failed as a whole, or if it cannot be told which entries failed.
pub fn batch_deleted(status: u16, body: &[u8]) -> Result<Vec<DeleteFailure>, Failure> {
    if is_success(status) && is_blank(body) {
        return Ok(Vec::new());
    }
    let failures = document(status, body, MAX_SHORT_RESPONSE, |root, cursor| match root {
        "Errors" => list(cursor, "Error", read_delete_failure).map(Some),
        _ => Ok(None),
    })?;
    if failures.is_empty() {
        // Something failed, and this does not say what: to take it for "all are deleted" could forget one that comes back.
        return Err(Failure::Unreadable { status, cause: "<Errors> without an <Error>".to_owned() });
    }
    Ok(failures)
}

/// Reads the answer to a change of visibility.
///
/// # Errors
/// [`Failure`].
pub fn visibility_changed(status: u16, body: &[u8]) -> Result<ChangedVisibility, Failure> {
    document(status, body, MAX_SHORT_RESPONSE, |root, cursor| {
        if root != "ChangeVisibility" {
            return Ok(None);
        }
        let (mut handle, mut time) = (None, None);
        while let Some(tag) = cursor.child()? {
            match tag.name() {
                "ReceiptHandle" => handle = Some(cursor.text(&tag)?.into_owned()).filter(|handle| !handle.is_empty()),
                "NextVisibleTime" => time = Some(number(tag.name(), &cursor.text(&tag)?)?),
                _ => cursor.skip()?,
            }
        }
        let receipt_handle = handle.ok_or_else(|| missing("ReceiptHandle"))?;
        check_handle(&receipt_handle)?;
        Ok(Some(ChangedVisibility {
            receipt_handle,
            next_visible_time: time.ok_or_else(|| missing("NextVisibleTime"))?,
        }))
    })
}

/// Reads the attributes of a queue.
///
/// # Errors
/// [`Failure`].
pub fn queue_attributes(status: u16, body: &[u8]) -> Result<QueueAttributes, Failure> {
    document(status, body, MAX_SHORT_RESPONSE, |root, cursor| match root {
        "Queue" => QueueAttributes::read(cursor).map(Some),
        _ => Ok(None),
    })
}

/// Reads a page of queues.
///
/// # Errors
/// [`Failure`].
pub fn queue_list(status: u16, body: &[u8]) -> Result<QueueList, Failure> {
    document(status, body, MAX_SHORT_RESPONSE, |root, cursor| match root {
        "Queues" => QueueList::read(cursor).map(Some),
        _ => Ok(None),
    })
}

/// Reads the settings of the account.
///
/// # Errors
/// [`Failure`].
pub fn account_attributes(status: u16, body: &[u8]) -> Result<AccountAttributes, Failure> {
    document(status, body, MAX_SHORT_RESPONSE, |root, cursor| match root {
        "Account" => AccountAttributes::read(cursor).map(Some),
        _ => Ok(None),
    })
}

/// A list of messages, or of one, or none.
fn messages<'a, T>(
    status: u16,
    body: &'a [u8],
    read: impl Fn(&mut Cursor<'a>) -> Result<T, XmlError>,
) -> Result<Vec<T>, Failure> {
    let answer = document(status, body, MAX_RECEIVE_RESPONSE, |root, cursor| match root {
        "Message" => Ok(Some(vec![read(cursor)?])),
        "Messages" => message_list(cursor, &read).map(Some),
        _ => Ok(None),
    });
    match answer {
        Err(failure) if failure.class(Operation::ReceiveMessage) == ErrorClass::Empty => Ok(Vec::new()),
        answer => answer,
    }
}

fn message_list<'a, T>(
    cursor: &mut Cursor<'a>,
    read: impl Fn(&mut Cursor<'a>) -> Result<T, XmlError>,
) -> Result<Vec<T>, XmlError> {
    let mut messages = Vec::new();
    while let Some(tag) = cursor.child()? {
        if tag.name() == "Message" {
            check_room(messages.len())?;
            messages.push(read(cursor)?);
        } else {
            cursor.skip()?;
        }
    }
    Ok(messages)
}

fn list<'a, T>(
    cursor: &mut Cursor<'a>,
    item: &str,
    read: impl Fn(&mut Cursor<'a>) -> Result<T, XmlError>,
) -> Result<Vec<T>, XmlError> {
    let mut items = Vec::new();
    while let Some(tag) = cursor.child()? {
        if tag.name() == item {
            items.push(read(cursor)?);
        } else {
            cursor.skip()?;
        }
    }
    Ok(items)
}

/// Reads a body: `read` takes the root element it knows and answers `None` to any other; an `<Error>` is understood
/// everywhere; what remains is judged by the status.
fn document<'a, T>(
    status: u16,
    body: &'a [u8],
    limit: usize,
    read: impl FnOnce(&str, &mut Cursor<'a>) -> Result<Option<T>, XmlError>,
) -> Result<T, Failure> {
    if body.len() > limit {
        return Err(unreadable(status, body, format!("longer than {limit} bytes")));
    }
    let text = std::str::from_utf8(body)
        .map_err(|error| unreadable(status, body, format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    let mut cursor = Cursor::new(text);
    let whole = || {
        let root = cursor.root()?.ok_or_else(|| XmlError::shape("it is empty"))?;
        if root.name() == "Error" {
            return read_error(status, &mut cursor).map(Err);
        }
        match read(root.name(), &mut cursor)? {
            Some(value) => cursor.finish().map(|()| Ok(value)),
            None => Err(XmlError::shape("its root element is not the one expected")),
        }
    };
    match whole() {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::Service(error)),
        Err(error) => Err(unreadable(status, body, error.to_string())),
    }
}

fn unreadable(status: u16, body: &[u8], cause: String) -> Failure {
    if is_success(status) {
        Failure::Unreadable { status, cause }
    } else {
        Failure::Foreign { status, excerpt: excerpt(body) }
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

fn is_blank(body: &[u8]) -> bool {
    body.iter().all(u8::is_ascii_whitespace)
}

fn missing(element: &str) -> XmlError {
    XmlError::shape(format!("<{element}> is missing"))
}

fn read_error(status: u16, cursor: &mut Cursor<'_>) -> Result<ServiceError, XmlError> {
    let mut code = None;
    let (mut message, mut request_id, mut host_id) = (String::new(), None, None);
    while let Some(tag) = cursor.child()? {
        match tag.name() {
            "Code" => code = Some(ErrorCode::from_wire(cursor.text(&tag)?.trim())),
            "Message" => message = cursor.text(&tag)?.into_owned(),
            "RequestId" => request_id = Some(cursor.text(&tag)?.into_owned()),
            "HostId" => host_id = Some(cursor.text(&tag)?.into_owned()),
            _ => cursor.skip()?,
        }
    }
    Ok(ServiceError { status, code: code.ok_or_else(|| missing("Code"))?, message, request_id, host_id })
}

fn read_send_outcome(cursor: &mut Cursor<'_>) -> Result<Result<SentMessage, SendFailure>, XmlError> {
    let (mut id, mut body_md5, mut receipt_handle) = (None, None, None);
    let (mut code, mut message) = (None, String::new());
    while let Some(tag) = cursor.child()? {
        match tag.name() {
            "MessageId" => id = Some(cursor.text(&tag)?.into_owned()),
            "MessageBodyMD5" => body_md5 = Some(cursor.text(&tag)?.into_owned()),
            "ReceiptHandle" => receipt_handle = Some(cursor.text(&tag)?.into_owned()),
            "ErrorCode" => code = Some(ErrorCode::from_wire(cursor.text(&tag)?.trim())),
            "ErrorMessage" => message = cursor.text(&tag)?.into_owned(),
            _ => cursor.skip()?,
        }
    }
    if let Some(code) = code {
        return Ok(Err(SendFailure { code, message }));
    }
    Ok(Ok(SentMessage {
        id: id.ok_or_else(|| missing("MessageId"))?,
        body_md5: body_md5.ok_or_else(|| missing("MessageBodyMD5"))?,
        receipt_handle,
    }))
}

fn read_delete_failure(cursor: &mut Cursor<'_>) -> Result<DeleteFailure, XmlError> {
    let (mut code, mut message, mut handle) = (None, String::new(), None);
    while let Some(tag) = cursor.child()? {
        match tag.name() {
            "ErrorCode" => code = Some(ErrorCode::from_wire(cursor.text(&tag)?.trim())),
            "ErrorMessage" => message = cursor.text(&tag)?.into_owned(),
            "ReceiptHandle" => handle = Some(cursor.text(&tag)?.into_owned()),
            _ => cursor.skip()?,
        }
    }
    Ok(DeleteFailure {
        receipt_handle: handle.ok_or_else(|| missing("ReceiptHandle"))?,
        code: code.ok_or_else(|| missing("ErrorCode"))?,
        message,
    })
}

impl QueueList {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, XmlError> {
        let mut read = Self::default();
        while let Some(tag) = cursor.child()? {
            match tag.name() {
                "Queue" => read.queues.push(ListedQueue::read(cursor)?),
                "NextMarker" => {
                    read.next_marker = Some(cursor.text(&tag)?.into_owned()).filter(|marker| !marker.is_empty());
                }
                _ => cursor.skip()?,
            }
        }
        Ok(read)
    }
}

impl ListedQueue {
    /// With attributes, they stand beside the address in the same element.
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, XmlError> {
        let mut url = None;
        let mut attributes: Option<QueueAttributes> = None;
        while let Some(tag) = cursor.child()? {
            match tag.name() {
                "QueueURL" => url = Some(cursor.text(&tag)?.into_owned()),
                name => attributes.get_or_insert_default().read_element(name, cursor, &tag)?,
            }
        }
        let url = url.ok_or_else(|| missing("QueueURL"))?;
        Ok(Self { url, attributes })
    }
}
