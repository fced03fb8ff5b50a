//! Notifications in every shape they come in, and what is none.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_formats::json::{JsonEncoder, JsonOptions};
use headwater_formats::{Decoder, DecoderFactory, OnBadRow, RowType};
use headwater_oss::{COLUMNS, OssEvents, OssFactory};
use proptest::prelude::*;
use serde_json::{Value, json};

fn factory(columns: &str, options: &[(&str, &str)], events: OssEvents) -> Result<Box<dyn Decoder>, String> {
    let columns: RowType = columns.parse().expect("columns");
    let options = options.iter().map(|(k, v)| (format!("json.{k}"), (*v).to_owned())).collect();
    OssFactory::create(&columns, &options, events).map(|f| f.decoder()).map_err(|e| e.to_string())
}

/// All nineteen columns, as they suit them best.
fn all_columns() -> String {
    COLUMNS.iter().map(|c| format!("{} {}", c.name, c.data_type)).collect::<Vec<_>>().join(", ")
}

fn rows_with(decoder: &mut dyn Decoder, body: &[u8]) -> Result<Vec<Value>, String> {
    decoder.decode(body, OnBadRow::Fail).map_err(|e| e.to_string())?;
    let batch = decoder.flush();
    let mut lines = Vec::new();
    let encoder = JsonEncoder::new(batch.schema_ref(), JsonOptions::default()).expect("types that JSON has");
    encoder.encode_lines(&batch, &mut lines).expect("the encoder's schema");
    Ok(lines
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).expect("JSON"))
        .collect())
}

fn rows(columns: &str, body: &[u8]) -> Result<Vec<Value>, String> {
    rows_with(&mut *factory(columns, &[], OssEvents::First)?, body)
}

/// An event as OSS sends it, `region` and its neighbours beside `oss`.
fn event() -> Value {
    json!({
        "eventName": "ObjectCreated:PutObject",
        "eventSource": "acs:oss",
        "eventTime": "2026-03-10T12:34:56.000Z",
        "eventVersion": "1.0",
        "oss": {
            "bucket": {
                "arn": "acs:oss:cn-hangzhou:1000000000000001:photos",
                "name": "photos",
                "ownerIdentity": "1000000000000001",
                "virtualBucket": ""
            },
            "object": {
                "deltaSize": -24,
                "eTag": "5B3C1A2E053D763E1B002CC607C5A0FE",
                "key": "图片/a b+c#1%2F.jpg",
                "objectMeta": {"mimeType": "image/jpeg", "userMeta": {"x-oss-meta-a": "b"}},
                "size": 1024
            },
            "ossSchemaVersion": "1.0",
            "ruleId": "new-photos",
            "xVars": {"x:task": "{\"id\":7}", "x:user": "u"}
        },
        "region": "cn-hangzhou",
        "requestParameters": {"sourceIPAddress": "198.51.100.7"},
        "responseElements": {"requestId": "5DDFF11A400155383182F60B"},
        "userIdentity": {"principalId": "200000000000000002"}
    })
}

/// What [`event`] is as a row of all columns.
fn row() -> Value {
    json!({
        "eventName": "ObjectCreated:PutObject",
        "eventSource": "acs:oss",
        "eventTime": "2026-03-10 12:34:56",
        "eventVersion": "1.0",
        "region": "cn-hangzhou",
        "ossBucketArn": "acs:oss:cn-hangzhou:1000000000000001:photos",
        "ossBucketName": "photos",
        "ossBucketOwnerIdentity": "1000000000000001",
        "ossBucketVirtualBucket": "",
        "ossObjectDeltaSize": -24,
        "ossObjectETag": "5B3C1A2E053D763E1B002CC607C5A0FE",
        "ossObjectKey": "图片/a b+c#1%2F.jpg",
        "ossObjectSize": 1024,
        "ossSchemaVersion": "1.0",
        "ossRuleId": "new-photos",
        "requestParametersSourceIPAddress": "198.51.100.7",
        "responseElementsRequestId": "5DDFF11A400155383182F60B",
        "userIdentityPrincipalId": "200000000000000002",
        "xVars": {"x:task": "{\"id\":7}", "x:user": "u"}
    })
}

