//! `blackhole`: takes rows and drops them.

use async_trait::async_trait;
use headwater_core::{
    CheckpointId, Committable, Delivery, OptionErrors, Sink, SinkCheck, SinkError, SinkFactory, SinkRequest,
};
use headwater_formats::RowType;

use arrow_array::RecordBatch;

use super::options::Reading;
use super::{SinkOption, check_not_null};

/// There are none.
pub const OPTIONS: &[SinkOption] = &[];

/// Makes `blackhole` sinks.
#[derive(Clone, Copy, Debug, Default)]
pub struct BlackholeFactory;

#[async_trait]
impl SinkFactory for BlackholeFactory {
    fn connector(&self) -> &'static str {
        "blackhole"
    }

    fn check(&self, request: &SinkRequest) -> Result<SinkCheck, OptionErrors> {
        let mut reading = Reading::new(&request.options);
        reading.known(&[OPTIONS]);
        super::refuse_partitions(&mut reading, request);
        reading.finish()?;
        let guarantee =
            format!("`{}` drops every row; at-least-once, as after a crash some are counted again", request.table);
        Ok(SinkCheck { delivery: Delivery::AtLeastOnce, guarantee, notices: Vec::new() })
    }

    async fn create(&self, request: &SinkRequest) -> Result<Box<dyn Sink>, SinkError> {
        self.check(request).map_err(|errors| SinkError::new(errors.to_string()))?;
        Ok(Box::new(Blackhole { table: request.table.clone(), columns: request.columns.clone() }))
    }
}

/// The sink.
#[derive(Debug)]
struct Blackhole {
    table: String,
    columns: RowType,
}

#[async_trait]
impl Sink for Blackhole {
    fn delivery(&self) -> Delivery {
        Delivery::AtLeastOnce
    }

    async fn recover(&mut self, pending: &[Committable]) -> Result<(), SinkError> {
        super::refuse_pending(&self.table, "blackhole", pending)
    }

    async fn write(&mut self, records: &RecordBatch) -> Result<(), SinkError> {
        check_not_null(&self.table, &self.columns, records)
    }

    async fn pre_commit(&mut self, _id: CheckpointId) -> Result<Option<Committable>, SinkError> {
        Ok(None)
    }

    async fn commit(&mut self, committable: &Committable) -> Result<(), SinkError> {
        super::refuse_pending(&self.table, "blackhole", std::slice::from_ref(committable))
    }

    async fn close(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
