//! Rows through the plan into the sinks, and what becomes of rows on which an expression fails.

use headwater_core::{BadRecord, BadRow, Batch, SourceErrorKind};

use super::{BadRows, Input, JobError, JobErrorKind, Progress, Runner};

/// Bad rows logged one by one before they are only counted: enough to find the cause, too few to flood a log.
const BAD_LOGGED: u64 = 20;

impl Runner {
    pub(super) async fn write(&mut self, input: usize, batch: &Batch) -> Result<(), JobError> {
        let processed = self.plan.process(input, batch, self.clock.wall())?;
        for bad in &processed.bad {
            self.bad_row(input, batch, bad)?;
        }
        for (output, records) in processed.rows {
            if records.num_rows() == 0 {
                continue;
            }
            let name = &self.plan.outputs()[output].sink;
            let Some((_, sink)) = self.sinks.iter_mut().find(|(sink, _)| sink == name) else { continue };
            sink.write(&records).await?;
            let rows = records.num_rows();
            *self.report.rows.entry(name.clone()).or_default() += rows as u64;
            let job = self.options.job.clone();
            metrics::counter!("headwater_sink_rows_total", "job" => job, "table" => name.clone())
                .increment(rows as u64);
            (self.observer)(&Progress::Rows { sink: name.clone(), rows });
        }
        Ok(())
    }

    fn bad_row(&mut self, input: usize, batch: &Batch, bad: &BadRow) -> Result<(), JobError> {
        let Input { table, source, bad_rows } = &mut self.inputs[input];
        let at = batch.messages().partition_point(|message| message.rows.end <= bad.row);
        let message = batch.messages().get(at);
        let row = bad.row - message.map_or(0, |message| message.rows.start);
        let meta = message.map(|message| &message.meta);
        let id = meta.map_or("unknown", |m| &m.id);
        let tries = meta.map_or(0, |m| m.dequeue_count);
        let sink = &self.plan.outputs()[bad.output].sink;
        let (expression, cause) = (&bad.expression, &bad.cause);
        if *bad_rows == BadRows::Fail {
            let text = format!(
                "table `{table}`: message {id} (delivered {tries} times), row {row} of it: `{expression}` for `{sink}` fails: \
                 {cause}. Nothing is lost: the message comes again. Mend the expression (TRY_CAST gives NULL instead of \
                 failing, COALESCE another value instead of NULL), or set `badRecords` to `skip` or `dead-letter`"
            );
            return Err(JobError::new(JobErrorKind::BadData, text));
        }
        self.report.bad_rows += 1;
        if self.report.bad_rows <= BAD_LOGGED {
            tracing::warn!(%table, message_id = %id, row, %expression, %sink, %cause, "bad row left out");
        }
        let Some(meta) = meta else { return Ok(()) };
        let text = format!("fails for `{sink}`: {cause}");
        let refused = source.reject(meta, BadRecord::new(text).at_row(row).in_column(expression));
        match refused {
            // Only its budget matters to a row that is skipped; a source without one has nothing to say.
            Err(error) if *bad_rows == BadRows::Skip && error.kind != SourceErrorKind::BadData => Ok(()),
            other => Ok(other?),
        }
    }
}
