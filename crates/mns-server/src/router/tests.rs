//! The router without a network: who is let in, what odd requests are answered, which faults do what.

use headwater_mns_proto::{AccessKey, Failure, QueueSettings, answer};
use serde_json::Value;

use super::*;
use crate::faults::{AbnormalConsumption, DeadHandle, Dose, PerOperation, ShortLease};

/// Fri, 20 Nov 2026 08:00:00 GMT, the date of the recorded requests.
const START: Millis = 1_795_161_600_000;

struct Bench {
    router: Router,
    now: Millis,
}

/// What a test wants to see of a response.
#[derive(Debug)]
struct Seen {
    status: u16,
    code: Option<String>,
    response: Response,
}

impl Bench {
    fn open(faults: Faults) -> Self {
        let random = Random::seeded(3);
        let router =
            Router::new(Account::new(random.fork(1)), Access::Open, faults, "localhost:80".into(), random.fork(2));
        let mut bench = Self { router, now: START };
        bench.router.account.create_queue(START, "q", &QueueSettings::default()).unwrap();
        bench
    }

    fn call(&mut self, method: &str, target: &str, body: &str) -> Seen {
        self.call_with(method, target, &[], body)
    }

    fn call_with(&mut self, method: &str, target: &str, headers: &[(&str, &[u8])], body: &str) -> Seen {
        let accepted = self.router.accept(self.now, &RawRequest { method, target, headers, body: body.as_bytes() });
        let response = match accepted.then {
            Then::Answer(response) => response,
            Then::Perform(work) => match self.router.perform(self.now, work, 0) {
                Outcome::Answer(response) => response,
                Outcome::Park(poll) => self.router.give_up(self.now, poll),
            },
            Then::Drop => panic!("dropped"),
        };
        let code = response.body.as_deref().and_then(|body| between(body, "<Code>", "</Code>")).map(ToOwned::to_owned);
        Seen { status: response.status, code, response }
    }

    fn send(&mut self, body: &str) {
        let body = format!("<Message><MessageBody>{body}</MessageBody></Message>");
        assert_eq!(self.call("POST", "/queues/q/messages", &body).status, 201);
    }

    /// The handles of one batch receive.
    fn receive(&mut self) -> Vec<String> {
        let seen = self.call("GET", "/queues/q/messages?numOfMessages=16", "");
        let body = seen.response.body.unwrap_or_default();
        let messages = answer::received(seen.status, body.as_bytes()).unwrap();
        messages.iter().map(|message| message.receipt_handle.to_string()).collect()
    }

    fn expect(&mut self, method: &str, target: &str, body: &str, status: u16, code: &str) {
        let seen = self.call(method, target, body);
        let expected = (status, Some(code.to_owned()).filter(|code| !code.is_empty()));
        assert_eq!((seen.status, seen.code), expected, "{method} {target} {body}");
    }
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    text.split_once(open)?.1.split_once(close).map(|(inner, _)| inner)
}

/// A request recorded from an official client, or derived from its source.
struct Recorded {
    name: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
    key: AccessKey,
}

fn recorded() -> Vec<Recorded> {
    let mut all = Vec::new();
    for file in ["python", "node_alicloud", "node_ali_mns", "doc_and_derived"] {
        let path = format!("{}/../mns-proto/tests/vectors/sign_v2_{file}.json", env!("CARGO_MANIFEST_DIR"));
        let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for record in document["records"].as_array().unwrap() {
            let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
            let part = |name: &str| record[name].as_str().or(document[name].as_str()).unwrap().to_owned();
            let mut headers: Vec<(String, String)> = Vec::new();
            for list in ["headers", "x_mns_headers", "ignored_headers", "unsigned_headers"] {
                let values = record[list].as_object().into_iter().flatten();
                headers.extend(values.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())));
            }
            if record["headers"].is_null() {
                // Where only the signed parts are recorded, an empty one was not sent.
                for (name, value) in [
                    ("content-md5", text("content_md5")),
                    ("content-type", text("content_type")),
                    ("date", text("date")),
                    ("authorization", text("authorization")),
                ] {
                    headers.extend(Some((name.to_owned(), value)).filter(|(_, value)| !value.is_empty()));
                }
            }
            all.push(Recorded {
                name: format!("{file}: {}{}", text("operation"), text("name")),
                method: text("method"),
                target: text("request_target"),
                headers,
                body: text("body"),
                key: AccessKey::new(part("access_key_id"), part("access_key_secret")),
            });
        }
    }
    all
}

