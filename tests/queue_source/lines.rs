//! The smallest format: each line of a body is a row of one text column. The line `bad` cannot be decoded, the line `panic`
//! panics, and the line `blow` is a row of a thousand bytes.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::builder::StringBuilder;
use headwater_formats::{DecodeError, DecodeErrorKind, Decoded, Decoder, DecoderFactory, OnBadRow, RowType};

#[derive(Debug)]
pub(crate) struct Lines {
    row_type: RowType,
    capacity: usize,
}

impl Lines {
    pub(crate) fn factory() -> Arc<dyn DecoderFactory> {
        Self::capped(usize::MAX)
    }

    /// Decoders that hold at most so many bytes.
    pub(crate) fn capped(capacity: usize) -> Arc<dyn DecoderFactory> {
        Arc::new(Self { row_type: "line STRING".parse().expect("a row type"), capacity })
    }
}

impl DecoderFactory for Lines {
    fn row_type(&self) -> &RowType {
        &self.row_type
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(LineDecoder {
            schema: self.row_type.to_arrow(),
            builder: StringBuilder::new(),
            rows: 0,
            capacity: self.capacity,
        })
    }
}

struct LineDecoder {
    schema: arrow_schema::SchemaRef,
    builder: StringBuilder,
    rows: usize,
    capacity: usize,
}

impl Decoder for LineDecoder {
    fn decode(&mut self, body: &[u8], on_bad: OnBadRow) -> Result<Decoded, DecodeError> {
        let text = String::from_utf8_lossy(body);
        if self.bytes() + body.len() > self.capacity {
            return Err(DecodeError::new(DecodeErrorKind::BufferFull));
        }
        let mut decoded = Decoded::default();
        let bad = |row| DecodeError::new(DecodeErrorKind::Value("is bad")).at_row(row).within("line");
        if let (OnBadRow::Fail, Some(row)) = (on_bad, text.lines().position(|line| line == "bad")) {
            return Err(bad(row));
        }
        for (row, line) in text.lines().enumerate() {
            match line {
                "bad" => {
                    decoded.bad.push(bad(row));
                    continue;
                }
                "panic" => panic!("the decoder panics as the test wants it"),
                "blow" => self.builder.append_value("x".repeat(1_000)),
                line => self.builder.append_value(line),
            }
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
        RecordBatch::try_new(Arc::clone(&self.schema), vec![column]).expect("one text column")
    }
}
