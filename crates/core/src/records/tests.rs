//! A source that hands out what a test gives it.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;

use arrow_schema::SchemaRef;
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use futures::StreamExt;
use futures::executor::block_on;
use headwater_formats::{Format, OnBadRow, RowType};
use serde::Deserialize;

use super::*;
use crate::{Delivery, Handle, JobState, Message, MessageKey, MessageRows, StoreErrorKind, WallMs};

#[derive(Debug, Default)]
struct Script {
    events: VecDeque<Event>,
    calls: Vec<String>,
}

#[async_trait]
impl Source for Script {
    fn schema(&self) -> SchemaRef {
        RowType::default().to_arrow()
    }
    fn delivery(&self) -> Delivery {
        Delivery::ExactlyOnce
    }
    fn guarantee(&self) -> String {
        "exactly-once".into()
    }
    fn identity(&self) -> String {
        "script".into()
    }
    async fn restore(&mut self, id: CheckpointId, _: SourceState) -> Result<(), SourceError> {
        self.calls.push(format!("restore {id}"));
        Ok(())
    }
    async fn next(&mut self) -> Result<Option<Event>, SourceError> {
        Ok(self.events.pop_front())
    }
    fn reject(&mut self, message: &MessageMeta, reason: BadRecord) -> Result<(), SourceError> {
        self.calls.push(format!("reject {}: {reason}", message.id));
        Ok(())
    }
    fn retry_later(&mut self, message: &MessageMeta, delay: Duration) -> Result<(), SourceError> {
        self.calls.push(format!("retry {} after {delay:?}", message.id));
        Ok(())
    }
    async fn checkpoint(&mut self, id: CheckpointId) -> Result<SourceState, SourceError> {
        self.checkpoint_before(id, &[]).await
    }
    async fn checkpoint_before(&mut self, id: CheckpointId, later: &[MessageKey]) -> Result<SourceState, SourceError> {
        let names: Vec<_> = ["a", "b", "c", "d"].into_iter().filter(|m| later.contains(&MessageKey::of(m))).collect();
        self.calls.push(format!("checkpoint {id} before {names:?}"));
        Ok(SourceState::new(self.identity(), Vec::new()))
    }
    async fn commit(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        self.calls.push(format!("commit {id}"));
        Ok(())
    }
    async fn abort(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        self.calls.push(format!("abort {id}"));
        Ok(())
    }
    async fn stop(&mut self) {}
    async fn drain(&mut self, _: Duration) -> Result<DrainReport, SourceError> {
        Ok(DrainReport::default())
    }
    fn status(&self) -> SourceStatus {
        SourceStatus::default()
    }
}

/// A batch of messages, each an id and its body.
fn batch(columns: &str, messages: &[(&str, &str)]) -> Event {
    let factory = Format::json().factory(&columns.parse().unwrap()).unwrap();
    let mut decoder = factory.decoder();
    let mut from = 0;
    let mut rows = Vec::new();
    for (id, body) in messages {
        decoder.decode(body.as_bytes(), OnBadRow::Fail).unwrap();
        let message = Message::new(*id, Handle::new("h"), bytes::Bytes::new());
        let meta = MessageMeta::of(&message, &Arc::from("q"), WallMs(0));
        rows.push(MessageRows { meta, rows: from..decoder.rows() });
        from = decoder.rows();
    }
    Event::Batch(Batch::new(decoder.flush(), rows))
}

fn script(events: impl IntoIterator<Item = Event>) -> Script {
    Script { events: events.into_iter().collect(), calls: Vec::new() }
}

#[derive(Debug, Deserialize, PartialEq)]
struct Number {
    n: i64,
}

type Numbers = Records<Script, Number>;

