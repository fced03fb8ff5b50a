//! Values into columns: the walk along the plan.
//!
//! The first thing wrong ends the walk. What has been written of the row by then is taken back by the caller, who also
//! finds in [`Reader::misfit`] whether the source is still in step, so that the next row can be read.

use super::convert::{decimal, moment, push_text, push_uuid, time_of_micros};
use super::plan::{Branch, Read, RowPlan, To, Value};
use super::schema::{Kind, NodeId, ROOT, Schema};
use super::source::{Outcome, Source};
use crate::coerce::Reason;
use crate::column::{Column, Data, Row, Texts, VarBytes};
use crate::json::overridden_keys;
use crate::{DecodeError, DecodeErrorKind, Limits};

/// A schema and what its values become.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) schema: Schema,
    pub(super) plan: RowPlan,
}

/// What the walk needs besides source, plan and columns.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) limits: Limits,
    /// Bytes that the current message has added to the columns, approximately; rows taken back still count.
    pub(super) spent: usize,
    /// Whether the last error was a value that its column does not take, and not a source that cannot be read on.
    pub(super) misfit: bool,
}

impl Reader {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, spent: 0, misfit: false }
    }

    /// Accounts for bytes that are about to be written.
    #[inline]
    pub(super) fn spend(&mut self, bytes: usize) -> Outcome<()> {
        self.spent += bytes;
        let limit = self.limits.decoded_bytes.min(Limits::MAX_DECODED_BYTES);
        if self.spent > limit {
            return Err(DecodeError::new(DecodeErrorKind::Limit { name: "decoded_bytes", limit }));
        }
        Ok(())
    }

    /// Reads one row of the table.
    pub(super) fn row<S: Source>(&mut self, src: &mut S, compiled: &Compiled, row: &mut Row) -> Outcome<()> {
        self.misfit = false;
        self.spend(row.width)?;
        self.record(src, &compiled.schema, &compiled.plan, row)
    }

    /// Passes over a row.
    pub(super) fn skip_row<S: Source>(&mut self, src: &mut S, schema: &Schema) -> Outcome<()> {
        self.skip(src, schema, ROOT, 0)
    }

    fn record<S: Source>(&mut self, src: &mut S, schema: &Schema, plan: &RowPlan, row: &mut Row) -> Outcome<()> {
        src.begin_record()?;
        for step in &plan.steps {
            src.field(&step.name, &step.aliases).map_err(|e| e.within(&step.name))?;
            match &step.to {
                To::Column(i, value) => {
                    self.value(src, schema, value, &mut row.fields[*i]).map_err(|e| e.within(row.names.name(*i)))?
                }
                To::Nowhere(node) => self.skip(src, schema, *node, 0).map_err(|e| e.within(&step.name))?,
            }
            src.end_field();
        }
        for column in &plan.missing {
            row.fields[*column].append_null();
        }
        src.end_record();
        Ok(())
    }

    /// Reads a value into one more of its column. As much of it as has no values in it is part of who calls: that costs a value
    /// less than the calls would.
    #[inline(always)]
    fn value<S: Source>(&mut self, src: &mut S, schema: &Schema, value: &Value, column: &mut Column) -> Outcome<()> {
        let read = match value {
            Value::Plain(read) => return self.leaf(src, schema, read, column),
            Value::Nullable { null, labels, read } => {
                if src.branch(labels).map_err(|e| expecting(e, column))? == *null { &Read::Null } else { read }
            }
            Value::Union { labels, branches } => {
                let at = src.position();
                match &branches[src.branch(labels).map_err(|e| expecting(e, column))?] {
                    Branch::Read(read) => read,
                    Branch::Unfit(what) => return Err(self.misfit(what, at, column)),
                }
            }
        };
        self.leaf(src, schema, read, column)?;
        src.end_branch();
        Ok(())
    }

    #[inline(always)]
    fn leaf<S: Source>(&mut self, src: &mut S, schema: &Schema, read: &Read, column: &mut Column) -> Outcome<()> {
        let done = match read {
            Read::Null => {
                column.append_null();
                return src.null();
            }
            Read::Array(_) | Read::Map(_) | Read::Row(_) => self.container(src, schema, read, &mut column.data),
            _ => self.scalar(src, read, &mut column.data),
        };
        match done {
            Ok(Written::Value) => column.valid(),
            Ok(Written::Null) => column.append_null(),
            Ok(Written::Misfit(at, reason)) => return Err(self.misfit(reason, at, column)),
            Err(error) => return Err(expecting(error, column)),
        }
        Ok(())
    }

    #[inline(never)]
    fn container<S: Source>(&mut self, src: &mut S, schema: &Schema, read: &Read, data: &mut Data) -> Outcome<Written> {
        match (read, data) {
            (Read::Array(value), Data::Array { offsets, items }) => {
                self.array(src, schema, value, items)?;
                // Within 32 bits, see Limits::MAX_DECODED_BYTES.
                offsets.push(items.len() as i32);
            }
            (Read::Map(value), Data::Map { offsets, keys, values }) => {
                self.map(src, schema, value, keys, values)?;
                offsets.push(keys.len() as i32);
            }
            (Read::Row(plan), Data::Row(row)) => self.record(src, schema, plan, row)?,
            _ => unreachable!("the plan was made for this column"),
        }
        Ok(Written::Value)
    }

    #[inline(always)]
    fn scalar<S: Source>(&mut self, src: &mut S, read: &Read, data: &mut Data) -> Outcome<Written> {
        match (read, data) {
            (Read::String, Data::Text(values)) => {
                let text = src.string()?;
                self.spend(text.len())?;
                push_text(values, text);
            }
            (Read::Int, Data::Int(values) | Data::Date(values) | Data::Time(values)) => values.push(src.int()?),
            (Read::Long, Data::BigInt(values)) => values.push(src.long()?),
            (Read::Double, Data::Double(values)) => values.push(src.double()?),
            (Read::Boolean, Data::Boolean(values)) => values.append(src.boolean()?),
            (Read::Moment(unit), Data::Timestamp { precision, values, .. }) => {
                let at = src.position();
                match moment(src.long()?, *unit, *precision) {
                    Ok(value) => values.push(value),
                    Err(reason) => return Ok(Written::Misfit(at, reason)),
                }
            }
            (Read::Decimal { fixed, scale }, Data::Decimal { precision, scale: to, values }) => {
                let at = src.position();
                let bytes = match fixed {
                    Some(size) => src.fixed(*size)?,
                    None => src.bytes()?,
                };
                match decimal(bytes, *scale, *precision, *to) {
                    Ok(Some(value)) => values.push(value),
                    Ok(None) => return Ok(Written::Null),
                    Err(reason) => return Ok(Written::Misfit(at, reason)),
                }
            }
            // As Java's casts: what is too large wraps around.
            (Read::Int, Data::TinyInt(values)) => values.push(src.int()? as i8),
            (Read::Int, Data::SmallInt(values)) => values.push(src.int()? as i16),
            (Read::Int, Data::BigInt(values)) => values.push(src.int()?.into()),
            (Read::Int, Data::Float(values)) => values.push(src.int()? as f32),
            (Read::Int, Data::Double(values)) => values.push(src.int()?.into()),
            (Read::Long, Data::Float(values)) => values.push(src.long()? as f32),
            (Read::Long, Data::Double(values)) => values.push(src.long()? as f64),
            (Read::Float, Data::Float(values)) => values.push(src.float()?),
            (Read::Float, Data::Double(values)) => values.push(src.float()?.into()),
            (Read::TimeMicros, Data::Time(values)) => {
                let at = src.position();
                match time_of_micros(src.long()?) {
                    Ok(millis) => values.push(millis),
                    Err(reason) => return Ok(Written::Misfit(at, reason)),
                }
            }
            (read, Data::Text(values)) => return self.text(src, read, values),
            (read, Data::Bytes(values)) => return self.bytes(src, read, values),
            _ => unreachable!("the plan was made for this column"),
        }
        Ok(Written::Value)
    }

    fn text<S: Source>(&mut self, src: &mut S, read: &Read, values: &mut Texts) -> Outcome<Written> {
        match read {
            Read::Bytes => {
                let text = src.bytes()?;
                self.spend(text.len())?;
                push_text(values, text);
            }
            Read::Enum(symbols) => {
                let symbol = &symbols[src.symbol(symbols)?];
                self.spend(symbol.len())?;
                values.push(symbol.as_bytes());
            }
            Read::Uuid => {
                self.spend(36)?;
                push_uuid(values, src.fixed(16)?);
            }
            _ => unreachable!("the plan was made for this column"),
        }
        Ok(Written::Value)
    }

    fn bytes<S: Source>(&mut self, src: &mut S, read: &Read, values: &mut VarBytes) -> Outcome<Written> {
        let bytes = match read {
            Read::Bytes => src.bytes()?,
            Read::String => src.string()?,
            Read::Fixed(size) => src.fixed(*size)?,
            _ => unreachable!("the plan was made for this column"),
        };
        self.spend(bytes.len())?;
        values.push(bytes);
        Ok(Written::Value)
    }

    fn array<S: Source>(&mut self, src: &mut S, schema: &Schema, value: &Value, items: &mut Column) -> Outcome<()> {
        let start = items.len();
        let mut count = src.begin_array()?;
        while count > 0 {
            for _ in 0..count {
                self.spend(items.width)?;
                let index = items.len() - start;
                self.value(src, schema, value, items).map_err(|e| e.within(&format!("[{index}]")))?;
            }
            count = src.next_items()?;
        }
        Ok(())
    }

    fn map<S: Source>(
        &mut self,
        src: &mut S,
        schema: &Schema,
        value: &Value,
        keys: &mut Column,
        values: &mut Column,
    ) -> Outcome<()> {
        let (start, before) = (keys.len(), src.clone());
        self.entries(src, schema, value, keys, values, &[])?;
        let overridden = overridden_keys(keys, start);
        if !overridden.is_empty() {
            // The last value of a key counts: once more, without the earlier ones.
            keys.truncate(start);
            values.truncate(start);
            *src = before;
            self.entries(src, schema, value, keys, values, &overridden)?;
        }
        Ok(())
    }

    /// Reads the entries of a map but those whose numbers are listed, in order, to be left out.
    fn entries<S: Source>(
        &mut self,
        src: &mut S,
        schema: &Schema,
        value: &Value,
        keys: &mut Column,
        values: &mut Column,
        skip: &[usize],
    ) -> Outcome<()> {
        let mut entry = 0;
        let mut count = src.begin_map()?;
        while count > 0 {
            for _ in 0..count {
                self.spend(keys.width + values.width)?;
                let key = src.key()?;
                self.spend(key.len())?;
                let Data::Text(texts) = &mut keys.data else { unreachable!("the keys of an Avro map are strings") };
                push_text(texts, key);
                keys.valid();
                self.value(src, schema, value, values).map_err(|e| e.within("{}"))?;
                if skip.binary_search(&entry).is_ok() {
                    keys.truncate(keys.len() - 1);
                    values.truncate(values.len() - 1);
                }
                entry += 1;
            }
            count = src.next_entries()?;
        }
        Ok(())
    }

    /// Passes over a value that no column is for.
    fn skip<S: Source>(&mut self, src: &mut S, schema: &Schema, id: NodeId, depth: usize) -> Outcome<()> {
        let limit = self.limits.nesting;
        if depth > limit {
            return Err(DecodeError::new(DecodeErrorKind::Limit { name: "nesting", limit }));
        }
        match &schema.node(id).kind {
            Kind::Null => src.null()?,
            Kind::Boolean => drop(src.boolean()?),
            Kind::Int => drop(src.int()?),
            Kind::Long => drop(src.long()?),
            Kind::Float => drop(src.float()?),
            Kind::Double => drop(src.double()?),
            Kind::Bytes => drop(src.bytes()?),
            Kind::String => drop(src.string()?),
            Kind::Fixed(size) => drop(src.fixed(*size)?),
            Kind::Enum(symbols) => drop(src.symbol(symbols)?),
            Kind::Union(branches, labels) => {
                let branch = src.branch(labels)?;
                self.skip(src, schema, branches[branch], depth + 1)?;
                src.end_branch();
            }
            Kind::Record(fields) => {
                src.begin_record()?;
                for field in fields {
                    src.field(&field.name, &field.aliases)?;
                    self.skip(src, schema, field.node, depth + 1).map_err(|e| e.within(&field.name))?;
                    src.end_field();
                }
                src.end_record();
            }
            Kind::Array(items) => {
                let mut count = src.begin_array()?;
                while count > 0 {
                    // Any number of items that take no bytes is passed over by one.
                    for _ in 0..if schema.is_empty(*items) { 1 } else { count } {
                        self.skip(src, schema, *items, depth + 1)?;
                    }
                    count = src.next_items()?;
                }
            }
            Kind::Map(values) => {
                let mut count = src.begin_map()?;
                while count > 0 {
                    for _ in 0..count {
                        src.key()?;
                        self.skip(src, schema, *values, depth + 1)?;
                    }
                    count = src.next_entries()?;
                }
            }
        }
        Ok(())
    }

    #[cold]
    fn misfit(&mut self, what: Reason, at: usize, column: &Column) -> DecodeError {
        self.misfit = true;
        expecting(DecodeError::new(DecodeErrorKind::Value(what)).at_byte(at), column)
    }
}

/// What a value that does not nest has become.
enum Written {
    Value,
    /// Nothing, and NULL stands for it.
    Null,
    /// Nothing: it does not fit. Where it began.
    Misfit(usize, Reason),
}

/// The type is that of the innermost column.
#[cold]
fn expecting(error: DecodeError, column: &Column) -> DecodeError {
    if error.expected().is_some() || !matches!(error.kind(), DecodeErrorKind::Value(_)) {
        return error;
    }
    error.expecting(&*column.type_text)
}
