//! The format of simulated messages, each line of a body is a row of one text column; and the plan that the rows go through.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{Array, RecordBatch, StringArray};
use headwater_core::{BadRow, Batch, MessageRows, Plan, PlanError, PlanOutput, Processed, WallMs};
use headwater_formats::{DecodeError, DecodeErrorKind, Decoded, Decoder, DecoderFactory, OnBadRow, RowType};

use super::data::{BAD, FAILING, GARBAGE};

/// Makes decoders of lines.
#[derive(Debug)]
pub(crate) struct Lines(RowType);

impl Lines {
    pub(crate) fn new() -> Self {
        Self(columns())
    }
}

pub(crate) fn columns() -> RowType {
    "line STRING".parse().expect("a row type")
}

impl DecoderFactory for Lines {
    fn row_type(&self) -> &RowType {
        &self.0
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(LineDecoder { builder: StringBuilder::new(), rows: 0 })
    }
}

struct LineDecoder {
    builder: StringBuilder,
    rows: usize,
}

impl Decoder for LineDecoder {
    fn decode(&mut self, body: &[u8], on_bad: OnBadRow) -> Result<Decoded, DecodeError> {
        let text = String::from_utf8_lossy(body);
        let bad = || DecodeError::new(DecodeErrorKind::Value("is bad"));
        let is_bad = |line: &str| line.starts_with(BAD);
        if text.starts_with(GARBAGE) {
            return Err(bad());
        }
        if let (OnBadRow::Fail, Some(row)) = (on_bad, text.lines().position(is_bad)) {
            return Err(bad().at_row(row));
        }
        let mut decoded = Decoded::default();
        for (row, line) in text.lines().enumerate() {
            if is_bad(line) {
                decoded.bad.push(bad().at_row(row));
                continue;
            }
            self.builder.append_value(line);
            decoded.rows += 1;
        }
        self.rows += decoded.rows;
        Ok(decoded)
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn bytes(&self) -> usize {
        self.builder.values_slice().len()
    }

    fn flush(&mut self) -> RecordBatch {
        self.rows = 0;
        records(self.builder.finish())
    }
}

fn records(lines: StringArray) -> RecordBatch {
    RecordBatch::try_new(columns().to_arrow(), vec![Arc::new(lines)]).expect("one text column")
}

fn lines(records: &RecordBatch) -> &StringArray {
    records.column(0).as_any().downcast_ref().expect("one text column")
}

/// A batch without the rows of some of its messages, by their place in it.
pub(crate) fn without(batch: &Batch, dropped: &[usize]) -> Batch {
    let all = lines(batch.records());
    let mut kept = StringBuilder::new();
    let mut messages = Vec::with_capacity(batch.messages().len());
    let mut end = 0;
    for (at, message) in batch.messages().iter().enumerate() {
        let begin = end;
        if !dropped.contains(&at) {
            message.rows.clone().for_each(|row| kept.append_value(all.value(row)));
            end += message.rows.len();
        }
        messages.push(MessageRows { meta: message.meta.clone(), rows: begin..end });
    }
    Batch::new(records(kept.finish()), messages)
}

/// The plan that sends every row to every sink, but those on which it fails.
#[derive(Debug)]
pub(crate) struct Everywhere(Vec<PlanOutput>);

impl Everywhere {
    pub(crate) fn new(sinks: impl IntoIterator<Item = String>) -> Self {
        let schema = columns().to_arrow();
        Self(sinks.into_iter().map(|sink| PlanOutput { sink, schema: Arc::clone(&schema) }).collect())
    }
}

impl Plan for Everywhere {
    fn outputs(&self) -> &[PlanOutput] {
        &self.0
    }

    fn process(&mut self, _input: usize, batch: &Batch, _now: WallMs) -> Result<Processed, PlanError> {
        let all = lines(batch.records());
        let failing: Vec<usize> = (0..all.len()).filter(|row| all.value(*row).ends_with(FAILING)).collect();
        let outputs = 0..self.0.len();
        let good = if failing.is_empty() {
            batch.records().clone()
        } else {
            records((0..all.len()).filter(|row| !failing.contains(row)).map(|row| Some(all.value(row))).collect())
        };
        let bad = |(row, output)| BadRow { row, output, expression: "f(line)".into(), cause: "it fails".into() };
        let bad = failing.iter().flat_map(|row| outputs.clone().map(|output| (*row, output))).map(bad).collect();
        Ok(Processed { rows: outputs.map(|output| (output, good.clone())).collect(), bad })
    }
}
