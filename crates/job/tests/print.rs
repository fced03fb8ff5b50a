//! The sinks that stage nothing: what they print, and what they refuse.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::{Int64Array, RecordBatch, StringArray};
use futures::executor::block_on;
use headwater_core::{CheckpointId, Committable, Delivery, JobContext, SinkFactory, SinkRequest};
use headwater_job::sinks::blackhole::BlackholeFactory;
use headwater_job::sinks::factories;
use headwater_job::sinks::print::PrintFactory;

#[derive(Clone, Default)]
struct Screen {
    text: Arc<Mutex<Vec<u8>>>,
    flushed: Arc<Mutex<usize>>,
    closed: bool,
}

impl Write for Screen {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.text.lock().unwrap().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        *self.flushed.lock().unwrap() = self.text.lock().unwrap().len();
        Ok(())
    }
}

impl Screen {
    fn shown(&self) -> String {
        let text = self.text.lock().unwrap();
        String::from_utf8(text[..*self.flushed.lock().unwrap()].to_vec()).unwrap()
    }
}

fn request(options: &[(&str, &str)]) -> SinkRequest {
    SinkRequest {
        table: "out".into(),
        columns: "id BIGINT NOT NULL, name STRING".parse().unwrap(),
        partitioned_by: Vec::new(),
        options: options.iter().copied().collect(),
        context: JobContext::new("job", Duration::from_secs(10)),
        lineage: "00aa".into(),
    }
}

fn rows() -> RecordBatch {
    let schema = request(&[]).columns.to_arrow();
    let names = StringArray::from(vec![Some("say \"hi\""), None]);
    RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![1, 2])), Arc::new(names)]).unwrap()
}

#[test]
fn rows_are_printed_as_json_and_flushed_at_once() {
    let (out, err) = (Screen::default(), Screen::default());
    let factory = PrintFactory::new(out.clone(), err.clone());
    let mut sink = block_on(factory.create(&request(&[]))).unwrap();
    assert_eq!(sink.delivery(), Delivery::AtLeastOnce);
    block_on(sink.recover(&[])).unwrap();
    block_on(sink.write(&rows())).unwrap();
    assert_eq!(out.shown(), "{\"id\":1,\"name\":\"say \\\"hi\\\"\"}\n{\"id\":2,\"name\":null}\n");
    assert_eq!(block_on(sink.pre_commit(CheckpointId(1))).unwrap(), None);
    block_on(sink.close()).unwrap();
    let options = [("standard-error", "true"), ("print-identifier", "a")];
    let mut sink = block_on(factory.create(&request(&options))).unwrap();
    block_on(sink.write(&rows())).unwrap();
    assert_eq!(err.shown().lines().nth(1), Some("a> {\"id\":2,\"name\":null}"));
}

#[test]
fn a_reader_that_has_ended_is_named() {
    let closed = Screen { closed: true, ..Screen::default() };
    let factory = PrintFactory::new(closed, Screen::default());
    let mut sink = block_on(factory.create(&request(&[]))).unwrap();
    let error = block_on(sink.write(&rows())).unwrap_err();
    assert!(error.to_string().contains("its reader has ended"), "{error}");
}

#[test]
fn what_another_connector_left_to_commit_is_refused() {
    let left = Committable { checkpoint: CheckpointId(7), bytes: b"x"[..].into() };
    for factory in factories() {
        let mut request = request(&[]);
        if factory.connector() == "filesystem" {
            let scratch = tempfile::tempdir().unwrap();
            request.options.insert("path", scratch.path().to_str().unwrap());
            request.options.insert("format", "json");
            let mut sink = block_on_tokio(factory.create(&request)).unwrap();
            let error = block_on_tokio(sink.recover(std::slice::from_ref(&left))).unwrap_err();
            assert!(error.to_string().contains("checkpoint 7"), "{error}");
            continue;
        }
        let mut sink = block_on(factory.create(&request)).unwrap();
        for error in [block_on(sink.recover(std::slice::from_ref(&left))), block_on(sink.commit(&left))] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains("another connector") && error.contains('7'), "{error}");
        }
    }
}

fn block_on_tokio<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn options_are_checked_and_promises_have_numbers() {
    let print = PrintFactory::default();
    let mut wrong = request(&[("print-identifer", "x"), ("standard-error", "yes")]);
    wrong.partitioned_by = vec!["id".into()];
    let text = print.check(&wrong).unwrap_err().to_string();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains("did you mean `print-identifier`"), "{text}");
    assert!(BlackholeFactory.check(&request(&[("path", "x")])).is_err());
    let check = print.check(&request(&[])).unwrap();
    assert!(check.guarantee.contains("10s"), "{}", check.guarantee);
    assert_eq!(BlackholeFactory.check(&request(&[])).unwrap().delivery, Delivery::AtLeastOnce);
}