impl Recorded {
    /// What a server says that knows the key and whose clock shows the request's date and `later` milliseconds.
    fn verdict(&self, target: &str, later: Millis) -> Option<ErrorCode> {
        let date = &self.headers.iter().find(|(name, _)| name == "date").unwrap().1;
        let now = headwater_mns_proto::parse_date(date).unwrap() * 1_000 + later;
        let signers = BTreeMap::from([(self.key.id().to_owned(), Signer::new(self.key.clone()))]);
        let access = Access::Keys { signers, check_date: true };
        let random = Random::seeded(3);
        let mut router = Router::new(Account::new(random.fork(1)), access, Faults::default(), "h".into(), random);
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let raw = RawRequest { method: &self.method, target, headers: &headers, body: self.body.as_bytes() };
        router.accept(now, &raw);
        router.journal.entries().next().and_then(|entry| entry.code.clone())
    }
}

#[test]
fn every_recorded_request_is_let_in() {
    let all = recorded();
    assert_eq!(all.len(), 77);
    let mut without_version = 0;
    for request in &all {
        let verdict = request.verdict(&request.target, 0);
        let about_the_caller = [
            ErrorCode::SignatureDoesNotMatch,
            ErrorCode::InvalidAccessKeyId,
            ErrorCode::InvalidAuthorizationHeader,
            ErrorCode::MissingAuthorizationHeader,
            ErrorCode::InvalidDateHeader,
            ErrorCode::MissingDateHeader,
            ErrorCode::TimeExpired,
            ErrorCode::InvalidDigest,
        ];
        assert!(!verdict.as_ref().is_some_and(|code| about_the_caller.contains(code)), "{}: {verdict:?}", request.name);
        if verdict == Some(ErrorCode::MissingVersionHeader) {
            // The four unit-test answers of the Java SDK sign requests no service would take: they lack the version.
            assert!(request.name.starts_with("doc_and_derived: Java test"), "{}", request.name);
            without_version += 1;
        }
    }
    assert_eq!(without_version, 4);
}

#[test]
fn a_changed_or_late_request_is_not_let_in() {
    for request in recorded().iter().filter(|request| request.headers.iter().any(|(name, _)| name == "x-mns-version")) {
        let changed = format!("{}{}x=1", request.target, if request.target.contains('?') { '&' } else { '?' });
        assert_eq!(request.verdict(&changed, 0), Some(ErrorCode::SignatureDoesNotMatch), "{}", request.name);
        assert_eq!(request.verdict(&request.target, 15 * 60_000), request.verdict(&request.target, 0));
        assert_eq!(request.verdict(&request.target, 15 * 60_000 + 1_000), Some(ErrorCode::TimeExpired));
        let stranger = Recorded { key: AccessKey::new("stranger", "secret"), ..clone(request) };
        assert_eq!(stranger.verdict(&request.target, 0), Some(ErrorCode::InvalidAccessKeyId), "{}", request.name);
        let impostor = Recorded { key: AccessKey::new(request.key.id(), "guess"), ..clone(request) };
        assert_eq!(impostor.verdict(&request.target, 0), Some(ErrorCode::SignatureDoesNotMatch), "{}", request.name);
    }
}

