//! Requests, read by a server.

use crate::attributes::{AccountAttributes, QueueSettings, check_range, number, out_of_range};
use crate::code::ErrorCode;
use crate::failure::ServiceError;
use crate::message::{NewMessage, Property, PropertyType, read_properties};
use crate::numbers::{self, MAX_REQUEST_BODY};
use crate::queue_name::{QueueNameError, check_queue_name};
use crate::request::{ListQueues, Request};
use crate::target::Target;
use crate::xml::read::{Cursor, XmlError};
use crate::xml::write::forbidden_character;

impl Request {
    /// Reads a request, given its method, its target as received (path and query, still encoded), its headers and its
    /// body.
    ///
    /// Accepts what any of the known clients sends: parameter names in any case, any or no namespace, elements in any
    /// order, unknown elements and parameters. Every number is checked against its documented range, and a message
    /// against the limits that hold for all queues; what depends on a queue's settings is left to the caller. The
    /// signature is not checked here: see [`verify`](crate::verify()), which must come first.
    ///
    /// # Errors
    /// The error to answer with.
    pub fn read<'h>(
        method: &str,
        target: &str,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        body: &[u8],
    ) -> Result<Self, ServiceError> {
        let target = Target::parse(target)?;
        let segments: Vec<&str> = target.segments.iter().map(AsRef::as_ref).collect();
        match (method, segments.as_slice()) {
            ("GET", ["queues"]) => read_list(headers),
            ("PUT", ["queues", queue]) => read_put_queue(queue, &target, body),
            ("GET", ["queues", queue]) => Ok(Self::GetQueueAttributes { queue: (*queue).to_owned() }),
            ("DELETE", ["queues", queue]) => Ok(Self::DeleteQueue { queue: (*queue).to_owned() }),
            ("POST", ["queues", queue, "messages"]) => read_send(queue, body),
            ("GET", ["queues", queue, "messages"]) => read_get_messages(queue, &target),
            ("DELETE", ["queues", queue, "messages"]) => read_delete(queue, &target, body),
            ("PUT", ["queues", queue, "messages"]) => read_change_visibility(queue, &target),
            ("GET", []) if target.flag("accountmeta") => Ok(Self::GetAccountAttributes),
            ("PUT", []) if target.flag("accountmeta") => {
                let account = read_document(body, &["Account"], |_, cursor| AccountAttributes::read(cursor))?;
                Ok(Self::SetAccountAttributes(account.unwrap_or_default()))
            }
            _ => Err(error(ErrorCode::InvalidRequestURL)),
        }
    }
}

fn read_list<'h>(headers: impl IntoIterator<Item = (&'h str, &'h [u8])>) -> Result<Request, ServiceError> {
    let mut list = ListQueues::default();
    for (name, value) in headers {
        let text = || String::from_utf8_lossy(value).into_owned();
        match name.to_ascii_lowercase().as_str() {
            "x-mns-prefix" => list.prefix = Some(text()).filter(|prefix| !prefix.is_empty()),
            "x-mns-marker" => list.marker = Some(text()).filter(|marker| !marker.is_empty()),
            "x-mns-with-meta" => list.with_attributes = value.eq_ignore_ascii_case(b"true"),
            "x-mns-ret-number" => {
                let limit = text().trim().parse().ok().filter(|limit| numbers::LIST_PAGE.contains(limit));
                list.limit = Some(limit.ok_or_else(|| out_of_range("x-mns-ret-number", &numbers::LIST_PAGE))?);
            }
            _ => {}
        }
    }
    Ok(Request::ListQueues(list))
}

fn read_put_queue(queue: &str, target: &Target<'_>, body: &[u8]) -> Result<Request, ServiceError> {
    let settings = read_document(body, &["Queue"], |_, cursor| QueueSettings::read(cursor))?.unwrap_or_default();
    settings.check()?;
    let queue = queue.to_owned();
    if target.flag("metaoverride") {
        return Ok(Request::SetQueueAttributes { queue, settings });
    }
    match check_queue_name(&queue) {
        Ok(()) => Ok(Request::CreateQueue { queue, settings }),
        Err(QueueNameError::Length { .. }) => Err(error(ErrorCode::QueueNameLengthError)),
        Err(_) => Err(error(ErrorCode::InvalidQueueName)),
    }
}