/// The event with everything but its first fields moved into `oss`, as the documentation prints it.
fn event_as_documented() -> Value {
    let mut event = event();
    for name in ["region", "requestParameters", "responseElements", "userIdentity"] {
        let value = event.as_object_mut().and_then(|e| e.remove(name)).expect("a field of the event");
        event["oss"][name] = value;
    }
    event
}

fn cloud_event(data: &Value) -> Value {
    json!({"id": "1", "specversion": "1.0", "type": "oss:ObjectCreated:PutObject", "data": data, "time": "2026-03-10T12:34:56Z"})
}

#[test]
fn every_container_and_both_places_give_the_same_row() {
    for event in [event(), event_as_documented()] {
        for body in [json!({"events": [event]}), cloud_event(&event), event.clone()] {
            let text = body.to_string();
            assert_eq!(rows(&all_columns(), text.as_bytes()), Ok(vec![row()]), "{text}");
            let base64 = STANDARD.encode(&text);
            assert_eq!(rows(&all_columns(), base64.as_bytes()), Ok(vec![row()]), "{text} in base64");
        }
    }
}

#[test]
fn columns_are_found_in_any_letter_case_and_order() {
    let body = json!({"events": [event()]}).to_string();
    let found =
        rows("OSSOBJECTSIZE STRING, eventname STRING, OssObjectSize DECIMAL(10, 1), xvars STRING", body.as_bytes());
    let vars = event()["oss"]["xVars"].to_string();
    let expected = json!({"OSSOBJECTSIZE": "1024", "eventname": "ObjectCreated:PutObject", "OssObjectSize": 1024.0, "xvars": vars});
    assert_eq!(found, Ok(vec![expected]));
}

#[test]
fn the_events_own_level_counts_first() {
    let columns = "region STRING, userIdentityPrincipalId STRING";
    for (event, region, principal) in [
        (json!({"region": "a", "oss": {"region": "b"}}), json!("a"), json!(null)),
        (json!({"oss": {"region": "b"}, "region": "a"}), json!("a"), json!(null)),
        (json!({"oss": {"region": "b"}, "region": null}), json!("b"), json!(null)),
        (json!({"region": null, "oss": {}}), json!(null), json!(null)),
        (json!({"oss": {"userIdentity": {"principalId": 7}}, "userIdentity": {}}), json!(null), json!("7")),
        (json!({"oss": {"userIdentity": null}, "userIdentity": {"principalId": 7}}), json!(null), json!("7")),
    ] {
        let expected = json!({"region": region, "userIdentityPrincipalId": principal});
        assert_eq!(rows(columns, event.to_string().as_bytes()), Ok(vec![expected]), "{event}");
    }
    // A key that comes again replaces what was below the earlier one.
    let twice = br#"{"oss":{"bucket":{"name":"a"},"object":{"key":"k"}},"oss":{"object":{"size":1}}}"#;
    let expected = json!({"ossBucketName": null, "ossObjectKey": null, "ossObjectSize": 1});
    assert_eq!(rows("ossBucketName STRING, ossObjectKey STRING, ossObjectSize INT", twice), Ok(vec![expected]));
}