fn clone(request: &Recorded) -> Recorded {
    Recorded {
        name: request.name.clone(),
        method: request.method.clone(),
        target: request.target.clone(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        key: request.key.clone(),
    }
}

/// Method, target, body; status and code. The queue `q` exists, `none` does not.
const ODD: &[(&str, &str, &str, u16, &str)] = &[
    // Empty and missing are both 404.
    ("GET", "/queues/q/messages", "", 404, "MessageNotExist"),
    ("GET", "/queues/q/messages?numOfMessages=16", "", 404, "MessageNotExist"),
    ("GET", "/queues/q/messages?peekonly=true", "", 404, "MessageNotExist"),
    ("GET", "/queues/none/messages", "", 404, "QueueNotExist"),
    ("GET", "/queues/none", "", 404, "QueueNotExist"),
    ("DELETE", "/queues/none", "", 404, "QueueNotExist"),
    ("PUT", "/queues/none?metaoverride=true", "<Queue/>", 404, "QueueNotExist"),
    ("POST", "/queues/none/messages", "<Message><MessageBody>x</MessageBody></Message>", 404, "QueueNotExist"),
    ("DELETE", "/queues/none/messages?ReceiptHandle=x", "", 404, "QueueNotExist"),
    (
        "DELETE",
        "/queues/none/messages",
        "<ReceiptHandles><ReceiptHandle>x</ReceiptHandle></ReceiptHandles>",
        404,
        "QueueNotExist",
    ),
    ("PUT", "/queues/none/messages?ReceiptHandle=x&VisibilityTimeout=5", "", 404, "QueueNotExist"),
    // Numbers.
    ("GET", "/queues/q/messages?numOfMessages=0", "", 400, "InvalidArgument"),
    ("GET", "/queues/q/messages?numOfMessages=17", "", 400, "InvalidArgument"),
    ("GET", "/queues/q/messages?numOfMessages=many", "", 400, "InvalidArgument"),
    ("GET", "/queues/q/messages?waitseconds=31", "", 400, "InvalidArgument"),
    ("GET", "/queues/q/messages?waitseconds=-1", "", 400, "InvalidArgument"),
    ("PUT", "/queues/q/messages?ReceiptHandle=x&VisibilityTimeout=0", "", 400, "InvalidArgument"),
    ("PUT", "/queues/q/messages?ReceiptHandle=x&VisibilityTimeout=43201", "", 400, "InvalidArgument"),
    // Handles.
    ("DELETE", "/queues/q/messages", "", 400, "MissingReceiptHandle"),
    ("DELETE", "/queues/q/messages?ReceiptHandle=nonsense", "", 400, "ReceiptHandleError"),
    ("PUT", "/queues/q/messages?VisibilityTimeout=5", "", 400, "MissingReceiptHandle"),
    ("PUT", "/queues/q/messages?ReceiptHandle=x", "", 400, "MissingVisibilityTimeout"),
    // Bodies.
    ("POST", "/queues/q/messages", "<Message><MessageBody>", 400, "MalformedXML"),
    ("POST", "/queues/q/messages", "<Message/>", 400, "InvalidArgument"),
    // Queues.
    ("PUT", "/queues/-q", "", 400, "InvalidQueueName"),
    ("PUT", "/queues/q_1", "", 400, "InvalidQueueName"),
    ("PUT", "/queues/r", "<Queue><VisibilityTimeout>0</VisibilityTimeout></Queue>", 400, "InvalidArgument"),
    ("PUT", "/queues/q", "<Queue><VisibilityTimeout>60</VisibilityTimeout></Queue>", 409, "QueueAlreadyExist"),
    // Elsewhere.
    ("GET", "/", "", 400, "InvalidRequestURL"),
    ("GET", "/topics", "", 400, "InvalidRequestURL"),
    ("PATCH", "/queues/q", "", 400, "InvalidRequestURL"),
    ("GET", "/queues/q/messages/more", "", 400, "InvalidRequestURL"),
    // Two slashes are one, names of parameters have no case, `+` is a plus.
    ("GET", "//queues//q/messages?WAITSECONDS=0", "", 404, "MessageNotExist"),
];

#[test]
fn odd_requests_get_the_documented_answers() {
    let mut bench = Bench::open(Faults::default());
    for (method, target, body, status, code) in ODD {
        bench.expect(method, target, body, *status, code);
    }
}

#[test]
fn what_is_too_long_or_too_many_is_refused() {
    let mut bench = Bench::open(Faults::default());
    let message = |bytes| format!("<Message><MessageBody>{}</MessageBody></Message>", "x".repeat(bytes));
    let messages = |count, bytes| format!("<Messages>{}</Messages>", message(bytes).repeat(count));
    let handles =
        |count| format!("<ReceiptHandles>{}</ReceiptHandles>", "<ReceiptHandle>x</ReceiptHandle>".repeat(count));
    let messages_of_q = "/queues/q/messages";
    bench.expect("POST", messages_of_q, &message(65_536), 201, "");
    bench.expect("POST", messages_of_q, &message(65_537), 400, "InvalidArgument");
    bench.expect("POST", messages_of_q, &messages(16, 4_096), 201, "");
    bench.expect("POST", messages_of_q, &messages(16, 4_097), 400, "InvalidArgument");
    bench.expect("POST", messages_of_q, &messages(17, 1), 400, "InvalidArgument");
    bench.expect("DELETE", messages_of_q, &handles(17), 400, "InvalidArgument");
    bench.expect("PUT", &format!("/queues/{}", "a".repeat(120)), "", 201, "");
    bench.expect("PUT", &format!("/queues/{}", "a".repeat(121)), "", 400, "QueueNameLengthError");
}

#[test]
fn every_answer_carries_the_headers_of_the_service() {
    let mut bench = Bench::open(Faults::default());
    for (method, target) in
        [("GET", "/queues/q"), ("PUT", "/queues/q"), ("GET", "/nowhere"), ("GET", "/queues/q/messages")]
    {
        let seen = bench.call_with(method, target, &[("Host", b"mns.example:8080")], "");
        let header = |wanted: &str| {
            let found = seen.response.headers.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let id = header("x-mns-request-id");
        assert_eq!((id.len(), &id[..8]), (24, "6AFFFE00"), "{id}");
        assert!(id.chars().all(|c| c.is_ascii_digit() || ('A'..='F').contains(&c)), "{id}");
        assert_eq!(header("x-mns-version"), "2015-06-06");
        assert_eq!(header("date"), "Fri, 20 Nov 2026 08:00:00 GMT");
        assert_eq!(seen.response.body.is_none(), seen.status == 204, "{target}");
        if seen.status >= 400 {
            let body = seen.response.body.unwrap();
            assert_eq!(between(&body, "<RequestId>", "</RequestId>"), Some(id.as_str()));
            assert_eq!(between(&body, "<HostId>", "</HostId>"), Some("http://mns.example:8080"));
        }
    }
    for status in [201, 204] {
        let seen = bench.call("PUT", "/queues/new", "");
        let location = seen.response.headers.iter().find(|(name, _)| *name == "location").unwrap();
        assert_eq!((seen.status, location.1.as_str()), (status, "http://localhost:80/queues/new"));
    }
}

#[test]
fn both_digests_are_accepted_and_no_other() {
    let mut bench = Bench::open(Faults::default());
    let body = "<Message><MessageBody>x</MessageBody></Message>";
    for (digest, status) in [
        (headwater_mns_proto::content_md5(body.as_bytes()), 201),
        (headwater_mns_proto::content_md5_of_hex(body.as_bytes()), 201),
        (String::new(), 201),
        (headwater_mns_proto::content_md5(b"another"), 400),
    ] {
        let headers: &[(&str, &[u8])] = &[("Content-MD5", digest.as_bytes())];
        let seen = bench.call_with("POST", "/queues/q/messages", headers, body);
        assert_eq!(seen.status, status, "{digest}");
        assert_eq!(seen.code.as_deref(), (status == 400).then_some("InvalidDigest"));
    }
}

#[test]
fn a_batch_delete_reports_the_failed_handles_only() {
    let mut bench = Bench::open(Faults::default());
    bench.send("a");
    bench.send("b");
    let handles = bench.receive();
    let listed = |handles: &[&str]| {
        let list: String = handles.iter().map(|handle| format!("<ReceiptHandle>{handle}</ReceiptHandle>")).collect();
        format!("<ReceiptHandles>{list}</ReceiptHandles>")
    };
    let seen = bench.call("DELETE", "/queues/q/messages", &listed(&[&handles[0], "nonsense"]));
    assert_eq!(seen.status, 404, "neither empty nor missing, a third meaning of 404");
    let body = seen.response.body.unwrap();
    let failures = answer::batch_deleted(404, body.as_bytes()).unwrap();
    assert_eq!(failures.len(), 1);
    assert_eq!((failures[0].receipt_handle.as_str(), &failures[0].code), ("nonsense", &ErrorCode::ReceiptHandleError));
    // The same again: what was deleted is now a failure too.
    let seen = bench.call("DELETE", "/queues/q/messages", &listed(&[&handles[0], &handles[1]]));
    let body = seen.response.body.unwrap();
    let failures = answer::batch_deleted(404, body.as_bytes()).unwrap();
    assert_eq!(failures.iter().map(|failure| &failure.receipt_handle).collect::<Vec<_>>(), [&handles[0]]);
    assert_eq!(bench.router.journal.deleted("q").len(), 2);
    assert_eq!(bench.router.journal.messages(Operation::BatchDeleteMessage), 2);
}

#[test]
fn dead_handles_are_refused_as_asked() {
    for (dead_handle, expired, deleted) in [
        (DeadHandle::ReceiptHandleError, (400, "ReceiptHandleError"), (400, "ReceiptHandleError")),
        (DeadHandle::MessageNotExist, (404, "MessageNotExist"), (404, "MessageNotExist")),
    ] {
        let mut bench = Bench::open(Faults { dead_handle, ..Faults::default() });
        bench.send("a");
        let old = bench.receive().remove(0);
        bench.now += 30_000;
        bench.expect("DELETE", &format!("/queues/q/messages?ReceiptHandle={old}"), "", expired.0, expired.1);
        let new = bench.receive().remove(0);
        bench.expect("DELETE", &format!("/queues/q/messages?ReceiptHandle={old}"), "", deleted.0, deleted.1);
        bench.expect("DELETE", &format!("/queues/q/messages?receipthandle={new}"), "", 204, "");
        bench.expect("DELETE", &format!("/queues/q/messages?ReceiptHandle={new}"), "", deleted.0, deleted.1);
        bench.expect("DELETE", "/queues/q/messages?ReceiptHandle=nonsense", "", 400, "ReceiptHandleError");
    }
}

#[test]
fn a_consumer_that_may_only_receive_and_delete_can_work() {
    let mut bench = Bench::open(Faults::default());
    bench.send("a");
    let deny = [Operation::GetQueueAttributes, Operation::ChangeMessageVisibility, Operation::SendMessage];
    bench.router.set_faults(Faults { deny: deny.into(), ..Faults::default() });
    bench.expect("GET", "/queues/q", "", 403, "AccessDenied");
    bench.expect("PUT", "/queues/q/messages?ReceiptHandle=x&VisibilityTimeout=5", "", 403, "AccessDenied");
    bench.expect(
        "POST",
        "/queues/q/messages",
        "<Messages><Message><MessageBody>x</MessageBody></Message></Messages>",
        403,
        "AccessDenied",
    );
    let handle = bench.receive().remove(0);
    bench.expect("DELETE", &format!("/queues/q/messages?ReceiptHandle={handle}"), "", 204, "");
}

#[test]
fn refusals_have_no_effect_and_lost_answers_do() {
    let message = "<Message><MessageBody>x</MessageBody></Message>";
    let on_send = |dose| PerOperation::default().on(Operation::SendMessage, dose);
    let mut bench = Bench::open(Faults {
        too_many_requests: on_send(Dose::Count(1)),
        internal_error: on_send(Dose::Count(1)),
        unavailable: on_send(Dose::Count(1)),
        lose_answer: on_send(Dose::Count(1)),
        ..Faults::default()
    });
    let throttled = bench.call("POST", "/queues/q/messages", message);
    assert_eq!((throttled.status, throttled.response.after), (429, 500), "held as long as the service holds it");
    bench.expect("POST", "/queues/q/messages", message, 500, "InternalError");
    let gateway = bench.call("POST", "/queues/q/messages", message);
    assert_eq!((gateway.status, gateway.code), (503, None));
    let page = gateway.response.body.unwrap();
    assert!(matches!(answer::sent(503, page.as_bytes()), Err(Failure::Foreign { status: 503, .. })), "{page}");
    assert_eq!(bench.router.account.queue("q").unwrap().counts(START).visible, 0);
    let lost = bench.call("POST", "/queues/q/messages", message);
    assert!(lost.status == 201 && lost.response.lost);
    assert!(!bench.call("POST", "/queues/q/messages", message).response.lost);
    assert_eq!(bench.router.account.queue("q").unwrap().counts(START).visible, 2);
}

#[test]
fn partial_batches_fail_by_entry() {
    let mut bench =
        Bench::open(Faults { fail_send_entry: Dose::Count(1), fail_delete_entry: Dose::Count(1), ..Faults::default() });
    let messages = "<Message><MessageBody>x</MessageBody></Message>".repeat(3);
    let seen = bench.call("POST", "/queues/q/messages", &format!("<Messages>{messages}</Messages>"));
    assert_eq!(seen.status, 500);
    let body = seen.response.body.unwrap();
    let outcomes = answer::batch_sent(500, body.as_bytes()).unwrap();
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, true]);
    let handles = bench.receive();
    assert_eq!(handles.len(), 2);
    let list: String = handles.iter().map(|handle| format!("<ReceiptHandle>{handle}</ReceiptHandle>")).collect();
    let seen = bench.call("DELETE", "/queues/q/messages", &format!("<ReceiptHandles>{list}</ReceiptHandles>"));
    let body = seen.response.body.unwrap();
    let failures = answer::batch_deleted(seen.status, body.as_bytes()).unwrap();
    assert_eq!((failures.len(), &failures[0].code), (1, &ErrorCode::InternalError));
    // Its handle was live all the time.
    bench.expect("DELETE", &format!("/queues/q/messages?ReceiptHandle={}", handles[0]), "", 204, "");
}

