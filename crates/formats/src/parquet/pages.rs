//! The pages of one row group, checked and then handed to the library, which reads no byte of the file itself.

use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::Type as Physical;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};

use super::footer::unreadable;
use super::page::{PageInfo, codec, corrupt};
use crate::DecodeError;
use crate::columnar::{Codec, broken, exceeds};

/// Pages may have this many times the bytes that decoded rows may: a page holds each TINYINT in four bytes, and
/// entries of dictionaries that no row refers to.
const PAGES_TO_ROWS: usize = 4;

/// What the pages of a file may still take.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    /// Bytes of pages, decompressed.
    pages: usize,
    /// Bytes of values as Arrow holds them, at least.
    values: usize,
}

impl Budget {
    pub(super) fn new(decoded_bytes: usize) -> Self {
        Self { limit: decoded_bytes, pages: decoded_bytes.saturating_mul(PAGES_TO_ROWS), values: decoded_bytes }
    }

    fn take(&mut self, page: &PageInfo, width: usize) -> Result<(), DecodeError> {
        let over = || exceeds("decoded_bytes", self.limit);
        // A page without content still costs the time to read its header.
        self.pages = self.pages.checked_sub(page.size.saturating_add(64)).ok_or_else(over)?;
        if page.is_data() {
            self.values((page.values as usize).saturating_mul(width))?;
        }
        Ok(())
    }

    fn values(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.values = self.values.checked_sub(bytes).ok_or_else(|| exceeds("decoded_bytes", self.limit))?;
        Ok(())
    }
}

/// One row group of a file, its needed columns alone.
#[derive(Debug)]
pub(super) struct RowGroup<'a> {
    metadata: &'a ParquetMetaData,
    index: usize,
    rows: usize,
    columns: Vec<Chunk>,
}

#[derive(Debug, Clone)]
struct Chunk {
    body: Bytes,
    codec: Option<Codec>,
    pages: Arc<Vec<PageInfo>>,
}

impl<'a> RowGroup<'a> {
    /// Finds and checks the pages of these leaves. `rows` is what the metadata says and was checked.
    pub(super) fn new(
        body: &Bytes,
        metadata: &'a ParquetMetaData,
        index: usize,
        rows: usize,
        leaves: &[usize],
        budget: &mut Budget,
    ) -> Result<Self, DecodeError> {
        let group = metadata.row_group(index);
        let mut columns = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let column = group.columns().get(*leaf).ok_or_else(|| {
                broken(format!("the Parquet file is corrupt: row group {index} lacks columns of the schema"))
            })?;
            let path = column.column_path().string();
            columns.push(Chunk::new(body, column, rows, budget).map_err(|error| error.within(&path))?);
        }
        Ok(Self { metadata, index, rows, columns })
    }
}

impl Chunk {
    fn new(body: &Bytes, column: &ColumnChunkMetaData, rows: usize, budget: &mut Budget) -> Result<Self, DecodeError> {
        if column.file_path().is_some() {
            return Err(broken("the column is in another file, which a message cannot bring along"));
        }
        let codec = codec(column.compression()).map_err(broken)?;
        let position = |offset: i64| usize::try_from(offset).ok();
        let data = position(column.data_page_offset());
        let dictionary = column.dictionary_page_offset().filter(|offset| *offset > 0).map(position);
        // Some writers give an offset of a dictionary that is not there.
        let start = dictionary.map_or(data, |offset| offset.min(data));
        let end = start.and_then(|start| start.checked_add(position(column.compressed_size())?));
        let (Some(mut at), Some(end)) = (start, end.filter(|end| *end <= body.len())) else {
            return Err(broken("the Parquet file is corrupt or cut: the column's pages are outside of it"));
        };
        let levels = (column.column_descr().max_rep_level() > 0, column.column_descr().max_def_level() > 0);
        let width = width(column);
        let (mut pages, mut values) = (Vec::new(), 0usize);
        while at < end {
            let senseless = || broken("the Parquet file is corrupt: a page header makes no sense").at_byte(at);
            let (page, after) = PageInfo::read(body, at, end).ok_or_else(senseless)?;
            if page.is_dictionary() && (page.values as usize).saturating_mul(entry_width(column)) > page.size {
                return Err(senseless());
            }
            budget.take(&page, width)?;
            let text = page.text_bytes(body, codec, levels.0, levels.1);
            budget.values(text.map_err(|error| unreadable(&error).at_byte(at))?)?;
            values += if page.is_data() { page.values as usize } else { 0 };
            pages.push(page);
            at = after;
        }
        let plausible = if levels.0 { values >= rows } else { values == rows };
        if !plausible {
            return Err(broken(format!("the Parquet file is corrupt: {rows} rows, but {values} values")));
        }
        Ok(Self { body: body.clone(), codec, pages: Arc::new(pages) })
    }
}