#[test]
fn first_or_all_events() {
    let names = |events: OssEvents, body: &Value| {
        let mut decoder = factory("eventName STRING", &[], events).expect("a good table");
        let found = rows_with(&mut *decoder, body.to_string().as_bytes());
        found.map(|rows| rows.iter().map(|r| r["eventName"].as_str().unwrap_or("NULL").to_owned()).collect::<Vec<_>>())
    };
    let two = json!({"events": [{"eventName": "a"}, {"eventName": "b"}]});
    assert_eq!(names(OssEvents::First, &two), Ok(vec!["a".to_owned()]));
    assert_eq!(names(OssEvents::All, &two), Ok(vec!["a".to_owned(), "b".to_owned()]));
    for events in [OssEvents::First, OssEvents::All] {
        assert_eq!(names(events, &json!({"events": []})), Ok(vec![]));
        assert_eq!(
            names(events, &json!({"eventName": "ObjectInvented:Tomorrow"})),
            Ok(vec!["ObjectInvented:Tomorrow".to_owned()])
        );
    }
    assert!(names(OssEvents::All, &json!({"events": [{"eventName": "a"}, 7]})).is_err());
    assert_eq!(OssEvents::named("ALL"), Some(OssEvents::All));
    assert_eq!(OssEvents::named("last"), None);
}

#[test]
fn a_bad_event_among_good_ones_is_salvaged() {
    let mut decoder = factory("eventName STRING, ossObjectSize INT", &[], OssEvents::All).expect("a good table");
    let body = json!({"events": [{"eventName": "a"}, {"eventName": "b", "oss": {"object": {"size": "?"}}}, {}, {"eventName": "c"}]});
    let decoded = decoder.decode(body.to_string().as_bytes(), OnBadRow::Salvage).expect("salvage never fails");
    let bad: Vec<String> = decoded.bad.iter().map(ToString::to_string).collect();
    assert_eq!((decoded.rows, bad.len()), (2, 2), "{bad:?}");
    assert!(bad[0].contains("row 1, ") && bad[0].contains("`ossObjectSize`"), "{}", bad[0]);
    assert!(bad[1].contains("row 2, ") && bad[1].contains("neither `eventName` nor `oss`"), "{}", bad[1]);
    assert_eq!(decoder.flush().num_rows(), 2);
    assert!(decoder.decode(body.to_string().as_bytes(), OnBadRow::Fail).is_err());
    assert_eq!((decoder.rows(), decoder.bytes()), (0, 0));
}

#[test]
fn event_times() {
    for (t, options, text, value) in [
        ("TIMESTAMP(3)", &[][..], "2026-03-10T12:34:56.000Z", "2026-03-10 12:34:56"),
        ("TIMESTAMP(3)", &[], "2026-03-10T12:34:56", "2026-03-10 12:34:56"),
        ("TIMESTAMP", &[], "2026-03-10T20:34:56.5+08:00", "2026-03-10 12:34:56.5"),
        ("TIMESTAMP_LTZ(3)", &[], "2026-03-10T12:34:56Z", "2026-03-10 12:34:56Z"),
        ("TIMESTAMP_LTZ(9)", &[], "2026-03-10T12:34:56", "2026-03-10 12:34:56Z"),
        ("STRING", &[], "2026-03-10T12:34:56.000Z", "2026-03-10T12:34:56.000Z"),
        ("TIMESTAMP(3)", &[("timestamp-format.standard", "ISO-8601")], "2026-03-10T12:34:56Z", "2026-03-10 12:34:56"),
        ("TIMESTAMP(3)", &[("timestamp-format.standard", "SQL")], "2026-03-10 12:34:56", "2026-03-10 12:34:56"),
        (
            "TIMESTAMP(3)",
            &[("timestamp-format.pattern", "yyyy/MM/dd HH:mm")],
            "2026/03/10 12:34",
            "2026-03-10 12:34:00",
        ),
    ] {
        let mut decoder = factory(&format!("eventTime {t}"), options, OssEvents::First).expect("a good table");
        let body = json!({"eventName": "a", "eventTime": text}).to_string();
        assert_eq!(rows_with(&mut *decoder, body.as_bytes()), Ok(vec![json!({"eventTime": value})]), "{t} {text}");
    }
    let body = json!({"eventName": "a", "eventTime": "2026-03-10T12:34:56Z"}).to_string();
    let mut sql =
        factory("eventTime TIMESTAMP(3)", &[("timestamp-format.standard", "SQL")], OssEvents::First).expect("good");
    assert!(sql.decode(body.as_bytes(), OnBadRow::Fail).is_err());
    let named = json!({"eventName": "a", "eventTime": "2026-03-10T12:34:56Asia/Shanghai"}).to_string();
    assert!(rows("eventTime TIMESTAMP(3)", named.as_bytes()).is_err());
}

