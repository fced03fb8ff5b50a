#![no_main]
//! Answers of the service: every reader, whatever the status. And bodies: a topic's envelopes, CloudEvents.

use headwater_formats::{CloudEvents, Envelope as _};
use headwater_mns_proto::{Notification, answer};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [status, body @ ..] = data else { return };
    let status = [200, 201, 204, 400, 404, 503][usize::from(*status) % 6];
    // A body may be of any bytes. Read as text it is the same message, and so is every other.
    if let Ok(read) = answer::received(status, body) {
        let text = String::from_utf8_lossy(body);
        let again = answer::received(status, text.as_bytes()).expect("the same in UTF-8");
        assert_eq!(read.len(), again.len());
        for (one, other) in read.iter().zip(&again) {
            assert_eq!(String::from_utf8_lossy(&one.message.body), String::from_utf8_lossy(&other.message.body));
            assert_eq!((&one.receipt_handle, &one.message.id), (&other.receipt_handle, &other.message.id));
        }
    }
    let _ = answer::peeked(status, body);
    let _ = answer::sent(status, body);
    let _ = answer::batch_sent(status, body);
    let _ = answer::done(status, body);
    let _ = answer::batch_deleted(status, body);
    let _ = answer::visibility_changed(status, body);
    let _ = answer::queue_attributes(status, body);
    let _ = answer::queue_list(status, body);
    let _ = answer::account_attributes(status, body);
    let _ = CloudEvents.open(body);
    let _ = Notification::resembles_json(body);
    if let Ok(text) = std::str::from_utf8(body) {
        let _ = Notification::resembles_xml(text);
        let read = [Notification::from_xml(text), Notification::from_json(text)];
        read.iter().flatten().for_each(|notification| _ = notification.check_md5());
    }
});
