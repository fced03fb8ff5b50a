//! Bodies to Arrow, as the queue source does it: decoded one by one, and handed out as a batch when it is full.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use headwater_formats::{DecoderFactory, Format, OnBadRow, RowType};
use headwater_oss::{OssEvents, OssFactory};

use crate::bodies::{KINDS, Kind};
use crate::cpu_time::CpuTime;
use crate::{BATCH, per_message};

/// When a batch is full: the defaults of the queue source, whichever comes first.
const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 1 << 20;

fn factory(kind: &Kind) -> Arc<dyn DecoderFactory> {
    let columns: RowType = kind.columns.parse().expect("good columns");
    match kind.oss {
        true => OssFactory::create(&columns, &BTreeMap::new(), OssEvents::First).expect("known columns"),
        false => Format::named(kind.format).factory(&columns).expect("a good table"),
    }
}

/// Every kind of message, its part of the batch included.
pub(crate) fn formats(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("decode");
    for kind in KINDS {
        let bodies: Vec<Vec<u8>> = (0..BATCH).map(|number| kind.plain(number)).collect();
        let mut decoder = factory(kind).decoder();
        for body in &bodies {
            let decoded = decoder.decode(body, OnBadRow::Fail).expect("a good body");
            assert!(decoded.bad.is_empty(), "{}", kind.name);
        }
        let rows = decoder.flush();
        assert_eq!(rows.num_rows(), bodies.len(), "{}", kind.name);
        let filled = rows.columns().iter().filter(|column| column.null_count() == 0).count();
        assert_eq!(filled, rows.num_columns(), "every column of {} is read", kind.name);
        group.throughput(Throughput::Bytes(bodies.iter().map(Vec::len).sum::<usize>() as u64 / BATCH));
        group.bench_function(kind.name, |bencher| {
            per_message(bencher, BATCH, || {
                for body in &bodies {
                    let _ = black_box(decoder.decode(black_box(body), OnBadRow::Fail));
                }
                if decoder.rows() >= BATCH_ROWS || decoder.bytes() >= BATCH_BYTES {
                    black_box(decoder.flush());
                }
            });
        });
        decoder.flush();
    }
}