#[test]
fn numbers_may_be_strings_and_strings_numbers() {
    let body =
        json!({"oss": {"object": {"size": "1024", "deltaSize": " -5 "}, "bucket": {"ownerIdentity": 7}}}).to_string();
    let columns = "ossObjectSize BIGINT, ossObjectDeltaSize DOUBLE, ossBucketOwnerIdentity STRING";
    let expected = json!({"ossObjectSize": 1024, "ossObjectDeltaSize": -5.0, "ossBucketOwnerIdentity": "7"});
    assert_eq!(rows(columns, body.as_bytes()), Ok(vec![expected]));
}

#[test]
fn missing_fields_and_bad_values_obey_the_json_options() {
    let body = br#"{"eventName":"a","oss":{"object":{"size":"?"},"bucket":"b"}}"#;
    let columns = "eventName STRING, ossObjectSize INT, ossBucketName STRING, ossRuleId STRING";
    let error = rows(columns, body).expect_err("a bad size");
    assert_eq!(error, "row 0, byte 41, column `ossObjectSize`: a string that is no integer, expected INT");
    let error = rows("ossBucketName STRING", body).expect_err("a bucket that is no object");
    assert!(error.contains("column `ossBucketName`: a value where the event has an object"), "{error}");
    let mut ignore = factory(columns, &[("ignore-parse-errors", "true")], OssEvents::First).expect("good");
    let expected = json!({"eventName": "a", "ossObjectSize": null, "ossBucketName": null, "ossRuleId": null});
    assert_eq!(rows_with(&mut *ignore, body), Ok(vec![expected]));
    for nothing in [&b"7"[..], b"{}", b"{\"events\":", br#"{"events":[7]}"#] {
        assert_eq!(rows_with(&mut *ignore, nothing), Ok(vec![]), "{}", nothing.escape_ascii());
    }
    let strict = |columns| factory(columns, &[("fail-on-missing-field", "true")], OssEvents::First).expect("good");
    let error = rows_with(&mut *strict("ossRuleId STRING"), body).expect_err("no rule");
    assert!(error.contains("column `ossRuleId`: the field is missing"), "{error}");
    let null = br#"{"eventName":null}"#;
    assert_eq!(rows_with(&mut *strict("eventName STRING"), null), Ok(vec![json!({"eventName": null})]));
}