fn read_send(queue: &str, body: &[u8]) -> Result<Request, ServiceError> {
    enum Sent {
        One(NewMessage),
        Batch(Vec<NewMessage>),
    }
    let sent = read_document(body, &["Message", "Messages"], |root, cursor| {
        if root == "Message" {
            return read_message(cursor).map(Sent::One);
        }
        let mut messages = Vec::new();
        while let Some(tag) = cursor.child()? {
            match tag.name() {
                "Message" => messages.push(read_message(cursor)?),
                _ => cursor.skip()?,
            }
        }
        Ok(Sent::Batch(messages))
    })?;
    let queue = queue.to_owned();
    match sent.ok_or_else(|| error(ErrorCode::MalformedXML))? {
        Sent::One(message) => {
            check_message(&message)?;
            Ok(Request::SendMessage { queue, message })
        }
        Sent::Batch(messages) => {
            check_count("Message", messages.len())?;
            messages.iter().try_for_each(check_message)?;
            if messages.iter().map(|message| message.body.len()).sum::<usize>() > numbers::MAX_BATCH_SEND_BYTES {
                return Err(argument("The total size of the messages should not exceed 65536 bytes."));
            }
            Ok(Request::BatchSendMessage { queue, messages })
        }
    }
}

fn read_message(cursor: &mut Cursor<'_>) -> Result<NewMessage, XmlError> {
    let mut message = NewMessage::default();
    let mut body = None;
    while let Some(tag) = cursor.child()? {
        match tag.name() {
            "MessageBody" => body = Some(cursor.text(&tag)?.into_owned()),
            "DelaySeconds" => message.delay_seconds = Some(number(tag.name(), &cursor.text(&tag)?)?),
            "Priority" => message.priority = Some(number(tag.name(), &cursor.text(&tag)?)?),
            "MessageGroupId" => message.message_group_id = Some(cursor.text(&tag)?.into_owned()),
            "UserProperties" => message.user_properties = read_properties(cursor)?,
            "SystemProperties" => message.system_properties = read_properties(cursor)?,
            _ => cursor.skip()?,
        }
    }
    message.body = body.ok_or_else(|| XmlError::shape("MessageBody is required."))?;
    Ok(message)
}

fn check_message(message: &NewMessage) -> Result<(), ServiceError> {
    check_range("DelaySeconds", message.delay_seconds, &numbers::DELAY_SECONDS)?;
    check_range("Priority", message.priority, &numbers::PRIORITY)?;
    if forbidden_character(&message.body).is_some() {
        return Err(error(ErrorCode::MalformedXML));
    }
    if message.user_properties.len() > numbers::MAX_USER_PROPERTIES {
        return Err(argument("The number of user properties should not exceed 50."));
    }
    message.user_properties.iter().chain(&message.system_properties).try_for_each(check_property)
}

fn check_property(property: &Property) -> Result<(), ServiceError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let name_length = property.name.chars().count();
    if name_length == 0 || name_length > numbers::MAX_PROPERTY_NAME || !property.name.chars().all(allowed) {
        return Err(argument("The name of a property should be 1 to 256 letters, digits, '_', '.' or '-'."));
    }
    if property.value.chars().count() > numbers::MAX_PROPERTY_VALUE {
        return Err(argument("The value of a property should not exceed 4096 characters."));
    }
    if matches!(property.kind, PropertyType::Other(_)) {
        return Err(argument("The type of a property should be STRING, NUMBER, BOOLEAN or BINARY."));
    }
    Ok(())
}