#[test]
fn receives_can_be_duplicated_shortened_cut_and_empty() {
    let mut bench = Bench::open(Faults::default());
    for body in ["a", "b", "c", "d"] {
        bench.send(body);
    }
    bench.router.set_faults(Faults { fewer_messages: Dose::Count(1), ..Faults::default() });
    let some = bench.receive().len();
    assert!((1..4).contains(&some), "{some}");
    assert_eq!(bench.receive().len(), 4 - some);
    bench.router.set_faults(Faults { duplicate: Dose::Count(1), ..Faults::default() });
    assert_eq!(bench.receive().len(), 1, "one that is leased already");
    bench.now += 30_000;
    let short_lease = ShortLease { dose: Dose::Count(1), millis: 100, told: false };
    bench.router.set_faults(Faults { empty_receive: Dose::Count(1), ..Faults::default() });
    assert_eq!(bench.receive().len(), 0);
    bench.router.set_faults(Faults { short_lease, ..Faults::default() });
    assert_eq!(bench.receive().len(), 4);
    bench.now += 100;
    assert_eq!(bench.receive().len(), 4);
}

#[test]
fn a_damaged_body_is_whole_in_its_next_delivery() {
    let mut bench = Bench::open(Faults { damage_body: Dose::Count(3), ..Faults::default() });
    let bodies = ["00", "größer", "a", "b"];
    bodies.iter().for_each(|body| bench.send(body));
    for damaged in [3, 0] {
        let seen = bench.call("GET", "/queues/q/messages?numOfMessages=16", "");
        let text = seen.response.body.unwrap();
        let messages = answer::received(200, text.as_bytes()).unwrap();
        for (at, (received, sent)) in messages.iter().zip(bodies).enumerate() {
            let message = &received.message;
            assert_eq!(message.body_md5, headwater_mns_proto::message_body_md5(sent));
            let body = String::from_utf8_lossy(&message.body);
            let differ = body.chars().zip(sent.chars()).filter(|(came, sent)| came != sent).count();
            assert_eq!(differ, usize::from(at < damaged), "{body}");
            assert_eq!(body.chars().count(), sent.chars().count());
        }
        bench.now += 30_000;
    }
}

