//! Files of another writer (PyArrow 26, which writes ORC with ORC's own C++ library), and the same rows as JSON.
//!
//! Both ORC files and both Parquet files hold the rows of `rows.json`, every type that the formats share, nested ones
//! and NULLs included. `zlib.orc` has dictionaries; `snappy.parquet` has dictionaries, INT96 timestamps and two row
//! groups; the other two are plain, with Parquet's pages of version 2.

pub(crate) mod tables;

/// The columns of the files.
pub(crate) const COLUMNS: &str = "flag BOOLEAN, tiny TINYINT, small SMALLINT, num INT, big BIGINT, f FLOAT, d DOUBLE, \
                           `dec` DECIMAL(20, 2), text STRING, bytes BYTES, `day` DATE, `at` TIMESTAMP(9), \
                           inst TIMESTAMP_LTZ(9), list ARRAY<INT>, `map` MAP<STRING, BIGINT>, \
                           `row` ROW<x INT, y ARRAY<ROW<z STRING>>>";

/// The rows as a list of JSON objects.
pub(crate) const ROWS: &[u8] = include_bytes!("rows.json");

/// The ORC files.
pub(crate) const ORC: [(&str, &[u8]); 2] =
    [("zlib.orc", include_bytes!("zlib.orc")), ("plain.orc", include_bytes!("plain.orc"))];

/// The Parquet files.
pub(crate) const PARQUET: [(&str, &[u8]); 2] =
    [("snappy.parquet", include_bytes!("snappy.parquet")), ("plain.parquet", include_bytes!("plain.parquet"))];

/// A file with some bytes changed, one after the other.
pub(crate) fn changed(file: &[u8], changes: &[(usize, u8)]) -> Vec<u8> {
    let mut file = file.to_vec();
    for (at, byte) in changes {
        let at = at % file.len();
        file[at] = *byte;
    }
    file
}
