//! The `mns` connector's options: everything wrong at once, by name; defaults; what is never shown.

use std::time::Duration;

use headwater::{
    JobContext, MnsSource, MnsSourceFactory, Options, RowType, SourceErrorKind, SourceFactory, SourceRequest,
};

fn request(options: &[(&str, &str)]) -> SourceRequest {
    SourceRequest {
        table: "orders".into(),
        columns: "id BIGINT, name STRING".parse::<RowType>().expect("a row type"),
        metadata: Vec::new(),
        options: options.iter().copied().collect::<Options>(),
        context: JobContext::new("job", Duration::from_secs(10)),
    }
}

const GOOD: [(&str, &str); 5] = [
    ("endpoint", "http://123456789.mns.cn-hangzhou.aliyuncs.com"),
    ("queueName", "orders"),
    ("accessKeyId", "id"),
    ("accessKeySecret", "hunter2"),
    ("format", "json"),
];

fn with(more: &[(&'static str, &'static str)]) -> SourceRequest {
    let mut options = GOOD.to_vec();
    options.retain(|(name, _)| !more.iter().any(|(n, _)| n == name));
    options.extend_from_slice(more);
    request(&options)
}

fn errors(request: &SourceRequest) -> Vec<String> {
    match MnsSourceFactory::new().check(request) {
        Ok(check) => panic!("accepted: {check:?}"),
        Err(errors) => errors.0.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn pollers_that_would_take_each_other_s_permits_are_told_of() {
    let notices = |pollers, batch, undeleted| {
        let request = with(&[("pollers", pollers), ("batchSize", batch), ("undeletedMax", undeleted)]);
        let notices = MnsSourceFactory::new().check(&request).expect("good options").notices;
        notices.into_iter().filter(|notice| notice.contains("`undeletedMax`")).collect::<Vec<_>>()
    };
    for (pollers, batch, undeleted) in [("64", "16", "1024"), ("4", "16", "64"), ("1", "1", "1")] {
        assert_eq!(notices(pollers, batch, undeleted), [""; 0], "{pollers} × {batch} fit into {undeleted}");
    }
    for (pollers, batch, undeleted, product, fewer) in
        [("64", "16", "1023", "= 1024", "Use 63 or fewer"), ("2", "16", "10", "= 32", "Use 1 or fewer")]
    {
        let said = notices(pollers, batch, undeleted).join("\n");
        let most = format!("`undeletedMax` is {undeleted}");
        for part in [product, fewer, most.as_str()] {
            assert!(said.contains(part), "`{part}` is missing in: {said}");
        }
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let wrong = [
        ("endpoint", "ftp://example.com"),
        ("queueName", "bad name"),
        ("accessKeyId", "id"),
        ("batchsize", "16"),
        ("batchSize", "17"),
        ("pollingWaitTime", "31s"),
        ("messageEncoding", "base32"),
        ("json.ignore-parse-error", "true"),
        ("format", "json"),
    ];
    let errors = errors(&request(&wrong));
    for part in [
        "`endpoint`",
        "`queueName` is `bad name`",
        "`accessKeySecret` is missing beside `accessKeyId`",
        "`batchsize` is no option here; did you mean `batchSize`?",
        "`batchSize` is `17`: it takes a whole number from 1 to 16",
        "`pollingWaitTime` is `31s`: it takes a duration from 0 s to 30 s",
        "`messageEncoding` is `base32`: it takes one of auto, base64, raw",
        "did you mean 'json.ignore-parse-errors'?",
    ] {
        assert!(errors.iter().any(|e| e.contains(part)), "`{part}` is missing in {errors:#?}");
    }
    assert_eq!(errors.len(), 8, "{errors:#?}");
}

#[test]
fn what_is_required_is_named() {
    let errors = errors(&request(&[]));
    assert_eq!(errors, ["`endpoint` is required", "`queueName` is required", "`format` is required"]);
}

#[test]
fn a_good_table_has_an_identity_and_a_word_on_its_cost() {
    let check = MnsSourceFactory::new().check(&with(&[])).expect("a good table");
    assert_eq!(check.identity, "123456789/orders");
    assert!(check.notices.iter().any(|n| n.contains("`batchSize` is 1")), "{:?}", check.notices);
    let check = MnsSourceFactory::new().check(&with(&[("batchSize", "16"), ("region", "cn-beijing")])).expect("good");
    assert_eq!(check.notices.len(), 1, "{:?}", check.notices);
    assert!(check.notices[0].contains("the endpoint decides"), "{:?}", check.notices);
}

#[test]
fn a_column_that_a_topics_envelope_may_have_is_mentioned() {
    for (columns, envelope, says) in [
        ("TopicName STRING, Message STRING", "auto", Some("so envelopes are left as they are")),
        ("Message STRING, PublishTime BIGINT", "auto", Some("the column `Message` is read from the message in")),
        ("Message STRING", "none", None),
        ("message STRING", "auto", None),
    ] {
        let mut request = with(&[("batchSize", "16"), ("envelope", envelope)]);
        request.columns = columns.parse().expect("columns");
        let notices = MnsSourceFactory::new().check(&request).expect("a good table").notices;
        assert_eq!(notices.len(), usize::from(says.is_some()), "{columns}: {notices:?}");
        assert!(says.is_none_or(|says| notices[0].contains(says)), "{columns}: {notices:?}");
    }
}

#[test]
fn limits_are_checked_against_each_other() {
    let errors = errors(&with(&[("undeletedMax", "100"), ("checkpointMaxMessages", "101")]));
    assert_eq!(errors, ["`checkpointMaxMessages` must lie between 1 and undeletedMax (100)"]);
}

#[tokio::test]
async fn the_builder_says_it_too_and_shows_no_secret() {
    let builder = MnsSource::builder().option("accessKeySecret", "hunter2").option("accessKeyID", "x");
    assert!(!format!("{builder:?}").contains("hunter2"));
    let error = builder.build().await.expect_err("nothing is configured");
    assert_eq!(error.kind, SourceErrorKind::Configuration);
    let text = error.to_string();
    for part in ["`schema` is required", "`endpoint` is required", "`accessKeyID`", "did you mean `accessKeyId`?"] {
        assert!(text.contains(part), "`{part}` is missing in {text}");
    }
    assert!(!text.contains("hunter2"));
}

#[cfg(feature = "avro")]
#[test]
fn an_avro_schema_may_be_in_a_file() {
    let path = std::env::temp_dir().join(format!("headwater-mns-options-{}.avsc", std::process::id()));
    let fields = r#"[{"name":"id","type":"long"},{"name":"name","type":"string"}]"#;
    std::fs::write(&path, format!(r#"{{"type":"record","name":"R","fields":{fields}}}"#)).expect("a file");
    let value: &'static str = Box::leak(format!("file:{}", path.display()).into_boxed_str());
    let request = with(&[("format", "avro"), ("avro.schema", value)]);
    assert!(MnsSourceFactory::new().check(&request).is_ok());
    std::fs::write(&path, "{}").expect("a file");
    assert!(errors(&request)[0].contains("an Avro schema in JSON"));
    std::fs::remove_file(&path).expect("the file");
    let errors = errors(&request);
    assert!(errors[0].contains("cannot be read") && errors[0].contains(".avsc"), "{errors:?}");
}

#[test]
fn whether_bodies_are_verified_is_yes_or_no() {
    for value in ["true", "FALSE"] {
        assert!(MnsSourceFactory::new().check(&with(&[("verifyBodyMd5", value)])).is_ok(), "{value}");
    }
    assert_eq!(
        errors(&with(&[("verifyBodyMd5", "always")])),
        ["`verifyBodyMd5` is `always`: it takes one of true, false"]
    );
    let misspelt = errors(&with(&[("verifyBodyMD", "true")]));
    assert!(misspelt.len() == 1 && misspelt[0].contains("`verifyBodyMd5`"), "{misspelt:?}");
}

#[cfg(feature = "job")]
type Given = &'static [(&'static str, &'static str)];

#[cfg(feature = "job")]
#[test]
fn options_about_bad_data_are_checked_against_each_other() {
    const PATH: (&str, &str) = ("deadLetterPath", "/var/dead");
    const QUEUE: (&str, &str) = ("deadLetterQueue", "dead");
    const DEAD: (&str, &str) = ("badRecords", "dead-letter");
    let cases: [(Given, &[&str]); 12] = [
        (&[DEAD], &["`badRecords` is `dead-letter`, but nothing says where to"]),
        (&[DEAD, PATH, QUEUE], &["`deadLetterPath` and `deadLetterQueue` exclude each other"]),
        (&[PATH], &["`deadLetterPath` has nothing to take: `badRecords` is `fail`"]),
        (&[("badRecords", "skip"), QUEUE], &["`deadLetterQueue` has nothing to take: `badRecords` is `skip`"]),
        (&[DEAD, ("deadLetterQueue", "orders")], &["`deadLetterQueue` is the queue itself"]),
        (&[DEAD, ("deadLetterQueue", "a b")], &["`deadLetterQueue` is `a b`"]),
        (&[DEAD, ("deadLetterPath", "s3://bucket")], &["`deadLetterPath`"]),
        (
            &[("maxDequeueCount", "3")],
            &["`maxDequeueCount` sends messages to the dead letters, but nothing says where"],
        ),
        (&[("maxDequeueCount", "0"), PATH], &["`maxDequeueCount` is `0`"]),
        (&[("badRecordsMaxCount", "3")], &["`badRecordsMaxCount` is a budget"]),
        (
            &[("badRecords", "skip"), ("badRecordsMaxRatio", "1.5"), ("badRecordsMaxCount", "-1")],
            &["`badRecordsMaxRatio` is `1.5`: it takes a number from 0 to 1", "`badRecordsMaxCount` is `-1`"],
        ),
        (&[DEAD, ("badRecordsExcerpt", "maybe")], &["`badRecords` is", "`badRecordsExcerpt` is `maybe`"]),
    ];
    for (options, parts) in cases {
        let errors = errors(&with(options));
        assert_eq!(errors.len(), parts.len(), "{options:?}: {errors:#?}");
        for part in parts {
            assert!(errors.iter().any(|e| e.contains(part)), "`{part}` is missing in {errors:#?}");
        }
    }
    for (options, said) in [
        (&[DEAD, PATH][..], "directory /var/dead, each exactly once"),
        (&[DEAD, QUEUE], "queue dead, each at least once"),
        (&[PATH, ("maxDequeueCount", "3")], "exactly once"),
    ] {
        let check = MnsSourceFactory::new().check(&with(options)).expect("a good table");
        assert!(check.notices.iter().any(|notice| notice.contains(said)), "{:?}", check.notices);
    }
}
