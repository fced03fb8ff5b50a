//! How the values of a schema become the columns of a table: worked out once, so that decoding only follows it.
//!
//! This is Avro's schema resolution with the table as the reader: fields by name or alias, numbers widened, strings
//! and bytes for each other, a column that the schema lacks is NULL.

use super::schema::{Kind, Labels, Logical, NodeId, ROOT, Schema, Unit};
use crate::{DataType, LogicalType, RowType, nearest};

/// What is done with the fields of a record, in the order they are written.
#[derive(Debug, Default)]
pub(super) struct RowPlan {
    pub(super) steps: Vec<Step>,
    /// Columns that no field is for.
    pub(super) missing: Vec<usize>,
}

/// A field of a record.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: Box<str>,
    pub(super) aliases: Vec<Box<str>>,
    pub(super) to: To,
}

/// Where a field goes.
#[derive(Debug)]
pub(super) enum To {
    Column(usize, Value),
    Nowhere(NodeId),
}

/// How a value is read that may be a union.
#[derive(Debug)]
pub(super) enum Value {
    Plain(Read),
    /// The usual union: null and one more.
    Nullable {
        null: usize,
        labels: Labels,
        read: Read,
    },
    Union {
        labels: Labels,
        branches: Vec<Branch>,
    },
}

/// One branch of a union.
#[derive(Debug)]
pub(super) enum Branch {
    Read(Read),
    /// The column does not take it, which is an error when it comes; what it is.
    Unfit(&'static str),
}

/// What the bytes of a value are; together with the column's type it says what to do.
#[derive(Debug)]
pub(super) enum Read {
    Null,
    Boolean,
    Int,
    Long,
    TimeMicros,
    Moment(Unit),
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Uuid,
    Decimal { fixed: Option<usize>, scale: usize },
    Enum(Vec<Box<str>>),
    Array(Box<Value>),
    Map(Box<Value>),
    Row(RowPlan),
}

/// A column that a schema cannot give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mismatch {
    pub(super) path: String,
    pub(super) data_type: String,
    pub(super) what: What,
}

/// Why a schema cannot give a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// It has this instead.
    Other(&'static str),
    /// It has nothing there and the column is NOT NULL; the nearest name it has.
    Missing(Option<String>),
    /// The plan would be larger than any table needs.
    TooLarge,
}

/// The plan for a table, or every column that the schema cannot give.
pub(super) fn plan(schema: &Schema, row: &RowType, max_values: usize) -> Result<RowPlan, Vec<Mismatch>> {
    let mut planner = Planner { schema, mismatches: Vec::new(), left: max_values };
    let plan = planner.row(ROOT, row, "");
    if planner.mismatches.is_empty() { Ok(plan) } else { Err(planner.mismatches) }
}

struct Planner<'s> {
    schema: &'s Schema,
    mismatches: Vec<Mismatch>,
    /// Values that may still be planned: unions within unions multiply.
    left: usize,
}