/// The least that Arrow takes for a value, in bytes.
fn width(column: &ColumnChunkMetaData) -> usize {
    // Each element of a list has two numbers for where it belongs, while it is read.
    let least = if column.column_descr().max_rep_level() > 0 { 4 } else { 0 };
    let width = match column.column_type() {
        Physical::BOOLEAN => 0,
        // May be a TINYINT.
        Physical::INT32 => 1,
        Physical::FLOAT | Physical::BYTE_ARRAY => 4,
        Physical::INT64 | Physical::DOUBLE | Physical::INT96 => 8,
        Physical::FIXED_LEN_BYTE_ARRAY => usize::try_from(column.column_descr().type_length()).unwrap_or(0),
    };
    width.max(least)
}

/// The least that an entry of a dictionary takes in its page, in bytes.
fn entry_width(column: &ColumnChunkMetaData) -> usize {
    match column.column_type() {
        Physical::BOOLEAN => 1,
        Physical::INT32 | Physical::FLOAT | Physical::BYTE_ARRAY => 4,
        Physical::INT64 | Physical::DOUBLE => 8,
        Physical::INT96 => 12,
        Physical::FIXED_LEN_BYTE_ARRAY => usize::try_from(column.column_descr().type_length()).unwrap_or(0).max(1),
    }
}

impl RowGroups for RowGroup<'_> {
    fn num_rows(&self) -> usize {
        self.rows
    }

    fn column_chunks(&self, i: usize) -> ParquetResult<Box<dyn PageIterator>> {
        let chunk = self.columns.get(i).cloned().ok_or_else(|| corrupt("a column that is not read"))?;
        Ok(Box::new(OneChunk(Some(Box::new(Pages { chunk, next: 0 })))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.metadata.row_group(self.index)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.metadata
    }
}

struct OneChunk(Option<Box<dyn PageReader>>);

impl Iterator for OneChunk {
    type Item = ParquetResult<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for OneChunk {}

#[derive(Debug)]
struct Pages {
    chunk: Chunk,
    next: usize,
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> ParquetResult<Option<Page>> {
        while let Some(info) = self.chunk.pages.get(self.next) {
            self.next += 1;
            if let Some(page) = info.page(&self.chunk.body, self.chunk.codec)? {
                return Ok(Some(page));
            }
        }
        Ok(None)
    }

    fn peek_next_page(&mut self) -> ParquetResult<Option<PageMetadata>> {
        let next = self.chunk.pages[self.next..].iter().find(|page| page.is_data() || page.is_dictionary());
        Ok(next.map(|page| PageMetadata {
            num_rows: page.rows(),
            num_levels: page.is_data().then_some(page.values as usize),
            is_dict: page.is_dictionary(),
        }))
    }

    fn skip_next_page(&mut self) -> ParquetResult<()> {
        self.get_next_page().map(drop)
    }
}

impl Iterator for Pages {
    type Item = Result<Page, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}
