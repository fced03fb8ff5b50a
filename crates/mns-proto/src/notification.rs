//! What a topic puts into a queue that subscribes to it: the published text in an envelope of XML or JSON
//! (NotifyContentFormat; with SIMPLIFIED there is none).
//!
//! The envelope is never base64; the text in it is whatever the publisher sent. Names, not order or namespaces, say
//! what is what, and what is unknown is passed over: the fields are those of the documentation, and real envelopes have
//! come with and without some of them.

mod json;

use std::borrow::Cow;

use memchr::memmem;

use crate::message_body_md5;
use crate::xml::read::{Cursor, Tag, XmlError};

/// A message as a topic passes it on. `Debug` shows the size of the text, never the text.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Notification<'a> {
    /// The account that owns the topic.
    pub topic_owner: Option<Cow<'a, str>>,
    /// The topic's name.
    pub topic_name: Option<Cow<'a, str>>,
    /// The account that owns the subscription.
    pub subscriber: Option<Cow<'a, str>>,
    /// The subscription's name.
    pub subscription_name: Option<Cow<'a, str>>,
    /// The id that the topic gave the message. The message in the queue has another.
    pub message_id: Option<Cow<'a, str>>,
    /// The text as it was published.
    pub message: Cow<'a, str>,
    /// The MD5 of the text: see [`message_body_md5`].
    pub message_md5: Option<Cow<'a, str>>,
    /// The tag, if it was published with one.
    pub message_tag: Option<Cow<'a, str>>,
    /// When it was published, in milliseconds since 1970.
    pub publish_time: Option<i64>,
}

/// Why a text is no notification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotificationError {
    /// The text is not well-formed XML, at this byte.
    #[error("the notification is not well-formed XML at byte {at}")]
    Xml {
        /// Bytes from the start of the text.
        at: u64,
    },
    /// The text is not JSON, at this byte.
    #[error("the notification is not JSON at byte {at}")]
    Json {
        /// Bytes from the start of the text.
        at: usize,
    },
    /// The text is well-formed, but something else: another root element, no object, no `Message`, a field that is no
    /// text.
    #[error("the text is not a topic's notification")]
    Other,
    /// `MessageMD5` is not the MD5 of `Message`.
    #[error("the notification's MessageMD5 does not fit its Message")]
    Md5,
}

impl From<XmlError> for NotificationError {
    fn from(error: XmlError) -> Self {
        match error {
            XmlError::Syntax { at, .. } => Self::Xml { at },
            XmlError::Shape(_) => Self::Other,
        }
    }
}

