//! The inputs: schemas, bodies, and what Flink does with them.

use std::error::Error;
use std::path::Path;

use headwater_formats::OnBadRow;

use super::avro::{self, Beside};

/// The messages of an input, or why there are none.
pub(crate) type Bodies = Result<Vec<Vec<u8>>, Box<dyn Error>>;

/// Makes a library that decodes the same messages by itself.
pub(crate) type MakeBeside = fn(&Path) -> Result<Beside, Box<dyn Error>>;

/// One input. Flink's speed was measured once, on another machine, beside the same yardstick; only the ratio travels.
pub(crate) struct Input {
    /// Its name in the report.
    pub(crate) name: &'static str,
    /// The format's name.
    pub(crate) format: &'static str,
    /// The columns, all of which are built.
    pub(crate) columns: &'static str,
    /// The messages, which are decoded in order, over and over.
    pub(crate) bodies: fn(&Path) -> Bodies,
    /// What a bad row does to its message.
    pub(crate) on_bad: OnBadRow,
    /// The generated file whose lines `json.loads` reads meanwhile.
    pub(crate) yardstick: &'static str,
    /// Flink's rows per second over the yardstick's; 0 where nobody measured it.
    pub(crate) flink: f64,
    /// The same messages without the bad rows, where there are such: nine tenths of their speed is the goal.
    pub(crate) clean: Option<fn(&Path) -> Bodies>,
    /// A library that decodes the same messages by itself: its time, and half as much again, is the goal.
    pub(crate) beside: Option<MakeBeside>,
}

/// The columns of the flat inputs.
pub(crate) const FLAT: &str = "order_id STRING, user_id BIGINT, sku STRING, quantity INT, price DOUBLE, discount DECIMAL(10,2), \
    paid BOOLEAN, created_at TIMESTAMP(3), ship_date DATE, note STRING";

const NESTED: &str = "event_id STRING, event_time TIMESTAMP(3), `source` ROW<`app` STRING, `host` STRING, `pid` INT>, \
    `user` ROW<`id` BIGINT, `name` STRING, `vip` BOOLEAN, `address` ROW<`city` STRING, `zip` STRING, `lat` DOUBLE, \
    `lon` DOUBLE>>, `items` ARRAY<ROW<`sku` STRING, `qty` INT, `price` DECIMAL(10,2), `tags` ARRAY<STRING>>>, \
    `headers` MAP<STRING,STRING>, `tags` ARRAY<STRING>, `total` DECIMAL(12,2), `ok` BOOLEAN, `comment` STRING";

const WIDE: &str = "id STRING, i0 BIGINT, i1 BIGINT, i2 BIGINT, i3 BIGINT, i4 BIGINT, i5 BIGINT, i6 BIGINT, i7 BIGINT, \
    i8 BIGINT, i9 BIGINT, d0 DOUBLE, d1 DOUBLE, d2 DOUBLE, d3 DOUBLE, d4 DOUBLE, d5 DOUBLE, t0 TIMESTAMP(3), \
    t1 TIMESTAMP(3), dt DATE, m0 DECIMAL(10,2), m1 DECIMAL(10,2), m2 DECIMAL(10,2), m3 DECIMAL(10,2), b0 BOOLEAN, \
    b1 BOOLEAN, arr ARRAY<INT>, r ROW<x INT, y STRING>, s0 STRING, s1 STRING, s2 STRING, s3 STRING, s4 STRING, \
    s5 STRING, s6 STRING, s7 STRING, s8 STRING, s9 STRING, s10 STRING, s11 STRING";

const BASE: Input = Input {
    name: "json_flat",
    format: "json",
    columns: FLAT,
    bodies: |dir| lines(dir, "json_flat.txt"),
    on_bad: OnBadRow::Fail,
    yardstick: "json_flat.txt",
    flink: 2.4,
    clean: None,
    beside: None,
};

/// What is measured, one line for each. The factors: Flink decodes json_flat 2.4 times as fast as json.loads reads it,
/// json_nested 2.2 times, and csv_flat at 0.91 and csv_wide at 0.26 of its speed on json_flat.
pub(crate) const INPUTS: &[Input] = &[
    BASE,
    Input {
        name: "json_flat_bad",
        bodies: |dir| spoilt(lines(dir, "json_flat.txt")?),
        flink: 0.0,
        clean: Some(|dir| lines(dir, "json_flat.txt")),
        ..BASE
    },
    Input { name: "json_lists", bodies: |dir| lists(lines(dir, "json_flat.txt")?), flink: 0.0, ..BASE },
    Input {
        name: "json_lists_bad",
        bodies: |dir| lists(spoilt(lines(dir, "json_flat.txt")?)?),
        on_bad: OnBadRow::Salvage,
        flink: 0.0,
        clean: Some(|dir| lists(lines(dir, "json_flat.txt")?)),
        ..BASE
    },
    Input {
        name: "json_nested",
        columns: NESTED,
        bodies: |dir| lines(dir, "json_nested.txt"),
        yardstick: "json_nested.txt",
        flink: 2.2,
        ..BASE
    },
    Input { name: "csv_flat", format: "csv", bodies: |dir| lines(dir, "csv_flat.txt"), flink: 2.4 * 0.91, ..BASE },
    Input {
        name: "csv_wide",
        format: "csv",
        columns: WIDE,
        bodies: |dir| lines(dir, "csv_wide.txt"),
        flink: 2.4 * 0.26,
        ..BASE
    },
    Input {
        name: "avro_flat",
        format: "avro",
        bodies: avro::bodies,
        flink: 0.0,
        beside: Some(avro::arrow_avro),
        ..BASE
    },
];

fn lines(dir: &Path, file: &str) -> Bodies {
    let text = std::fs::read(dir.join(file))?;
    Ok(text.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect())
}

/// Every thousandth message gets a value that does not fit; over as many messages as make whole thousands.
fn spoilt(good: Vec<Vec<u8>>) -> Bodies {
    let mut bodies: Vec<Vec<u8>> = good.iter().cycle().take(8_000).cloned().collect();
    for body in bodies.iter_mut().skip(500).step_by(1_000) {
        let text = String::from_utf8(std::mem::take(body))?;
        *body = text.replacen("\"quantity\":", "\"quantity\":\"many\",\"was\":", 1).into_bytes();
    }
    Ok(bodies)
}

/// Sixteen rows to a message.
fn lists(bodies: Vec<Vec<u8>>) -> Bodies {
    Ok(bodies.chunks_exact(16).map(|rows| [b"[", &rows.join(&b","[..])[..], b"]"].concat()).collect())
}
