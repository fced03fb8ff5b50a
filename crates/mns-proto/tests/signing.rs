//! Every recorded signature, computed and checked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use headwater_mns_proto::{AccessKey, ErrorCode, ServiceError, Signer, parse_date, string_to_sign, verify};
use serde_json::Value;
use support::{pairs, records, text, vectors};

const FILES: [&str; 4] = ["sign_v2_python", "sign_v2_node_alicloud", "sign_v2_node_ali_mns", "sign_v2_doc_and_derived"];

/// One signed request, whichever form its file has.
struct Record {
    name: String,
    key: AccessKey,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    string_to_sign: String,
    authorization: String,
}

impl Record {
    fn all() -> Vec<Self> {
        FILES.iter().flat_map(|file| Self::of_file(file)).collect()
    }

    fn of_file(file: &str) -> Vec<Self> {
        let whole = vectors(file);
        records(file).iter().map(|record| Self::new(file, &whole, record)).collect()
    }

    fn new(file: &str, whole: &Value, record: &Value) -> Self {
        let name = [text(record, "operation"), text(record, "name")].concat();
        let member = |member: &str| [text(record, member), text(whole, member)].concat();
        let key = AccessKey::new(member("access_key_id"), member("access_key_secret"));
        let headers = match record.get("headers") {
            Some(headers) => pairs(headers),
            None => Self::derived_headers(record),
        };
        Self {
            name: format!("{file}: {name}"),
            key,
            method: text(record, "method").to_owned(),
            target: text(record, "request_target").to_owned(),
            headers,
            string_to_sign: text(record, "string_to_sign").to_owned(),
            authorization: text(record, "authorization").to_owned(),
        }
    }

