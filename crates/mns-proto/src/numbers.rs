//! Limits, ranges and defaults of the service, each with the document it comes from.
//!
//! Times on the wire have two units: **milliseconds** for what happened to a message, **seconds** for everything that
//! is configured. Constants say theirs in the name.

use std::ops::RangeInclusive;

/// The protocol version, sent and signed as `x-mns-version` on every request ("Common parameters" page).
pub const VERSION: &str = "2015-06-06";

/// The namespace the documents print. On the wire it is also seen without the last slash or missing, so readers of
/// this crate ignore it.
pub const NAMESPACE: &str = "http://mns.aliyuncs.com/doc/v1/";

/// How far a request's date may be from the server's clock before it is refused with `TimeExpired` (signature page).
pub const MAX_CLOCK_SKEW_SECONDS: u64 = 15 * 60;

/// Length of a queue name in characters ("Limits" page; older pages said 256).
pub const QUEUE_NAME_LENGTH: RangeInclusive<usize> = 1..=120;

/// `DelaySeconds` of a queue or message (`CreateQueue` and `SendMessage` pages).
pub const DELAY_SECONDS: RangeInclusive<u32> = 0..=604_800;
/// `MaximumMessageSize` in bytes (`CreateQueue` page).
pub const MAXIMUM_MESSAGE_SIZE: RangeInclusive<u32> = 1_024..=65_536;
/// `MessageRetentionPeriod` in seconds (`CreateQueue` page; older pages allowed 1,296,000).
pub const MESSAGE_RETENTION_PERIOD: RangeInclusive<u32> = 60..=604_800;
/// `VisibilityTimeout` in seconds, of a queue and of `ChangeMessageVisibility` (both pages).
pub const VISIBILITY_TIMEOUT: RangeInclusive<u32> = 1..=43_200;
/// `PollingWaitSeconds` of a queue (`CreateQueue` page).
pub const POLLING_WAIT_SECONDS: RangeInclusive<u32> = 0..=30;
/// `waitseconds` of one receive; overrides the queue's value (`ReceiveMessage` page).
pub const WAIT_SECONDS: RangeInclusive<u32> = 0..=30;
/// Messages in one batch send, batch receive, batch peek or batch delete ("Limits" page).
pub const BATCH: RangeInclusive<u32> = 1..=16;
/// `Priority`: 1 is served first (`SendMessage` page).
pub const PRIORITY: RangeInclusive<u32> = 1..=16;
/// Queues per page of `ListQueue` (`x-mns-ret-number`; `ListQueue` page).
pub const LIST_PAGE: RangeInclusive<u32> = 1..=1_000;

/// Default `DelaySeconds` of a new queue.
pub const DEFAULT_DELAY_SECONDS: u32 = 0;
/// Default `MaximumMessageSize` of a new queue, in bytes.
pub const DEFAULT_MAXIMUM_MESSAGE_SIZE: u32 = 65_536;
/// Default `MessageRetentionPeriod` of a new queue, in seconds (four days).
pub const DEFAULT_MESSAGE_RETENTION_PERIOD: u32 = 345_600;
/// Default `VisibilityTimeout` of a new queue, in seconds.
pub const DEFAULT_VISIBILITY_TIMEOUT: u32 = 30;
/// Default `PollingWaitSeconds` of a new queue.
pub const DEFAULT_POLLING_WAIT_SECONDS: u32 = 0;
/// Default `Priority` of a message.
pub const DEFAULT_PRIORITY: u32 = 8;
/// Default page of `ListQueue`.
pub const DEFAULT_LIST_PAGE: u32 = 1_000;

/// All bodies of one batch send together, in bytes (`BatchSendMessage` page).
pub const MAX_BATCH_SEND_BYTES: usize = 65_536;
/// User properties of one message (message properties page).
pub const MAX_USER_PROPERTIES: usize = 50;
/// Characters in the name of a property (message properties page).
pub const MAX_PROPERTY_NAME: usize = 256;
/// Characters in the value of a property (message properties page).
pub const MAX_PROPERTY_VALUE: usize = 4_096;
/// Queues per account and region ("Limits" page).
pub const MAX_QUEUES: usize = 1_000;