#[test]
fn who_receives_without_deleting_is_throttled() {
    let limits = AbnormalConsumption { max_undeleted: 2, admitted_per_second: 1, ..AbnormalConsumption::default() };
    let mut bench = Bench::open(Faults { abnormal_consumption: Some(limits), ..Faults::default() });
    for body in ["a", "b", "c", "d"] {
        bench.send(body);
    }
    let handles = bench.receive();
    bench.now += 1_000;
    bench.expect("GET", "/queues/q/messages", "", 404, "MessageNotExist");
    bench.expect("GET", "/queues/q/messages", "", 429, "TooManyRequests");
    for handle in &handles[..2] {
        bench.expect("DELETE", &format!("/queues/q/messages?ReceiptHandle={handle}"), "", 204, "");
    }
    bench.expect("GET", "/queues/q/messages", "", 404, "MessageNotExist");
}

#[test]
fn errors_close_the_connection_where_asked() {
    let mut bench = Bench::open(Faults { close_on_error: Dose::ALWAYS, ..Faults::default() });
    assert!(bench.call("GET", "/queues/none", "").response.close);
    assert!(!bench.call("GET", "/queues/q", "").response.close);
}

#[test]
fn a_name_can_be_kept_free_for_a_while() {
    let mut bench = Bench::open(Faults::default());
    bench.router.account.refuse_recently_deleted(Some(10_000));
    bench.expect("DELETE", "/queues/q", "", 204, "");
    bench.expect("PUT", "/queues/q", "", 400, "QueueDeletedRecently");
    bench.now += 10_000;
    bench.expect("PUT", "/queues/q", "", 201, "");
}

#[test]
fn account_attributes_are_kept() {
    let mut bench = Bench::open(Faults::default());
    bench.expect("PUT", "/?accountmeta=true", "<Account><LoggingBucket>logs</LoggingBucket></Account>", 204, "");
    let body = bench.call("GET", "/?accountmeta=true", "").response.body.unwrap();
    assert_eq!(between(&body, "<LoggingBucket>", "</LoggingBucket>"), Some("logs"));
}
