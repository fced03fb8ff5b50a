//! A queue in which everything lies side by side, read over HTTP: plain and encoded bodies, a topic's envelopes, a CloudEvent,
//! a pointer, and what is broken.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMillisecondType};
use headwater::formats::{BodyBuffers, BodyLayer, DataType, Format, MessageEncoding, OnBadRow};
use headwater::mns::EnvelopeMode;
use headwater::{Batch, CheckpointId, Credentials, Event, MetadataColumn, MnsSource, QueueSource, RowType, Source};
use headwater::{MnsSourceBuilder, SourceErrorKind};
use headwater_mns_proto::{NewMessage, message_body_md5};
use headwater_mns_server::{Server, ServerHandle};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

const QUEUE: &str = "orders";
const POINTER: &str = "#MNS_EXTENDED_OSS_MESSAGE_BODY#bucket-1:large-message-body-7f0c";

fn topic_json(message: &str) -> String {
    serde_json::json!({
        "TopicOwner": "1", "TopicName": "uploads", "Subscriber": "1", "SubscriptionName": "s", "MessageId": "T-json",
        "Message": message, "MessageMD5": message_body_md5(message), "PublishTime": "1642865171557",
    })
    .to_string()
}

fn topic_xml(message: &str) -> String {
    let md5 = message_body_md5(message);
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Notification xmlns=\"http://mns.aliyuncs.com/doc/v1/\"><TopicOwner>1</TopicOwner>\
         <TopicName>uploads</TopicName><Subscriber>1</Subscriber><SubscriptionName>s</SubscriptionName>\
         <MessageId>T-xml</MessageId><Message>{}</Message><MessageMD5>{md5}</MessageMD5><MessageTag>new</MessageTag>\
         <PublishTime>1642865171000</PublishTime></Notification>",
        message.replace('"', "&quot;")
    )
}

fn cloud_event(data: &str) -> String {
    format!(
        r#"{{"specversion": "1.0", "id": "e-1", "type": "demo", "source": "acs.demo", "subject": "a/b", "data": {data}}}"#
    )
}

fn metadata(key: &str, data_type: &str) -> MetadataColumn {
    let row: RowType = format!("c {data_type}").parse().expect("a type");
    let data_type: DataType = row.fields()[0].data_type.clone();
    MetadataColumn { name: key.replace('-', "_"), key: key.into(), data_type }
}

async fn server(bodies: &[String]) -> ServerHandle {
    let server = Server::builder().queue(QUEUE).start().await.expect("a free port");
    server.put(QUEUE, bodies.iter().map(NewMessage::new)).expect("the queue is there");
    server
}

fn table(server: &ServerHandle, columns: &str, format: Format) -> MnsSourceBuilder {
    MnsSource::builder()
        .endpoint(server.endpoint())
        .queue(QUEUE)
        .credentials(Credentials::key("testid", "testsecret"))
        .schema(columns.parse().expect("columns"))
        .format(format)
        .option("pollingWaitTime", "1s")
}

/// Batches until so many messages have been handed out.
async fn take(source: &mut QueueSource, messages: usize) -> Vec<Batch> {
    let (mut batches, mut checkpoint) = (Vec::new(), 0);
    while source.status().uncommitted < messages as u64 {
        match source.next().await.expect("an event").expect("no end") {
            Event::Batch(batch) => batches.push(batch),
            Event::CheckpointDue(_) => checkpoint += 1,
            _ => {}
        }
        assert!(checkpoint < 100, "the messages do not come");
    }
    batches
}