impl Planner<'_> {
    fn row(&mut self, record: NodeId, row: &RowType, path: &str) -> RowPlan {
        let fields = self.schema.fields(record);
        let mut plan = RowPlan::default();
        let mut column_of = vec![None; fields.len()];
        for (i, column) in row.fields().iter().enumerate() {
            let by_name = fields.iter().position(|field| *field.name == *column.name);
            let by_alias = || fields.iter().position(|field| field.aliases.iter().any(|alias| **alias == *column.name));
            match by_name.or_else(by_alias).filter(|field| column_of[*field].is_none()) {
                Some(field) => column_of[field] = Some(i),
                None => {
                    plan.missing.push(i);
                    if !column.data_type.nullable {
                        let near = nearest(&column.name, fields.iter().map(|field| &*field.name)).map(str::to_owned);
                        self.mismatch(&join(path, &column.name), &column.data_type.logical, What::Missing(near));
                    }
                }
            }
        }
        for (field, column) in fields.iter().zip(column_of) {
            let to = match column {
                None => To::Nowhere(field.node),
                Some(i) => {
                    let column = &row.fields()[i];
                    To::Column(i, self.value(field.node, &column.data_type.logical, &join(path, &column.name)))
                }
            };
            plan.steps.push(Step { name: field.name.clone(), aliases: field.aliases.clone(), to });
        }
        plan
    }

    fn value(&mut self, node: NodeId, t: &LogicalType, path: &str) -> Value {
        let Kind::Union(branches, labels) = &self.schema.node(node).kind else {
            return Value::Plain(
                self.read(node, t, path).unwrap_or_else(|what| self.mismatch(path, t, What::Other(what))),
            );
        };
        let labels = labels.clone();
        let mut reads: Vec<Branch> = Vec::with_capacity(branches.len());
        let mut unfit = None;
        for branch in branches {
            reads.push(match self.read(*branch, t, path) {
                Ok(read) => Branch::Read(read),
                Err(what) => {
                    unfit = Some(what);
                    Branch::Unfit(what)
                }
            });
        }
        let null = reads.iter().position(|branch| matches!(branch, Branch::Read(Read::Null)));
        if let Some(what) = unfit
            && reads.iter().all(|branch| matches!(branch, Branch::Read(Read::Null) | Branch::Unfit(_)))
        {
            self.mismatch(path, t, What::Other(what));
        }
        match (null, reads.len()) {
            (Some(null), 2) if unfit.is_none() => {
                let Some(Branch::Read(read)) = reads.into_iter().nth(1 - null) else {
                    unreachable!("both branches can be read")
                };
                Value::Nullable { null, labels, read }
            }
            _ => Value::Union { labels, branches: reads },
        }
    }

    /// How a type that is no union becomes one of the column's type, or what it is instead.
    fn read(&mut self, id: NodeId, t: &LogicalType, path: &str) -> Result<Read, &'static str> {
        if self.left == 0 {
            self.mismatch(path, t, What::TooLarge);
            return Ok(Read::Null);
        }
        self.left -= 1;
        let node = self.schema.node(id);
        let text = matches!(t, LogicalType::Char(_) | LogicalType::VarChar(_) | LogicalType::String);
        let bytes = matches!(t, LogicalType::Binary(_) | LogicalType::VarBinary(_) | LogicalType::Bytes);
        Ok(match (&node.kind, node.logical, t) {
            (Kind::Null, ..) => Read::Null,
            (Kind::Boolean, _, LogicalType::Boolean) => Read::Boolean,
            (Kind::Int, _, LogicalType::TinyInt | LogicalType::SmallInt | LogicalType::Int | LogicalType::BigInt)
            | (Kind::Int, _, LogicalType::Float | LogicalType::Double)
            | (Kind::Int, None | Some(Logical::Date), LogicalType::Date)
            | (Kind::Int, None | Some(Logical::TimeMillis), LogicalType::Time(_)) => Read::Int,
            (Kind::Long, _, LogicalType::BigInt | LogicalType::Float | LogicalType::Double) => Read::Long,
            (Kind::Long, Some(Logical::TimeMicros), LogicalType::Time(_)) => Read::TimeMicros,
            (Kind::Long, Some(Logical::Moment(unit)), LogicalType::Timestamp(_) | LogicalType::TimestampLtz(_)) => {
                Read::Moment(unit)
            }
            (Kind::Long, None, LogicalType::Timestamp(p) | LogicalType::TimestampLtz(p)) => {
                Read::Moment(unit_of_precision(*p))
            }
            (Kind::Float, _, LogicalType::Float | LogicalType::Double) => Read::Float,
            (Kind::Double, _, LogicalType::Double) => Read::Double,
            (Kind::Bytes, Some(Logical::Decimal { scale }), LogicalType::Decimal { .. }) => {
                Read::Decimal { fixed: None, scale }
            }
            (Kind::Fixed(n), Some(Logical::Decimal { scale }), LogicalType::Decimal { .. }) => {
                Read::Decimal { fixed: Some(*n), scale }
            }
            (Kind::Bytes, None, _) if text => Read::Bytes,
            (Kind::Bytes, ..) if bytes => Read::Bytes,
            (Kind::String, ..) if text || bytes => Read::String,
            (Kind::Fixed(n), ..) if bytes => Read::Fixed(*n),
            (Kind::Fixed(16), Some(Logical::Uuid), _) if text => Read::Uuid,
            (Kind::Enum(symbols), ..) if text => Read::Enum(symbols.clone()),
            (Kind::Array(items), _, LogicalType::Array(t)) => {
                Read::Array(Box::new(self.value(*items, &t.logical, &format!("{path}[]"))))
            }
            (Kind::Map(values), _, LogicalType::Map(key, t)) if is_text(key) => {
                Read::Map(Box::new(self.value(*values, &t.logical, &format!("{path}{{}}"))))
            }
            (Kind::Map(values), _, LogicalType::Multiset(key)) if is_text(key) => {
                Read::Map(Box::new(self.value(*values, &LogicalType::Int, &format!("{path}{{}}"))))
            }
            (Kind::Record(_), _, LogicalType::Row(row)) => Read::Row(self.row(id, row, path)),
            (kind, logical, _) => return Err(describe(kind, logical)),
        })
    }

    /// Notes a mismatch; what is read in its place does not matter.
    fn mismatch(&mut self, path: &str, t: &LogicalType, what: What) -> Read {
        let known = matches!(what, What::TooLarge) && self.mismatches.iter().any(|m| m.what == What::TooLarge);
        if !known {
            self.mismatches.push(Mismatch { path: path.to_owned(), data_type: t.to_string(), what });
        }
        Read::Null
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn is_text(t: &DataType) -> bool {
    matches!(t.logical, LogicalType::Char(_) | LogicalType::VarChar(_) | LogicalType::String)
}

/// A `long` that does not say what it counts is taken for what a table derives for such a column.
fn unit_of_precision(precision: u8) -> Unit {
    match precision {
        0..=3 => Unit::Millis,
        4..=6 => Unit::Micros,
        _ => Unit::Nanos,
    }
}

/// What a type is, for errors.
fn describe(kind: &Kind, logical: Option<Logical>) -> &'static str {
    match (kind, logical) {
        (_, Some(Logical::Decimal { .. })) => "an Avro decimal",
        (_, Some(Logical::Uuid)) => "an Avro uuid",
        (_, Some(Logical::Date)) => "an Avro date",
        (_, Some(Logical::TimeMillis | Logical::TimeMicros)) => "an Avro time",
        (_, Some(Logical::Moment(_))) => "an Avro timestamp",
        (Kind::Null, _) => "an Avro null",
        (Kind::Boolean, _) => "an Avro boolean",
        (Kind::Int, _) => "an Avro int",
        (Kind::Long, _) => "an Avro long",
        (Kind::Float, _) => "an Avro float",
        (Kind::Double, _) => "an Avro double",
        (Kind::Bytes, _) => "Avro bytes",
        (Kind::String, _) => "an Avro string",
        (Kind::Fixed(_), _) => "an Avro fixed",
        (Kind::Enum(_), _) => "an Avro enum",
        (Kind::Array(_), _) => "an Avro array",
        (Kind::Map(_), _) => "an Avro map (whose keys are strings)",
        (Kind::Union(..), _) => "an Avro union",
        (Kind::Record(_), _) => "an Avro record",
    }
}
