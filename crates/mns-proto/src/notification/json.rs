//! A notification in JSON: one object, every value a text.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::{Notification, NotificationError, milliseconds};

/// Reads one. Texts without escapes are borrowed.
pub(super) fn read(text: &str) -> Result<Notification<'_>, NotificationError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|error| {
        if error.is_data() {
            return NotificationError::Other;
        }
        let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        NotificationError::Json { at: (before + error.column()).saturating_sub(1) }
    })?;
    Ok(Notification {
        topic_owner: fields.topic_owner.map(|t| t.0),
        topic_name: fields.topic_name.map(|t| t.0),
        subscriber: fields.subscriber.map(|t| t.0),
        subscription_name: fields.subscription_name.map(|t| t.0),
        message_id: fields.message_id.map(|t| t.0),
        message: fields.message.ok_or(NotificationError::Other)?.0,
        message_md5: fields.message_md5.map(|t| t.0),
        message_tag: fields.message_tag.map(|t| t.0),
        publish_time: fields.publish_time.and_then(|t| milliseconds(&t.0)),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fields<'a> {
    #[serde(borrow)]
    topic_owner: Option<Text<'a>>,
    #[serde(borrow)]
    topic_name: Option<Text<'a>>,
    #[serde(borrow)]
    subscriber: Option<Text<'a>>,
    #[serde(borrow)]
    subscription_name: Option<Text<'a>>,
    #[serde(borrow)]
    message_id: Option<Text<'a>>,
    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(borrow, rename = "MessageMD5")]
    message_md5: Option<Text<'a>>,
    #[serde(borrow)]
    message_tag: Option<Text<'a>>,
    #[serde(borrow)]
    publish_time: Option<Text<'a>>,
}

/// A text, or a whole number written as one: every value is documented as a text, but times are easily sent as numbers.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(number.to_string()))
    }
}
