#![no_main]
//! Signatures and requests, both sides: what is signed is accepted, what is changed is not, what is read is written and read
//! again as the same, and no bytes at all make either side panic.
//!
//! An input is a request as text: a line `METHOD target`, lines `name: value`, a blank line, the body.

use headwater_mns_proto::{AccessKey, Request, Signer, string_to_sign, verify};

const NOW: u64 = 1_795_161_600;

struct Input<'a> {
    method: &'a str,
    target: &'a str,
    headers: Vec<(&'a str, &'a [u8])>,
    body: &'a [u8],
}

fn input(data: &[u8]) -> Option<Input<'_>> {
    let (head, body) = match data.windows(2).position(|two| two == b"\n\n") {
        Some(end) => (&data[..end], &data[end + 2..]),
        None => (data, &b""[..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let (method, target) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
    let header = |line: &'_ [u8]| line.iter().position(|byte| *byte == b':');
    let headers = lines.filter_map(|line| {
        let colon = header(line)?;
        let value = line[colon + 1..].strip_prefix(b" ").unwrap_or(&line[colon + 1..]);
        Some((std::str::from_utf8(&line[..colon]).ok()?, value))
    });
    Some(Input { method, target, headers: headers.collect(), body })
}

/// Whether these headers sign alike in any order: no name that takes part comes twice.
fn distinct(headers: &[(&str, &[u8])]) -> bool {
    let mut names: Vec<_> = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort();
    names.windows(2).all(|two| two[0] != two[1])
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(Input { method, target, headers, body }) = input(data) else { return };
    let signer = Signer::new(AccessKey::with_token("id", "secret", "token"));
    let known = |id: &str| (id == "id").then_some(&signer);

    // As it came, it is refused or (with a stolen signature) accepted, and signing it makes it acceptable.
    let _ = verify(method, target, headers.iter().copied(), known, Some(NOW));
    let text = string_to_sign(method, target, headers.iter().copied());
    if distinct(&headers) {
        let reversed = headers.iter().rev().copied();
        assert_eq!(text, string_to_sign(method, target, reversed), "the order of headers matters");
    }
    let plain: Vec<_> = headers
        .iter()
        .copied()
        .filter(|(name, _)| {
            let name = name.to_ascii_lowercase();
            !matches!(name.as_str(), "authorization" | "security-token" | "date" | "x-mns-date" | "x-mns-version")
        })
        .chain([("Date", &b"Fri, 20 Nov 2026 08:00:00 GMT"[..]), ("x-mns-version", b"2015-06-06")])
        .collect();
    let authorization = signer.authorization(method, target, plain.iter().copied());
    let signed: Vec<_> = plain
        .iter()
        .copied()
        .chain([("Authorization", authorization.as_bytes()), ("security-token", b"token")])
        .collect();
    assert_eq!(verify(method, target, signed.iter().copied(), known, Some(NOW)).as_deref(), Ok("id"));
    let other = format!("{target}x");
    assert!(verify(method, &other, signed.iter().copied(), known, Some(NOW)).is_err(), "another target");
    let stranger = Signer::new(AccessKey::with_token("id", "secres", "token"));
    assert!(verify(method, target, signed.iter().copied(), |_| Some(&stranger), Some(NOW)).is_err(), "another key");

    // What a server reads, a client writes, signs, and the server reads as the same.
    let Ok(request) = Request::read(method, target, headers.iter().copied(), body) else { return };
    let Ok(wire) = request.write() else { return };
    let sent = signer.headers(&wire, NOW);
    let sent = || sent.iter().map(|(name, value)| (*name, value.as_bytes()));
    assert_eq!(verify(wire.method.as_str(), &wire.target, sent(), known, Some(NOW)).as_deref(), Ok("id"));
    let body = wire.body.as_deref().unwrap_or_default().as_bytes();
    let again = Request::read(wire.method.as_str(), &wire.target, sent(), body);
    assert_eq!(again.as_ref(), Ok(&request), "written as {} {}", wire.target, String::from_utf8_lossy(body));
});
