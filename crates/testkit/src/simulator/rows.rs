//! The format of simulated messages: each line of a body is a row of one text column.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::builder::StringBuilder;
use headwater_core::{Batch, Plan, PlanError, PlanOutput, Processed, WallMs};
use headwater_formats::{DecodeError, Decoded, Decoder, DecoderFactory, OnBadRow, RowType};

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
        Box::new(LineDecoder { row_type: self.0.clone(), builder: StringBuilder::new(), rows: 0 })
    }
}

struct LineDecoder {
    row_type: RowType,
    builder: StringBuilder,
    rows: usize,
}

impl Decoder for LineDecoder {
    fn decode(&mut self, body: &[u8], _on_bad: OnBadRow) -> Result<Decoded, DecodeError> {
        let mut decoded = Decoded::default();
        for line in String::from_utf8_lossy(body).lines() {
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
        let column = Arc::new(self.builder.finish());
        RecordBatch::try_new(self.row_type.to_arrow(), vec![column]).expect("one text column")
    }
}

/// The plan that sends every row to every sink.
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
        Ok(Processed { rows: (0..self.0.len()).map(|out| (out, batch.records().clone())).collect(), bad: Vec::new() })
    }
}
