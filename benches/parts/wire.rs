//! The protocol around bodies: answers, base64, signatures, digests.

use std::hint::black_box;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use criterion::{Criterion, Throughput};
use headwater_formats::MessageEncoding;
use headwater_mns_client::proto::{AccessKey, BodyMd5, Request, Signer, WireRequest, answer, verify};

use crate::bodies::{KINDS, Kind};
use crate::cpu_time::CpuTime;
use crate::{BATCH, per_message};

/// One kind of each size: to these parts a body is text.
fn sizes() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(|kind| kind.format == "json")
}

fn sent(kind: &Kind) -> Vec<String> {
    (0..BATCH).map(|number| kind.body(number)).collect()
}

/// An answer to a receive: by the scan for the usual shape, and with a comment in it, for which it is read event by event with quick-xml.
pub(crate) fn xml(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("xml");
    for kind in sizes() {
        let usual = kind.answer();
        let unusual = usual.replacen("<Messages", "<!-- -->\n<Messages", 1);
        let bodies = sent(kind);
        for text in [&usual, &unusual] {
            let read = answer::received(200, text.as_bytes()).expect("a good answer");
            assert!(
                read.iter().map(|received| &*received.message.body).eq(bodies.iter().map(String::as_bytes)),
                "{}",
                kind.name
            );
        }
        group.throughput(Throughput::Bytes(usual.len() as u64 / BATCH));
        for (way, text) in [("scan", &usual), ("quick-xml", &unusual)] {
            group.bench_function(format!("{way}, {}", kind.name), |bencher| {
                per_message(bencher, BATCH, || drop(black_box(answer::received(200, black_box(text.as_bytes())))));
            });
        }
    }
}

/// A body out of base64, beside the crate `base64`.
pub(crate) fn base64(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("base64");
    for kind in sizes() {
        let bodies = sent(kind);
        let mut room = Vec::new();
        for (number, body) in bodies.iter().enumerate() {
            let (decoded, _) = MessageEncoding::Base64.decode(body.as_bytes(), |_| true, &mut room).expect("base64");
            assert!(decoded == kind.plain(number as u64), "{}", kind.name);
        }
        let length = bodies.iter().map(String::len).sum::<usize>() as u64 / BATCH;
        group.throughput(Throughput::Bytes(length));
        group.bench_function(format!("base64-turbo, {}", kind.name), |bencher| {
            per_message(bencher, BATCH, || {
                for body in &bodies {
                    let decoded = MessageEncoding::Base64.decode(black_box(body.as_bytes()), |_| true, &mut room);
                    let _ = black_box(decoded.map(|(bytes, _)| bytes.len()));
                }
            });
        });
        group.bench_function(format!("base64, {}", kind.name), |bencher| {
            per_message(bencher, BATCH, || {
                for body in &bodies {
                    room.clear();
                    let _ = black_box(STANDARD.decode_vec(black_box(body), &mut room));
                    black_box(&room);
                }
            });
        });
    }
}

/// The headers of a request, of which a receive and a delete each serve 16 messages: an iteration is one request.
pub(crate) fn sign(criterion: &mut Criterion<CpuTime>) {
    let signer = Signer::new(AccessKey::new("LTAI5tExampleKeyId000000", "ExampleSecret0000000000000000000"));
    let receive = Request::ReceiveMessage { queue: "orders".into(), batch: Some(16), wait_seconds: Some(10) };
    let handles: Vec<String> = (0..BATCH).map(|number| format!("8-{number:032X}")).collect();
    let delete = || WireRequest::batch_delete("orders", handles.iter().map(String::as_str)).expect("a request");
    let mut group = criterion.benchmark_group("sign");
    for (name, wire) in [("receive", receive.write().expect("a request")), ("delete of 16", delete())] {
        let headers = signer.headers(&wire, 1_795_255_200);
        let verified = verify(
            wire.method.as_str(),
            &wire.target,
            headers.iter().map(|(name, value)| (*name, value.as_bytes())),
            |id| (id == signer.key().id()).then_some(&signer),
            Some(1_795_255_200),
        );
        assert!(verified.is_ok(), "{verified:?}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                signer.each_header(black_box(&wire), black_box(1_795_255_200), |_, value| _ = black_box(value))
            });
        });
    }
    group.bench_function("write a delete of 16", |bencher| bencher.iter(|| drop(black_box(delete()))));
}

/// MessageBodyMD5 of the bodies of an answer, which `verifyBodyMd5` asks for: one by one with the crate `md-5`, and side by side.
pub(crate) fn md5(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("md5");
    for kind in sizes() {
        let bodies = sent(kind);
        let texts: Vec<&[u8]> = bodies.iter().map(String::as_bytes).collect();
        assert!(BodyMd5::of_all(&texts).into_iter().eq(texts.iter().map(BodyMd5::of)), "{}", kind.name);
        let length = bodies.iter().map(String::len).sum::<usize>() as u64 / BATCH;
        group.throughput(Throughput::Bytes(length));
        group.bench_function(format!("one by one, {}", kind.name), |bencher| {
            per_message(bencher, BATCH, || texts.iter().for_each(|text| _ = black_box(BodyMd5::of(black_box(text)))));
        });
        group.bench_function(format!("side by side, {}", kind.name), |bencher| {
            per_message(bencher, BATCH, || drop(black_box(BodyMd5::of_all(black_box(&texts)))));
        });
    }
}
