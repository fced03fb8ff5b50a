//! What of an answer is not as the service sent it, by MessageBodyMD5.

use headwater_core::Damaged;
use headwater_mns_proto::{BodyMd5, Received};

/// Characters of a MessageBodyMD5 that are shown: it has 32, and what has more is no digest.
const SHOWN: usize = 40;

/// Takes the messages out of an answer whose body is not what their MessageBodyMD5 says.
pub(crate) fn take_out(received: &mut Vec<Received<'_>>) -> Vec<Damaged> {
    let bodies: Vec<&[u8]> = received.iter().map(|received| &*received.message.body).collect();
    let found = BodyMd5::of_all(&bodies);
    if received.iter().zip(&found).all(|(received, found)| found.is(&received.message.body_md5)) {
        return Vec::new();
    }
    let mut found = found.into_iter();
    let mut damaged = Vec::new();
    received.retain(|received| {
        let (message, Some(found)) = (&received.message, found.next()) else { return true };
        let whole = found.is(&message.body_md5);
        if !whole {
            let told = message.body_md5.chars().take(SHOWN).flat_map(char::escape_debug).collect();
            damaged.push(Damaged::new(&*message.id, message.dequeue_count, told, found.to_string()));
        }
        whole
    });
    damaged
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use headwater_mns_proto::{Message, message_body_md5};

    use super::*;

    fn received(id: &'static str, body: &'static str, body_md5: String) -> Received<'static> {
        let message = Message {
            id: id.into(),
            body_md5: body_md5.into(),
            body: Cow::Borrowed(body.as_bytes()),
            enqueue_time: 1,
            first_dequeue_time: 1,
            dequeue_count: 3,
            priority: 8,
            message_group_id: None,
            user_properties: Vec::new(),
            system_properties: Vec::new(),
        };
        Received { receipt_handle: "h".into(), next_visible_time: 1, message }
    }

    #[test]
    fn what_does_not_fit_is_named_and_the_rest_stays_in_its_order() {
        let whole = |id, body| received(id, body, message_body_md5(body));
        let long = format!("\n{}", "x".repeat(1_000));
        let mut answer = vec![
            whole("a", "one"),
            received("b", "two", "nothing".into()),
            whole("c", ""),
            received("d", "four", long),
        ];
        answer[0].message.body_md5 = answer[0].message.body_md5.to_lowercase().into();
        let damaged = take_out(&mut answer);
        assert_eq!(answer.iter().map(|received| &*received.message.id).collect::<Vec<_>>(), ["a", "c"]);
        let first = Damaged::new("b", 3, "nothing".into(), message_body_md5("two"));
        let second = Damaged::new("d", 3, format!("\\n{}", "x".repeat(SHOWN - 1)), message_body_md5("four"));
        assert_eq!(damaged, [first, second]);
        assert!(take_out(&mut answer).is_empty() && answer.len() == 2);
    }
}