#[test]
fn what_is_no_notification_is_refused_with_the_reason() {
    for (body, part) in [
        ("7", "the body is not a JSON object"),
        ("[]", "the body is not a JSON object"),
        ("{}", "the body is no OSS notification"),
        (r#"{"data":{"name":"test","scope":100}}"#, "`data` is no OSS event"),
        (r#"{"data":"text"}"#, "the body is no OSS notification"),
        (r#"{"events":{}}"#, "`events` is not a list"),
        (r#"{"events":[[]]}"#, "an element of `events` is no OSS event"),
        (r#"{"events":[{"eventName":"a"}]"#, "expected `,` or `}`"),
        (r#"{"events":[{"eventName":"a" "oss":{}}]}"#, "expected `,` or `}`"),
        ("bm90IEpTT04=", "a word that is not true, false or null"),
        ("", "the text ends where a JSON value is expected"),
    ] {
        let error = rows("eventName STRING", body.as_bytes()).expect_err(body);
        assert!(error.contains(part), "{body}: {error}");
    }
}

#[test]
fn a_table_is_checked_as_a_whole() {
    let given = [("ignore-parse-errors", "yes"), ("timestamp-format.pattern", "QQ")];
    let errors = factory("eventname STRING, ossObjectKeys STRING, eventTime DATE", &given, OssEvents::First).err();
    let errors = errors.expect("four mistakes");
    for part in ["'yes'", "'QQ'", "did you mean 'ossObjectKey'", "use TIMESTAMP(3), TIMESTAMP_LTZ(3) or STRING"] {
        assert!(errors.contains(part), "{errors}");
    }
    assert_eq!(errors.lines().count(), 4, "{errors}");
}

/// The row of an event computed another way: over a tree, path by path.
fn expected_row(event: &Value) -> Value {
    let row = COLUMNS.iter().map(|column| {
        let at =
            |root: &Value| column.path.iter().try_fold(root, |v, name| v.get(name)).filter(|v| !v.is_null()).cloned();
        let value = at(event).or_else(|| at(&event["oss"])).unwrap_or(Value::Null);
        let value = match (column.data_type, &value) {
            ("TIMESTAMP(3)", Value::String(time)) => {
                json!(time.trim_end_matches('Z').trim_end_matches(".000").replace('T', " "))
            }
            ("BIGINT", Value::String(number)) => json!(number.parse::<i64>().expect("a number")),
            ("STRING", Value::Number(number)) => json!(number.to_string()),
            _ => value,
        };
        (column.name.to_owned(), value)
    });
    row.collect::<serde_json::Map<_, _>>().into()
}

fn events_of(body: &Value) -> Vec<Value> {
    match (&body["events"], &body["data"]) {
        (Value::Array(events), _) => events.clone(),
        (_, data @ Value::Object(_)) => vec![data.clone()],
        _ => vec![body.clone()],
    }
}

/// Bodies collected from documentation and the wild, which are not part of this repository.
#[test]
fn collected_samples() {
    const BAD: [&str; 3] =
        ["bad_01_trailing_spaces_missing_comma.txt", "03_doc_non_rfc3339_time.json", "04_mns_queue_cloudevent.json"];
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/samples");
    if !samples.is_dir() {
        println!("skipped: no samples at {}", samples.display());
        return;
    }
    let mut decoder = factory(&all_columns(), &[], OssEvents::All).expect("a good table");
    let mut count = BTreeMap::from([("good", 0), ("bad", 0)]);
    for folder in ["oss", "eventbridge"] {
        for entry in std::fs::read_dir(samples.join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|n| n.to_str()).expect("a name").to_owned();
            let text = std::fs::read_to_string(&path).expect("text");
            let bodies: Vec<&str> = if name.ends_with(".jsonl") { text.lines().collect() } else { vec![&text] };
            for body in bodies {
                let found = rows_with(&mut *decoder, body.as_bytes());
                if BAD.contains(&name.as_str()) {
                    let error = found.expect_err(&name);
                    println!("{name}: {error}");
                    *count.entry("bad").or_default() += 1;
                    continue;
                }
                let body: Value = serde_json::from_str(body).expect(&name);
                let expected: Vec<Value> = events_of(&body).iter().map(expected_row).collect();
                assert_eq!(found, Ok(expected), "{name}");
                *count.entry("good").or_default() += 1;
            }
        }
    }
    println!("{count:?}");
    assert!(count["good"] > 20 && count["bad"] == 3, "{count:?}");
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(body in prop::collection::vec(any::<u8>(), 0..100), nearly in "[{}\\[\\]\":,a-eosvnt0-9 ]{0,60}") {
        for body in [&body[..], nearly.as_bytes(), format!("{{\"events\":[{nearly}]}}").as_bytes()] {
            let mut decoder = factory(&all_columns(), &[], OssEvents::All).expect("a good table");
            let failed = decoder.decode(body, OnBadRow::Fail).is_err();
            prop_assert!(!failed || decoder.rows() == 0);
            prop_assert!(decoder.decode(body, OnBadRow::Salvage).is_ok());
            let _ = decoder.flush();
        }
    }

    #[test]
    fn a_cut_body_is_an_error(cut in 1usize..800) {
        let body = json!({"events": [event()]}).to_string();
        prop_assume!(cut < body.len());
        let bytes = &body.as_bytes()[..cut];
        prop_assert!(rows(&all_columns(), bytes).is_err());
    }
}