impl std::fmt::Debug for Notification<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notification")
            .field("topic_name", &self.topic_name)
            .field("message_id", &self.message_id)
            .field("message_bytes", &self.message.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Notification<'a> {
    /// Whether a body is XML whose root element is that of a notification and which names a topic: then it is one, even
    /// if it turns out to be broken. Costs next to nothing for a body that does not begin with `<`.
    pub fn resembles_xml(body: &str) -> bool {
        starts(body) == Some('<')
            && ["TopicName>", "TopicOwner>"].iter().any(|name| has(body.as_bytes(), name))
            && matches!(Cursor::new(body).root(), Ok(Some(tag)) if is_root(&tag))
    }

    /// Whether a body may be a notification in JSON: it begins with `{` and has the names that nothing else has. Then
    /// [`Notification::from_json`] and [`Notification::is_complete`] tell. Costs a search through the first and the last
    /// 4 KiB of a body that begins with `{`, next to nothing for another.
    pub fn resembles_json(body: &[u8]) -> bool {
        let begins = |body: &[u8]| body.first() == Some(&b'{');
        (begins(body) || begins(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start()))
            && OWN_NAMES.iter().all(|name| name.is_near_an_end(body))
    }

    /// Whether the names of all the fields that a topic writes are in a body that
    /// [resembles](Self::resembles_json) a notification in JSON, even if it cannot be read.
    pub fn names_all_fields(body: &[u8]) -> bool {
        [r#""Message""#, r#""MessageId""#, r#""SubscriptionName""#, r#""PublishTime""#, r#""TopicOwner""#]
            .iter()
            .all(|name| has(body, name))
    }

    /// Reads a notification in XML.
    ///
    /// # Errors
    /// [`NotificationError::Xml`] and [`NotificationError::Other`].
    pub fn from_xml(text: &'a str) -> Result<Self, NotificationError> {
        let mut cursor = Cursor::new(text);
        if !cursor.root()?.is_some_and(|root| is_root(&root)) {
            return Err(NotificationError::Other);
        }
        let mut notification = Self::default();
        let mut message = None;
        while let Some(tag) = cursor.child()? {
            let field = match tag.name() {
                "Message" => &mut message,
                "TopicOwner" => &mut notification.topic_owner,
                "TopicName" => &mut notification.topic_name,
                "Subscriber" => &mut notification.subscriber,
                "SubscriptionName" => &mut notification.subscription_name,
                "MessageId" => &mut notification.message_id,
                "MessageMD5" => &mut notification.message_md5,
                "MessageTag" => &mut notification.message_tag,
                "PublishTime" => {
                    notification.publish_time = milliseconds(&cursor.text(&tag)?);
                    continue;
                }
                _ => {
                    cursor.skip()?;
                    continue;
                }
            };
            *field = Some(cursor.text(&tag)?);
        }
        cursor.finish()?;
        notification.message = message.ok_or(NotificationError::Other)?;
        Ok(notification)
    }

    /// Reads a notification in JSON.
    ///
    /// # Errors
    /// [`NotificationError::Json`] and [`NotificationError::Other`].
    pub fn from_json(text: &'a str) -> Result<Self, NotificationError> {
        json::read(text)
    }

    /// Whether every field is there that a topic always writes: all but the tag.
    pub fn is_complete(&self) -> bool {
        let texts = [&self.topic_owner, &self.topic_name, &self.subscription_name, &self.message_id, &self.message_md5];
        texts.iter().all(|text| text.is_some()) && self.publish_time.is_some()
    }

    /// Compares `MessageMD5`, if there is one, with the text.
    ///
    /// # Errors
    /// [`NotificationError::Md5`].
    pub fn check_md5(&self) -> Result<(), NotificationError> {
        match &self.message_md5 {
            Some(md5) if !md5.trim().eq_ignore_ascii_case(&message_body_md5(&*self.message)) => {
                Err(NotificationError::Md5)
            }
            _ => Ok(()),
        }
    }
}

fn is_root(tag: &Tag<'_>) -> bool {
    tag.name() == "Notification"
}

fn starts(text: &str) -> Option<char> {
    text.strip_prefix('\u{feff}').unwrap_or(text).trim_start().chars().next()
}

/// How far from an end of a notification a field other than its text begins at most. Together they are under 1 KiB (an owner
/// of 16 digits, names of up to 255 characters, an id and an MD5 of 32, a time, a tag of 16); the rest is room for what may come.
const FIELDS_WITHIN: usize = 4_096;

/// A name in a notification that nothing else has.
struct OwnName {
    name: &'static str,
    /// A byte of it that is rare elsewhere, and where it is for the first time.
    rare: (u8, usize),
}

const OWN_NAMES: [OwnName; 2] =
    [OwnName { name: r#""MessageMD5""#, rare: (b'M', 1) }, OwnName { name: r#""TopicName""#, rare: (b'T', 1) }];

/// How often the rare byte may be found in vain: then it is not rare, and the whole name is looked for.
const VAIN: usize = 8;

impl OwnName {
    /// Whether the name is in some bytes. Looking for one byte takes a quarter of the time that looking for a name does.
    fn is_in(&self, bytes: &[u8]) -> bool {
        let (rare, at) = self.rare;
        let mut from = at;
        for _ in 0..VAIN {
            let Some(rest) = bytes.get(from..) else { return false };
            let Some(found) = memchr::memchr(rare, rest) else { return false };
            if bytes[from + found - at..].starts_with(self.name.as_bytes()) {
                return true;
            }
            from += found + 1;
        }
        // No name begins before this: the last of the rare bytes was the first of none.
        has(&bytes[from..], self.name)
    }

    /// Whether the name begins so near to one end of a body that it may be that of a field: a body of 64 KiB is mostly text.
    fn is_near_an_end(&self, body: &[u8]) -> bool {
        let within = FIELDS_WITHIN + self.name.len() - 1;
        if body.len() <= 2 * within {
            return self.is_in(body);
        }
        self.is_in(&body[..within]) || self.is_in(&body[body.len() - within..])
    }
}

fn has(body: &[u8], name: &str) -> bool {
    memmem::find(body, name.as_bytes()).is_some()
}

fn milliseconds(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    proptest! {
        /// Pieces of names, over and over, so that the rare byte is rare in some bodies and not in others.
        #[test]
        fn a_name_is_found_wherever_it_is(
            pieces in vec(select(&["M", "T", "\"", "\"M", "\"T", "essageMD5\"", "opicName\"", "\"MessageMD", "a", "aaaaaaaaaaaa"][..]), 0..60),
            whole in proptest::option::of((select(&["\"MessageMD5\"", "\"TopicName\""][..]), 0..60_usize)),
        ) {
            let mut pieces = pieces;
            if let Some((name, at)) = whole {
                pieces.insert(at.min(pieces.len()), name);
            }
            let body = pieces.concat();
            for name in &OWN_NAMES {
                prop_assert_eq!(name.is_in(body.as_bytes()), has(body.as_bytes(), name.name), "{}", body);
            }
        }
    }
}