/// Three messages of two, no and one row, then an announcement, then one more message.
fn numbers() -> Numbers {
    let messages = [("a", r#"[{"n": 1}, {"n": 2}]"#), ("b", "[]"), ("c", r#"{"n": 3}"#)];
    let due = Event::CheckpointDue(DueReason::Interval);
    script([batch("n BIGINT", &messages), due, batch("n BIGINT", &[("d", r#"{"n": 4}"#)])]).records()
}

#[test]
fn a_message_that_is_given_back_takes_its_other_rows_along() {
    let mut records = numbers();
    let Some(RecordEvent::Record(Ok(first))) = block_on(records.next()).unwrap() else { panic!("a record") };
    records.reject(&first.message, BadRecord::new("no such customer").at_row(0)).unwrap();
    assert!(matches!(block_on(records.checkpoint(CheckpointId(1))), Err(CutError::InsideMessage { .. })));
    records.retry_later(&first.message, Duration::from_secs(5)).unwrap();
    block_on(records.checkpoint(CheckpointId(1))).unwrap();
    assert_eq!(take(&mut records).as_deref(), Some("c0=3."), "row 1 of message a is passed over");
    records.retry_later(&first.message, Duration::from_secs(5)).unwrap();
    let calls = &records.source_mut().calls;
    let expected =
        ["reject a: row 0: no such customer", "retry a after 5s", r#"checkpoint 1 before ["c"]"#, "retry a after 5s"];
    assert_eq!(*calls, expected);
}

fn take(records: &mut Numbers) -> Option<String> {
    let event = block_on(records.next()).unwrap()?;
    Some(match event {
        RecordEvent::Record(Ok(record)) => {
            let last = if record.last { "." } else { "" };
            format!("{}{}={}{last}", record.message.id, record.row, record.value.n)
        }
        RecordEvent::Record(Err(error)) => error.to_string(),
        RecordEvent::CheckpointDue(reason) => reason.as_str().to_owned(),
    })
}

#[test]
fn the_barrier_cuts_behind_the_last_message_that_is_whole() {
    let mut records = numbers();
    let cut = |records: &mut Numbers, id| match block_on(records.checkpoint(CheckpointId(id))) {
        Ok(_) => records.source_mut().calls.pop().unwrap(),
        Err(error) => error.to_string(),
    };
    assert_eq!(cut(&mut records, 1), "checkpoint 1 before []");
    assert_eq!(take(&mut records).unwrap(), "a0=1");
    let inside = cut(&mut records, 2);
    assert!(inside.starts_with("message a has 1 more rows"), "{inside}");
    assert_eq!(take(&mut records).unwrap(), "a1=2.");
    assert_eq!(cut(&mut records, 3), r#"checkpoint 3 before ["c"]"#, "b has no row and goes with a");
    assert_eq!(take(&mut records).unwrap(), "c0=3.");
    assert_eq!(cut(&mut records, 4), "checkpoint 4 before []");
    assert_eq!(take(&mut records).unwrap(), "interval");
    assert_eq!(take(&mut records).unwrap(), "d0=4.");
    assert_eq!(take(&mut records), None);
}

#[test]
fn a_batch_of_which_nothing_was_returned_is_of_the_next_epoch() {
    let first = batch("n BIGINT", &[("b", "[]"), ("a", r#"{"n": 1}"#)]);
    let mut records: Numbers = script([]).records();
    let Event::Batch(batch) = first else { panic!() };
    records.open = Some(Open::new(batch));
    block_on(records.checkpoint(CheckpointId(1))).unwrap();
    assert_eq!(records.source_mut().calls, [r#"checkpoint 1 before ["a"]"#]);
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only reading them matters")]
struct Limits {
    limits: BTreeMap<String, Vec<Limit>>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only reading them matters")]
struct Limit {
    most: u8,
}

#[test]
fn the_keys_of_a_map_are_data_and_in_no_error() {
    let columns = "limits MAP<STRING, ARRAY<ROW<most INT>>>";
    let body = r#"{"limits": {"ann@example.com": [{"most": 1}], "bob@example.com": [{"most": 2}, {"most": 300}]}}"#;
    let mut records: Records<_, Limits> = script([batch(columns, &[("a", body)])]).records();
    let Some(RecordEvent::Record(Err(error))) = block_on(records.next()).unwrap() else { panic!("300 is no u8") };
    assert_eq!(error.column(), "limits{}[1].most");
    assert!(!error.to_string().contains("example"), "{error}");
}

#[derive(Debug, Deserialize, PartialEq)]
struct Order {
    id: u8,
    items: Vec<Item>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Item {
    price: f64,
}

#[test]
fn a_row_that_does_not_fit_is_an_error_with_its_place_and_the_next_goes_on() {
    let columns = "id BIGINT, items ARRAY<ROW<price DOUBLE>>";
    let body = r#"[{"id": 1, "items": []}, {"id": 300, "items": []}, {"id": 2, "items": [{"price": 1}, {"price": null}]},
        {"id": null}, {"id": 3, "items": [{"price": 0.5}]}]"#;
    let mut records: Records<_, Order> =
        script([batch(columns, &[("a", r#"{"id": 0, "items": []}"#), ("b", body)])]).records();
    let mut seen = Vec::new();
    while let Some(RecordEvent::Record(record)) = block_on(records.next()).unwrap() {
        seen.push(match record {
            Ok(record) => format!("{:?}", record.value),
            Err(error) => {
                assert!(std::error::Error::source(&error).is_some());
                assert!(!error.to_string().contains("300"), "no content: {error}");
                format!("{} {} {}", error.message().unwrap().id, error.row(), error.column())
            }
        });
    }
    let good = |id, items: &str| format!("Order {{ id: {id}, items: [{items}] }}");
    assert_eq!(
        seen,
        [
            good(0, ""),
            good(1, ""),
            "b 1 id".into(),
            "b 2 items[1].price".into(),
            "b 3 id".into(),
            good(3, "Item { price: 0.5 }")
        ]
    );
    // A column that is not there at all.
    let mut records: Numbers = script([batch("m BIGINT", &[("a", r#"{"m": 1}"#)])]).records();
    assert_eq!(take(&mut records).unwrap(), "message a, row 0: the row does not fit the record's type");
    assert!(block_on(records.checkpoint(CheckpointId(1))).is_ok(), "a bad row is a row that was returned");
}

#[derive(Debug, Deserialize, PartialEq)]
struct Everything {
    boolean: bool,
    tiny: u64,
    float: f32,
    decimal: String,
    text: String,
    side: Side,
    bytes: Vec<u8>,
    date: NaiveDate,
    time: NaiveTime,
    at: NaiveDateTime,
    at_text: String,
    instant: DateTime<Utc>,
    nanos: NaiveDateTime,
    millis: i64,
    tags: Vec<Option<String>>,
    counts: BTreeMap<String, i32>,
    bag: BTreeMap<String, i32>,
    nested: Option<Number>,
    none: Option<Number>,
    void: Option<bool>,
}

#[derive(Debug, Deserialize, PartialEq)]
enum Side {
    Buy,
    Sell,
}

#[test]
fn every_type_of_column_has_its_type_of_field() {
    let columns = "boolean BOOLEAN, tiny TINYINT, float FLOAT, `decimal` DECIMAL(10, 2), text STRING, side STRING, \
        bytes BYTES, `date` DATE, `time` TIME(3), at TIMESTAMP(3), at_text TIMESTAMP(3), instant TIMESTAMP_LTZ(3), \
        nanos TIMESTAMP(9), millis TIMESTAMP(3), tags ARRAY<STRING>, counts MAP<STRING, INT>, bag MULTISET<STRING>, \
        nested ROW<n BIGINT>, `none` ROW<n BIGINT>, void BOOLEAN, ignored STRING";
    let body = r#"{"boolean": true, "tiny": 7, "float": 1.5, "decimal": -12.3, "text": "x", "side": "Sell", "bytes": "AQI=",
        "date": "2024-02-29", "time": "12:34:56.789", "at": "2024-02-29 12:34:56.789", "at_text": "2024-02-29 12:34:56",
        "instant": "2024-02-29 12:34:56Z", "nanos": "2024-02-29 12:34:56.123456789", "millis": "1970-01-01 00:00:01",
        "tags": ["a", null], "counts": {"k": 1}, "bag": {"e": 2}, "nested": {"n": 5}, "none": null, "ignored": "y"}"#;
    let mut records: Records<_, Everything> = script([batch(columns, &[("a", body)])]).records();
    let Some(RecordEvent::Record(Ok(record))) = block_on(records.next()).unwrap() else { panic!("a record") };
    let day = NaiveDate::from_ymd_opt(2024, 2, 29).unwrap();
    let at = |nanos| day.and_hms_nano_opt(12, 34, 56, nanos).unwrap();
    assert_eq!(
        record.value,
        Everything {
            boolean: true,
            tiny: 7,
            float: 1.5,
            decimal: "-12.30".into(),
            text: "x".into(),
            side: Side::Sell,
            bytes: vec![1, 2],
            date: day,
            time: at(789_000_000).time(),
            at: at(789_000_000),
            at_text: "2024-02-29T12:34:56".into(),
            instant: at(0).and_utc(),
            nanos: at(123_456_789),
            millis: 1_000,
            tags: vec![Some("a".into()), None],
            counts: BTreeMap::from([("k".into(), 1)]),
            bag: BTreeMap::from([("e".into(), 2)]),
            nested: Some(Number { n: 5 }),
            none: None,
            void: None,
        }
    );
    assert_ne!(record.value.side, Side::Buy);
}

#[test]
fn columns_are_learnt_from_the_type() {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct Shape {
        a: u64,
        b: Option<u8>,
        side: Side,
        counts: BTreeMap<String, Vec<f32>>,
    }
    assert_eq!(
        row_type_of::<Shape>().unwrap().to_string(),
        "`a` BIGINT NOT NULL, `b` SMALLINT, `side` STRING NOT NULL, \
         `counts` MAP<STRING NOT NULL, ARRAY<FLOAT NOT NULL> NOT NULL> NOT NULL"
    );
    assert!(row_type_of::<BTreeMap<String, i32>>().is_err());
    assert!(row_type_of::<i32>().is_err());
}

/// A store that fails when it is told to.
#[derive(Default)]
struct Store {
    saved: Vec<u64>,
    failures: usize,
    next: u64,
}

#[async_trait]
impl CheckpointStore for Store {
    async fn newest(&mut self) -> Result<Option<JobState>, StoreError> {
        Ok(self.saved.last().map(|id| JobState {
            checkpoint: CheckpointId(*id),
            sources: vec![SourceState::new("script".into(), Vec::new())],
            pending: Vec::new(),
        }))
    }
    fn next_id(&self) -> CheckpointId {
        CheckpointId(self.next + 1)
    }
    async fn save(&mut self, state: &JobState) -> Result<(), StoreError> {
        self.next = state.checkpoint.0;
        if self.failures > 0 {
            self.failures -= 1;
            return Err(StoreError::new(StoreErrorKind::Io, "the disk is full"));
        }
        self.saved.push(state.checkpoint.0);
        Ok(())
    }
}

fn streamed(records: &mut Numbers, store: &mut Store) -> Vec<String> {
    let items = block_on(records.stream(store).collect::<Vec<_>>());
    items.into_iter().map(|item| item.map_or_else(|e| e.to_string(), |number| number.n.to_string())).collect()
}

#[test]
fn a_stream_saves_when_it_is_due_and_at_its_end() {
    let (mut records, mut store) = (numbers(), Store::default());
    assert_eq!(block_on(records.resume(&mut store)).unwrap(), None);
    assert_eq!(streamed(&mut records, &mut store), ["1", "2", "3", "4"]);
    assert_eq!(store.saved, [1, 2]);
    assert_eq!(
        records.source_mut().calls,
        ["checkpoint 1 before []", "commit 1", "checkpoint 2 before []", "commit 2"]
    );
    let mut again = numbers();
    assert_eq!(block_on(again.resume(&mut store)).unwrap(), Some(CheckpointId(2)));
    assert_eq!(again.source_mut().calls, ["restore 2", "commit 2"]);
}

#[test]
fn a_failed_save_is_an_item_and_given_up() {
    let (mut records, mut store) = (numbers(), Store { failures: 1, ..Store::default() });
    assert_eq!(streamed(&mut records, &mut store), ["1", "2", "3", "the disk is full", "4"]);
    assert_eq!(records.source_mut().calls, ["checkpoint 1 before []", "abort 1", "checkpoint 2 before []", "commit 2"]);
    // The last save fails too: the stream ends nevertheless.
    let (mut records, mut store) = (numbers(), Store { failures: 9, ..Store::default() });
    assert_eq!(streamed(&mut records, &mut store).len(), 6);
}

#[test]
fn a_dropped_stream_loses_nothing() {
    let (mut records, mut store) = (numbers(), Store::default());
    {
        let mut stream = pin!(records.stream(&mut store));
        assert_eq!(block_on(stream.next()).unwrap().unwrap(), Number { n: 1 });
    }
    assert_eq!(streamed(&mut records, &mut store), ["2", "3", "4"]);
}