    /// The records taken from documents and unit tests list what is signed instead of all headers.
    fn derived_headers(record: &Value) -> Vec<(String, String)> {
        let mut headers = vec![("Date".to_owned(), text(record, "date").to_owned())];
        for (name, member) in [("Content-MD5", "content_md5"), ("Content-Type", "content_type")] {
            if !text(record, member).is_empty() {
                headers.push((name.to_owned(), text(record, member).to_owned()));
            }
        }
        for (name, value) in pairs(&record["x_mns_headers"]) {
            let sent = record.get("sent_header_name").map_or(name, |sent| sent.as_str().unwrap().to_owned());
            headers.push((sent, value));
        }
        headers.extend(pairs(&record["unsigned_headers"]));
        headers.extend(pairs(&record["ignored_headers"]));
        headers.push(("Authorization".to_owned(), text(record, "authorization").to_owned()));
        headers
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> + Clone {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    fn verify(&self, method: &str, target: &str, secret: &str, now: Option<u64>) -> Result<String, ServiceError> {
        let signer = Signer::new(AccessKey::new(self.key.id(), secret));
        verify(method, target, self.headers(), |id| (id == self.key.id()).then_some(&signer), now)
    }

    fn date(&self) -> u64 {
        let date = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("date")).unwrap();
        parse_date(&date.1).unwrap()
    }

    fn has_version(&self) -> bool {
        self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-mns-version"))
    }
}

#[test]
fn there_are_77_records() {
    assert_eq!(Record::all().len(), 77);
}

#[test]
fn every_record_is_signed_alike() {
    for record in Record::all() {
        let signed = string_to_sign(&record.method, &record.target, record.headers());
        assert_eq!(String::from_utf8(signed).unwrap(), record.string_to_sign, "{}", record.name);
        let signer = Signer::new(record.key.clone());
        let authorization = signer.authorization(&record.method, &record.target, record.headers());
        assert_eq!(authorization, record.authorization, "{}", record.name);
    }
}

#[test]
fn every_record_is_accepted_at_its_time() {
    let mut without_version = 0;
    for record in Record::all() {
        let answer = record.verify(&record.method, &record.target, record.key.secret(), Some(record.date()));
        if record.has_version() {
            assert_eq!(answer.as_deref(), Ok(record.key.id()), "{}", record.name);
        } else {
            // The signature fits, and only then is the missing header spoken of.
            without_version += 1;
            assert_eq!(answer.unwrap_err().code, ErrorCode::MissingVersionHeader, "{}", record.name);
        }
    }
    assert_eq!(without_version, 4, "the known answers of the Java client's unit tests");
}

#[test]
fn every_record_is_refused_when_anything_signed_differs() {
    for record in Record::all() {
        let other_method = if record.method == "GET" { "PUT" } else { "GET" };
        let (method, target, secret) = (record.method.as_str(), record.target.as_str(), record.key.secret());
        for (method, target, secret) in [
            (other_method, target, secret),
            (method, &format!("{target}&"), secret),
            (method, target, "another secret"),
        ] {
            let refused = record.verify(method, target, secret, None).unwrap_err();
            assert_eq!(refused.code, ErrorCode::SignatureDoesNotMatch, "{}: {method} {target}", record.name);
            assert_eq!(refused.status, 403);
        }
    }
}

#[test]
fn a_date_may_be_fifteen_minutes_off_and_no_more() {
    for record in Record::all().iter().filter(|record| record.has_version()) {
        let at = |now| record.verify(&record.method, &record.target, record.key.secret(), Some(now));
        let date = record.date();
        assert!(at(date + 900).is_ok() && at(date - 900).is_ok(), "{}", record.name);
        for now in [date + 901, date - 901] {
            let refused = at(now).unwrap_err();
            assert_eq!((refused.code, refused.status), (ErrorCode::TimeExpired, 408), "{}", record.name);
        }
    }
}

/// Headers of a correctly signed receive, to be damaged.
fn signed(signer: &Signer, extra: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let mut headers = vec![("x-mns-version", "2015-06-06".to_owned())];
    headers.extend(extra.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let authorization = signer.authorization("GET", "/queues/q", bytes(&headers));
    headers.push(("authorization", authorization));
    headers
}

fn bytes<'a>(headers: &'a [(&'static str, String)]) -> impl Iterator<Item = (&'a str, &'a [u8])> + Clone {
    headers.iter().map(|(name, value)| (*name, value.as_bytes()))
}

const DATE: &str = "Fri, 20 Nov 2026 08:00:00 GMT";
const NOW: u64 = 1_795_161_600;

fn check(signer: &Signer, headers: &[(&'static str, String)]) -> Result<String, ErrorCode> {
    verify("GET", "/queues/q", bytes(headers), |id| (id == signer.key().id()).then_some(signer), Some(NOW))
        .map_err(|error| error.code)
}

#[test]
fn each_missing_or_malformed_header_has_its_own_error() {
    let signer = Signer::new(AccessKey::new("id", "secret"));
    let good = signed(&signer, &[("date", DATE)]);
    assert_eq!(check(&signer, &good), Ok("id".to_owned()));

    let without = |name: &str| good.iter().filter(|(have, _)| *have != name).cloned().collect::<Vec<_>>();
    let with = |name: &'static str, value: &str| [without(name), vec![(name, value.to_owned())]].concat();
    for (headers, code) in [
        (without("authorization"), ErrorCode::MissingAuthorizationHeader),
        (with("authorization", ""), ErrorCode::InvalidAuthorizationHeader),
        (with("authorization", "MNS id"), ErrorCode::InvalidAuthorizationHeader),
        (with("authorization", "MNS :sig"), ErrorCode::InvalidAuthorizationHeader),
        (with("authorization", "Basic aWQ6c2VjcmV0"), ErrorCode::InvalidAuthorizationHeader),
        (with("authorization", "MNS other:sig"), ErrorCode::InvalidAccessKeyId),
        (with("authorization", "MNS id:sig"), ErrorCode::SignatureDoesNotMatch),
        (without("date"), ErrorCode::MissingDateHeader),
        (with("date", "today"), ErrorCode::InvalidDateHeader),
        (signed_with_version(&signer, "2014-01-01"), ErrorCode::InvalidVersionHeader),
    ] {
        assert_eq!(check(&signer, &headers), Err(code), "{headers:?}");
    }
}

fn signed_with_version(signer: &Signer, version: &str) -> Vec<(&'static str, String)> {
    let mut headers = vec![("x-mns-version", version.to_owned()), ("date", DATE.to_owned())];
    headers.push(("authorization", signer.authorization("GET", "/queues/q", bytes(&headers))));
    headers
}

#[test]
fn x_mns_date_may_stand_in_for_date() {
    let signer = Signer::new(AccessKey::new("id", "secret"));
    // Both; only the second with an empty date line; only the second with its value in the date line.
    assert!(check(&signer, &signed(&signer, &[("date", DATE), ("x-mns-date", DATE)])).is_ok());
    assert!(check(&signer, &signed(&signer, &[("x-mns-date", DATE)])).is_ok());
    let mut filled = signed(&signer, &[("date", DATE), ("x-mns-date", DATE)]);
    filled.retain(|(name, _)| *name != "date");
    assert!(check(&signer, &filled).is_ok());
    // It decides about the skew, as `Date` may be set by a library.
    let late = "Fri, 20 Nov 2026 09:00:00 GMT";
    let skewed = signed(&signer, &[("date", DATE), ("x-mns-date", late)]);
    assert_eq!(check(&signer, &skewed), Err(ErrorCode::TimeExpired));
}

#[test]
fn a_temporary_key_needs_its_token_and_does_not_sign_it() {
    let signer = Signer::new(AccessKey::with_token("id", "secret", "the token"));
    let mut headers = signed(&signer, &[("date", DATE)]);
    assert_eq!(check(&signer, &headers), Err(ErrorCode::InvalidAccessKeyId));
    headers.push(("security-token", "another token".to_owned()));
    assert_eq!(check(&signer, &headers), Err(ErrorCode::InvalidAccessKeyId));
    headers.last_mut().unwrap().1 = "the token".to_owned();
    assert_eq!(check(&signer, &headers), Ok("id".to_owned()));
}

#[test]
fn a_signer_shows_no_secret() {
    let shown = format!("{:?}", Signer::new(AccessKey::with_token("id", "hush", "hush")));
    assert!(!shown.contains("hush"), "{shown}");
}