/// Received but undeleted messages above which the service throttles a consumer ("Throttling policy" page).
pub const ABNORMAL_UNDELETED: u64 = 5_000;
/// How long a consumer may receive without deleting before it is throttled, in seconds ("Throttling policy" page).
pub const ABNORMAL_HOLDING_SECONDS: u64 = 30 * 60;
/// Receives per second without a delete above which a consumer is throttled ("Throttling policy" page).
pub const ABNORMAL_RECEIVES_PER_SECOND: u64 = 1_000;

/// Bytes one byte of text can become in XML: `&quot;` and `&apos;` are the longest escapes of one byte; a multi-byte
/// character written as a decimal reference (`&#20320;` for three bytes) grows less.
pub const MAX_ESCAPE_FACTOR: usize = 6;

/// Room for everything of one received message that is not its body: tags, id, handle, digest and times are about
/// 700 bytes; 50 properties cost about 110 bytes of tags each (5.5 KB), the names and short values about as much.
/// Whether property values count towards the message size is not documented; this leaves them 4 KiB beyond it.
const MESSAGE_OVERHEAD: usize = 16 * 1_024;

/// The longest answer to a receive that is read, in bytes: 16 messages × (65,536 bytes × 6 + 16 KiB) + 1 KiB for the
/// envelope = 6,554,624. In practice base64 bodies need no escaping and sixteen of the largest take 1 MiB.
pub const MAX_RECEIVE_RESPONSE: usize =
    *BATCH.end() as usize * (*MAXIMUM_MESSAGE_SIZE.end() as usize * MAX_ESCAPE_FACTOR + MESSAGE_OVERHEAD) + 1_024;

/// The longest answer to anything but a receive or peek that is read, in bytes. The largest is a page of 1,000 queues
/// with attributes: about 900 bytes each, so 1 MiB.
pub const MAX_SHORT_RESPONSE: usize = 1_024 * 1_024;

/// The longest request body that is read, in bytes: a batch send of 16 messages whose bodies are 64 KiB together,
/// every byte escaped, each with its overhead. A larger one could not be valid.
pub const MAX_REQUEST_BODY: usize =
    MAX_BATCH_SEND_BYTES * MAX_ESCAPE_FACTOR + *BATCH.end() as usize * MESSAGE_OVERHEAD + 1_024;

/// The longest message id that is read, in bytes. The service's are 32 hexadecimal digits or two such numbers with a dash;
/// a client remembers ids as hashes, and names them in logs and dead letters.
pub const MAX_MESSAGE_ID: usize = 256;
/// The longest receipt handle that is read, in bytes. The service's are under 120 characters. A client keeps one for every
/// undeleted message, in memory and in its state, and sends it in a URL, where every byte may take three.
pub const MAX_RECEIPT_HANDLE: usize = 1_024;
/// The longest message group id that is read, in bytes; the documents give no limit. Kept with every undeleted message.
pub const MAX_MESSAGE_GROUP_ID: usize = 1_024;
/// Properties of one message that are read, user's and system's each: twice what may be sent, should that be raised.
pub const MAX_PROPERTIES_READ: usize = 2 * MAX_USER_PROPERTIES;
/// Bytes that the names and values of all properties of one message may take together: as many as the documents allow, each
/// of the largest size, every character of a value four bytes of UTF-8. (Whether they count towards the message's size is not
/// documented, and a message that no client reads would stop every consumer of its queue.)
pub const MAX_PROPERTIES_BYTES: usize = MAX_USER_PROPERTIES * (MAX_PROPERTY_NAME + 4 * MAX_PROPERTY_VALUE);
/// Characters of a text of somebody else's (an error's sentence, a redirect's target) that are shown.
pub const MAX_SHOWN: usize = 500;

/// The deepest nesting of elements that is read. The protocol needs 5 (`Messages/Message/UserProperties/
/// PropertyValue/Name`); the rest is room for elements added later, which are skipped.
pub const MAX_XML_DEPTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_arithmetic_holds() {
        assert_eq!(MAX_RECEIVE_RESPONSE, 16 * (65_536 * 6 + 16 * 1_024) + 1_024);
        assert_eq!(MAX_RECEIVE_RESPONSE, 6_554_624);
        assert_eq!(MAX_REQUEST_BODY, 65_536 * 6 + 16 * 16 * 1_024 + 1_024);
    }
}
