//! A decoder that has met notifications of a making before does with the next ones what a new decoder does with them.

use std::sync::Arc;

use headwater_formats::{DecoderFactory, OnBadRow};
use headwater_oss::{OssEvents, OssFactory};
use proptest::prelude::*;

/// Tables with every type where it is usual, and with others.
const COLUMNS: [&str; 2] = [
    "eventName STRING, eventTime TIMESTAMP(3), region STRING, ossBucketName STRING, ossObjectKey STRING, ossObjectSize BIGINT, \
     ossObjectETag STRING, ossObjectDeltaSize DOUBLE, xVars MAP<STRING, STRING>, ossRuleId STRING",
    "ossObjectKey VARCHAR(10), eventTime STRING, eventName INT, region DECIMAL(9, 2), ossBucketName TINYINT, \
     ossObjectSize STRING, ossObjectETag BIGINT, ossObjectDeltaSize STRING, xVars STRING",
];

/// Notifications in every container, with values at both levels, twice, missing, null, and of another kind than expected.
const BODIES: &[&str] = &[
    r#"{"events":[{"eventName":"ObjectCreated:PutObject","eventTime":"2026-11-21T10:00:00.000Z","region":"cn-hangzhou","oss":{"bucket":{"name":"uploads","arn":""},"object":{"deltaSize":-1.5,"eTag":"0C","key":"a/b/c.parquet","size":1024,"userMeta":{"k":"v","n":[1,true,null]}},"ruleId":"r"},"xVars":{"x:a":"1","x:b":"2"}}]}"#,
    r#"{ "events" : [ { "eventName": "a", "oss": {"region": "inner", "object": {"key": "图片 é", "size": "77"}}, "region": null } , {"eventName": "second"} ] }  "#,
    r#"{"id":"1","specversion":"1.0","data":{"eventName":"x","oss":{"object":{"key":"k\"\n","size":7}}},"time":"2026-11-21T10:00:00Z"}"#,
    r#"{"eventName":"alone","oss":{"bucket":"no object","object":null,"object":{"size":1}},"eventName":"again"}"#,
    r#"{"eventName":7,"eventTime":"never","oss":{"object":{"size":"?"}}}"#,
    r#"{"eventName":"77","region":"1.5","oss":{"bucket":{"name":"-8"},"object":{"eTag":"123456789012","key":"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"}}}"#,
    r#"{"events":[],"eventName":"x"}"#,
    r#"{"events":[7]}"#,
    r#"{"events":[{"event":"x"}]}"#,
    r#"{"events":7,"eventName":"x"}"#,
    r#"{"data":{"event":"x"}}"#,
];

fn factory(columns: &str, events: OssEvents, options: &[(&str, &str)]) -> Arc<dyn DecoderFactory> {
    let options = options.iter().map(|(k, v)| (format!("json.{k}"), (*v).to_owned())).collect();
    OssFactory::create(&columns.parse().expect("columns"), &options, events).expect("a good table")
}

/// What changes: a byte, or as many as fit of a longer piece.
const PIECES: &[&str] = &[
    "\"",
    "\\",
    ",",
    ":",
    "0",
    "9",
    "-",
    "e",
    " ",
    "é",
    "}",
    "]",
    "{",
    "null",
    "\\u00e9",
    "12345678901234567890",
    "\u{1}",
];

fn changed(body: &str, changes: &[(prop::sample::Index, usize, bool)]) -> Vec<u8> {
    let mut bytes = body.as_bytes().to_vec();
    for (at, piece, replaces) in changes {
        let at = at.index(bytes.len() + 1);
        let piece = PIECES[piece % PIECES.len()].as_bytes();
        let end = if *replaces { (at + piece.len()).min(bytes.len()) } else { at };
        bytes.splice(at..end, piece.iter().copied());
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_was_met_before_changes_nothing(
        columns in prop::sample::select(&COLUMNS[..]),
        all: bool,
        salvage: bool,
        ignore: bool,
        strict: bool,
        met in prop::collection::vec((
            0..BODIES.len(),
            1..4usize,
            prop::collection::vec((any::<prop::sample::Index>(), any::<usize>(), any::<bool>()), 0..3),
        ), 1..8),
    ) {
        let options: &[(&str, &str)] = match (ignore, strict) {
            (true, _) => &[("ignore-parse-errors", "true")],
            (_, true) => &[("fail-on-missing-field", "true")],
            _ => &[],
        };
        let factory = factory(columns, if all { OssEvents::All } else { OssEvents::First }, options);
        let on_bad = if salvage { OnBadRow::Salvage } else { OnBadRow::Fail };
        let mut old = factory.decoder();
        for (body, times, changes) in met {
            for time in 0..times {
                // Two values that change, so that others are known not to.
                let met = BODIES[body].replace("cn-", &format!("{time}-")).replace("1024", &format!("{time}"));
                let _ = old.decode(met.as_bytes(), on_bad);
            }
            let (body, mut new) = (changed(BODIES[body], &changes), factory.decoder());
            old.flush();
            let text = body.escape_ascii();
            prop_assert_eq!(old.decode(&body, on_bad), new.decode(&body, on_bad), "{}", text);
            prop_assert_eq!((old.rows(), old.bytes()), (new.rows(), new.bytes()), "{}", text);
            prop_assert_eq!(old.flush(), new.flush(), "{}", text);
        }
    }
}