fn read_get_messages(queue: &str, target: &Target<'_>) -> Result<Request, ServiceError> {
    let queue = queue.to_owned();
    let batch = query_number(target, "numOfMessages", &numbers::BATCH)?;
    if target.flag("peekonly") {
        return Ok(Request::PeekMessage { queue, batch });
    }
    let wait_seconds = query_number(target, "waitseconds", &numbers::WAIT_SECONDS)?;
    Ok(Request::ReceiveMessage { queue, batch, wait_seconds })
}

fn read_delete(queue: &str, target: &Target<'_>, body: &[u8]) -> Result<Request, ServiceError> {
    let queue = queue.to_owned();
    if let Some(handle) = target.query("ReceiptHandle") {
        return Ok(Request::DeleteMessage { queue, receipt_handle: required_handle(Some(handle))? });
    }
    let handles = read_document(body, &["ReceiptHandles"], |_, cursor| {
        let mut handles = Vec::new();
        while let Some(tag) = cursor.child()? {
            match tag.name() {
                "ReceiptHandle" => handles.push(cursor.text(&tag)?.trim().to_owned()),
                _ => cursor.skip()?,
            }
        }
        Ok(handles)
    })?;
    let receipt_handles = handles.ok_or_else(|| error(ErrorCode::MissingReceiptHandle))?;
    check_count("ReceiptHandle", receipt_handles.len())?;
    Ok(Request::BatchDeleteMessage { queue, receipt_handles })
}

fn read_change_visibility(queue: &str, target: &Target<'_>) -> Result<Request, ServiceError> {
    let receipt_handle = required_handle(target.query("ReceiptHandle"))?;
    let visibility_timeout = query_number(target, "VisibilityTimeout", &numbers::VISIBILITY_TIMEOUT)?
        .ok_or_else(|| error(ErrorCode::MissingVisibilityTimeout))?;
    Ok(Request::ChangeMessageVisibility { queue: queue.to_owned(), receipt_handle, visibility_timeout })
}

fn required_handle(handle: Option<&str>) -> Result<String, ServiceError> {
    match handle {
        Some(handle) if !handle.is_empty() => Ok(handle.to_owned()),
        _ => Err(error(ErrorCode::MissingReceiptHandle)),
    }
}

fn query_number(
    target: &Target<'_>,
    name: &str,
    range: &std::ops::RangeInclusive<u32>,
) -> Result<Option<u32>, ServiceError> {
    let Some(text) = target.query(name) else { return Ok(None) };
    let value = text.parse().ok().filter(|value| range.contains(value));
    value.map(Some).ok_or_else(|| out_of_range(name, range))
}

fn check_count(what: &str, count: usize) -> Result<(), ServiceError> {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    if numbers::BATCH.contains(&count) {
        return Ok(());
    }
    Err(argument(&format!("The number of {what} elements should between 1 and 16.")))
}

/// Reads a body whose root element is one of `roots`. `None` if the body is blank.
fn read_document<T>(
    body: &[u8],
    roots: &[&str],
    read: impl FnOnce(&str, &mut Cursor<'_>) -> Result<T, XmlError>,
) -> Result<Option<T>, ServiceError> {
    if body.len() > MAX_REQUEST_BODY {
        return Err(argument(&format!("The request body should not exceed {MAX_REQUEST_BODY} bytes.")));
    }
    let text = std::str::from_utf8(body).map_err(|_| error(ErrorCode::MalformedXML))?;
    let mut cursor = Cursor::new(text);
    let whole = || {
        let Some(root) = cursor.root()? else { return Ok(None) };
        if !roots.contains(&root.name()) {
            return Err(XmlError::shape(format!("The root element should be {}.", roots.join(" or "))));
        }
        let value = read(root.name(), &mut cursor)?;
        cursor.finish()?;
        Ok(Some(value))
    };
    whole().map_err(|cause| match cause {
        XmlError::Syntax { .. } => error(ErrorCode::MalformedXML),
        XmlError::Shape(what) => argument(&what),
    })
}

fn error(code: ErrorCode) -> ServiceError {
    ServiceError::new(code)
}

fn argument(message: &str) -> ServiceError {
    ServiceError::with_message(ErrorCode::InvalidArgument, message)
}
