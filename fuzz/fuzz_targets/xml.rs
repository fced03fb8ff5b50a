#![no_main]
//! Answers of the service: every reader, whatever the status.

use headwater_mns_proto::answer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [status, body @ ..] = data else { return };
    let status = [200, 201, 204, 400, 404, 503][usize::from(*status) % 6];
    let _ = answer::received(status, body);
    let _ = answer::peeked(status, body);
    let _ = answer::sent(status, body);
    let _ = answer::batch_sent(status, body);
    let _ = answer::done(status, body);
    let _ = answer::batch_deleted(status, body);
    let _ = answer::visibility_changed(status, body);
    let _ = answer::queue_attributes(status, body);
    let _ = answer::queue_list(status, body);
    let _ = answer::account_attributes(status, body);
});