/// Keeps every counter by name and all labels but those of the source.
#[derive(Clone, Default)]
struct Counters(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels = key.labels().filter(|label| !["job", "table", "queue"].contains(&label.key()));
        let name = labels.fold(key.name().to_owned(), |name, label| format!("{name} {}", label.value()));
        Counter::from_arc(Arc::clone(self.0.lock().expect("counters").entry(name).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

impl Counters {
    /// What begins so and was counted, without what it begins with.
    fn counted(&self, prefix: &str) -> Vec<(String, u64)> {
        let counters = self.0.lock().expect("counters");
        let of = |(name, value): (&String, &Arc<AtomicU64>)| {
            Some((name.strip_prefix(prefix)?.trim().to_owned(), value.load(Ordering::Relaxed)))
        };
        counters.iter().filter_map(of).filter(|(_, value)| *value > 0).collect()
    }
}

#[tokio::test]
async fn a_mixed_queue_gives_rows_metadata_and_counts() {
    let bodies = [
        r#"{"id": 1}"#.to_owned(),
        "eyJpZCI6IDJ9".into(), // {"id": 2}
        topic_xml(r#"{"id": 3}"#),
        topic_json("eyJpZCI6IDR9"), // {"id": 4}
        topic_json(r#"[{"id": 5}, {"id": 6}]"#),
        POINTER.into(),
        topic_xml("x").replace("</PublishTime>", "</MessagePublishTime>"),
        topic_json("x").replace("\"x\"", "\"y\""),
        // Not opened by `auto`: its own `id` is the row's, which is no number.
        cloud_event(r#"{"id": 7}"#),
    ];
    let server = server(&bodies).await;
    let counters = Counters::default();
    let mut source = {
        let build = table(&server, "id BIGINT", Format::json())
            .option("badRecords", "skip")
            .metadata(metadata("topic-name", "STRING"))
            .metadata(metadata("topic-message-id", "STRING"))
            .metadata(metadata("message-tag", "STRING"))
            .metadata(metadata("publish-time", "TIMESTAMP_LTZ(3)"))
            .metadata(metadata("ce-id", "STRING"))
            .build();
        let _guard = metrics::set_default_local_recorder(&counters);
        build.await.expect("a source")
    };
    let batches = take(&mut source, bodies.len()).await;
    let mut rows = Vec::new();
    for batch in &batches {
        let records = batch.records();
        let text = |column: usize, row: usize| {
            let column = records.column(column).as_string::<i32>();
            column.iter().nth(row).flatten().unwrap_or("-").to_owned()
        };
        for row in 0..records.num_rows() {
            let id = records.column(0).as_primitive::<Int64Type>().value(row);
            let time = records.column(4).as_primitive::<TimestampMillisecondType>().iter().nth(row).flatten();
            rows.push((id, [1, 2, 3, 5].map(|column| text(column, row)).join(" "), time.unwrap_or(0)));
        }
        let enveloped = batch.messages().iter().filter(|message| message.meta.envelope.is_some()).count();
        assert!(enveloped <= 3);
    }
    rows.sort();
    let json = ("uploads T-json - -".to_owned(), 1_642_865_171_557);
    assert_eq!(
        rows,
        [
            (1, "- - - -".to_owned(), 0),
            (2, "- - - -".to_owned(), 0),
            (3, "uploads T-xml new -".to_owned(), 1_642_865_171_000),
            (4, json.0.clone(), json.1),
            (5, json.0.clone(), json.1),
            (6, json.0, json.1),
        ]
    );
    let counted = |prefix| counters.counted(prefix);
    let as_text =
        |pairs: Vec<(String, u64)>| pairs.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(", ");
    assert_eq!(
        as_text(counted("headwater_bodies_total")),
        "base64 none=1, base64 topic-json=1, raw none=2, raw topic-json=1, raw topic-xml=1"
    );
    assert_eq!(as_text(counted("headwater_refused_bodies_total")), "envelope=2, oversized-pointer=1");
    assert_eq!(as_text(counted("headwater_deserialization_errors_total")), "=4");
    // Bad ones were skipped: with the rest they are committed, and the queue is empty then.
    source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    source.commit(CheckpointId(1)).await.expect("a commit");
    source.drain(Duration::from_secs(20)).await.expect("a drain");
    assert_eq!(server.deleted(QUEUE).len(), bodies.len());
    server.shutdown().await;
}

#[tokio::test]
async fn cloud_events_are_opened_where_they_are_named() {
    let bodies = [
        cloud_event(r#"{"id": 1}"#),
        r#"{"specversion": "1.0", "id": "e-2", "type": "demo", "source": "s", "data_base64": "eyJpZCI6IDJ9"}"#.into(),
        r#"{"specversion": "1.0", "id": "e-3", "type": "demo", "source": "s"}"#.into(),
    ];
    let server = server(&bodies).await;
    let build = table(&server, "id BIGINT", Format::json())
        .option("envelope", "cloudevents")
        .metadata(metadata("ce-id", "STRING"))
        .metadata(metadata("ce-subject", "STRING"))
        .build();
    let mut source = build.await.expect("a source");
    let mut rows = Vec::new();
    for batch in take(&mut source, bodies.len()).await {
        let records = batch.records();
        for row in 0..records.num_rows() {
            let id = records.column(0).as_primitive::<Int64Type>().value(row);
            let text = |column: usize| records.column(column).as_string::<i32>().iter().nth(row).flatten();
            rows.push(format!("{id} {} {}", text(1).unwrap_or("-"), text(2).unwrap_or("-")));
        }
    }
    rows.sort();
    assert_eq!(rows, ["1 e-1 a/b", "2 e-2 -"], "an event without data gives no row");
    source.drain(Duration::from_secs(20)).await.expect("a drain");
    server.shutdown().await;
}

#[tokio::test]
async fn oss_events_are_read_through_a_topic() {
    // {"events":[{"eventName":"ObjectCreated:PutObject","oss":{"object":{"key":"a.jpg"}}}]}
    let event = "eyJldmVudHMiOlt7ImV2ZW50TmFtZSI6Ik9iamVjdENyZWF0ZWQ6UHV0T2JqZWN0Iiwib3NzIjp7Im9iamVjdCI6eyJrZXkiOiJhLmpwZyJ9fX1dfQ==";
    let bodies = [event.to_owned(), topic_json(event), topic_xml(event)];
    let server = server(&bodies).await;
    let build = table(&server, "ossObjectKey STRING", Format::json())
        .option("messageType", "OSS")
        .metadata(metadata("topic-name", "STRING"))
        .build();
    let mut source = build.await.expect("a source");
    let mut rows = Vec::new();
    for batch in take(&mut source, bodies.len()).await {
        let [key, topic] = [0, 1].map(|column| batch.records().column(column).as_string::<i32>().clone());
        rows.extend(key.iter().zip(&topic).map(|(key, topic)| (key.map(str::to_owned), topic.map(str::to_owned))));
    }
    rows.sort();
    let (key, topic) = (Some("a.jpg".to_owned()), Some("uploads".to_owned()));
    assert_eq!(rows, [(key.clone(), None), (key.clone(), topic.clone()), (key, topic)]);
    source.drain(Duration::from_secs(20)).await.expect("a drain");
    server.shutdown().await;
}

#[tokio::test]
async fn a_pointer_fails_the_source_by_name_unless_bodies_are_left_alone() {
    let server = server(&[POINTER.to_owned()]).await;
    let mut source = table(&server, "text STRING", Format::raw()).build().await.expect("a source");
    let error = source.next().await.expect_err("a pointer is no message");
    assert_eq!(error.kind, SourceErrorKind::BadData);
    let text = error.to_string();
    for part in ["message ", "queue orders", "pointer to an oversized message", "lies in OSS", "'envelope' to none"] {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
    assert!(!text.contains("bucket-1"), "no content of the body: {text}");
    source.drain(Duration::from_secs(20)).await.expect("a drain");
    assert_eq!(server.deleted(QUEUE).len(), 0, "it stays in the queue");

    let alone =
        table(&server, "text STRING", Format::raw()).option("messageEncoding", "raw").option("envelope", "none");
    let mut source = alone.build().await.expect("a source");
    let batches = take(&mut source, 1).await;
    assert_eq!(batches[0].records().column(0).as_string::<i32>().value(0), POINTER);
    source.drain(Duration::from_secs(20)).await.expect("a drain");
    server.shutdown().await;
}

/// Envelopes collected from documentation and the wild, which are not part of this repository.
#[test]
fn collected_samples() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/samples/envelope");
    if !samples.is_dir() {
        println!("SKIPPED: no samples at {}", samples.display());
        return;
    }
    let columns: RowType = "events ARRAY<ROW<eventName STRING>>".parse().expect("columns");
    let factory = Format::json().factory(&columns).expect("a format");
    let encoding = MessageEncoding::Auto;
    let layer = BodyLayer::new(encoding, EnvelopeMode::Auto.opener(encoding, &columns));
    let mut buffers = BodyBuffers::default();
    for (file, envelope) in [
        ("oss_event_base64.txt", None),
        ("topic_to_queue_json.json", Some("topic-json")),
        ("topic_to_queue_xml.xml", Some("topic-xml")),
    ] {
        let body = std::fs::read(samples.join(file)).expect(file);
        let opened = layer.open(&body, &*factory, &mut buffers).expect(file);
        assert_eq!(opened.envelope().map(|kind| kind.name()), envelope, "{file}");
        let mut decoder = factory.decoder();
        decoder.decode(opened.body.expect("a body"), OnBadRow::Fail).expect(file);
        assert_eq!(decoder.rows(), 1, "{file}");
    }
    let broken = std::fs::read(samples.join("topic_to_queue_xml_doc_broken.xml")).expect("the broken one");
    let error = layer.open(&broken, &*factory, &mut buffers).expect_err("it is broken").to_string();
    assert!(error.contains("not well-formed XML"), "{error}");
}
