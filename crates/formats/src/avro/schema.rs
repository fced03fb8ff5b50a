//! An Avro schema as its values are walked: a list of nodes that name each other by position, so that a record may
//! contain itself.

use std::collections::HashMap;

use apache_avro::Schema as Parsed;
use apache_avro::schema::{InnerDecimalSchema, Name, NamespaceRef, UuidSchema};

/// The position of a node.
pub(super) type NodeId = usize;

/// The names of the branches of a union.
pub(super) type Labels = Box<[Box<str>]>;

/// A schema; the root is a record.
#[derive(Debug)]
pub(super) struct Schema {
    nodes: Vec<Node>,
    /// By node: its values take no bytes, however many there are.
    empty: Vec<bool>,
}

/// One type of a schema.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) logical: Option<Logical>,
    /// The full name, or the name of the type where it has none: what a branch of a union is called.
    pub(super) label: Box<str>,
}

/// What the bytes of a value are.
#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum(Vec<Box<str>>),
    Array(NodeId),
    Map(NodeId),
    /// The branches, and what they are called.
    Union(Vec<NodeId>, Labels),
    Record(Vec<Field>),
}

/// What a value means beyond its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logical {
    Decimal {
        scale: usize,
    },
    Uuid,
    Date,
    TimeMillis,
    TimeMicros,
    /// A timestamp, of an instant or of a local clock.
    Moment(Unit),
    /// One that no Flink type stands for.
    Other,
}

/// The unit of a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    Micros,
    Nanos,
}

/// A field of a record.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: Box<str>,
    pub(super) aliases: Vec<Box<str>>,
    pub(super) node: NodeId,
}

/// The root of every schema.
pub(super) const ROOT: NodeId = 0;

impl Schema {
    /// Reads a schema in JSON.
    ///
    /// # Errors
    /// What is wrong with it, as a phrase.
    pub(super) fn parse(text: &str, max_nodes: usize) -> Result<Self, String> {
        let parsed = Parsed::parse_str(text).map_err(|e| e.to_string())?;
        if !matches!(parsed, Parsed::Record(_)) {
            return Err("the schema of a message must be a record".to_owned());
        }
        let mut nodes = Nodes { max_nodes, ..Nodes::default() };
        nodes.add(&parsed, None)?;
        Ok(Self::of(nodes.nodes))
    }

    /// The schema of these nodes, the first of which is a record.
    pub(super) fn of(nodes: Vec<Node>) -> Self {
        let mut empty = vec![None; nodes.len()];
        for id in 0..nodes.len() {
            find_empty(&nodes, id, &mut empty);
        }
        Self { empty: empty.into_iter().map(|e| e == Some(true)).collect(), nodes }
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// The fields of a record, none for anything else.
    pub(super) fn fields(&self, id: NodeId) -> &[Field] {
        match &self.nodes[id].kind {
            Kind::Record(fields) => fields,
            _ => &[],
        }
    }

    /// Whether values of a node take no bytes, so that any number of them is nothing to read.
    pub(super) fn is_empty(&self, id: NodeId) -> bool {
        self.empty[id]
    }
}

/// A union of nodes that are there.
pub(super) fn union_of(nodes: &[Node], branches: Vec<NodeId>) -> Kind {
    let labels = branches.iter().map(|id| nodes[*id].label.clone()).collect();
    Kind::Union(branches, labels)
}

/// A record that contains itself counts as not empty: its values have no end.
fn find_empty(nodes: &[Node], id: NodeId, found: &mut Vec<Option<bool>>) -> bool {
    if let Some(known) = found[id] {
        return known;
    }
    found[id] = Some(false);
    let empty = match &nodes[id].kind {
        Kind::Null | Kind::Fixed(0) => true,
        Kind::Record(fields) => fields.iter().all(|field| find_empty(nodes, field.node, found)),
        _ => false,
    };
    found[id] = Some(empty);
    empty
}

/// A schema under construction.
#[derive(Debug, Default)]
struct Nodes {
    nodes: Vec<Node>,
    names: HashMap<String, NodeId>,
    max_nodes: usize,
}

impl Nodes {
    fn add(&mut self, parsed: &Parsed, namespace: NamespaceRef<'_>) -> Result<NodeId, String> {
        match parsed {
            Parsed::Ref { name } => {
                let name = name.fullname(namespace);
                return self.names.get(&name).copied().ok_or_else(|| format!("there is no type '{name}'"));
            }
            Parsed::Record(record) => return self.add_record(record, namespace),
            Parsed::Array(array) => {
                let id = self.push(Kind::Null, None, "array")?;
                self.nodes[id].kind = Kind::Array(self.add(&array.items, namespace)?);
                return Ok(id);
            }
            Parsed::Map(map) => {
                let id = self.push(Kind::Null, None, "map")?;
                self.nodes[id].kind = Kind::Map(self.add(&map.types, namespace)?);
                return Ok(id);
            }
            Parsed::Union(union) => {
                let id = self.push(Kind::Null, None, "union")?;
                let branches = union.variants().iter().map(|branch| self.add(branch, namespace));
                let branches = branches.collect::<Result<Vec<_>, _>>()?;
                self.nodes[id].kind = union_of(&self.nodes, branches);
                return Ok(id);
            }
            Parsed::Enum(symbols) => {
                let kind = Kind::Enum(symbols.symbols.iter().map(|s| s.as_str().into()).collect());
                return self.push_named(kind, None, &symbols.name, namespace);
            }
            Parsed::Fixed(fixed) => {
                return self.push_named(Kind::Fixed(fixed.size), None, &fixed.name, namespace);
            }
            Parsed::Duration(fixed) => {
                return self.push_named(Kind::Fixed(fixed.size), Some(Logical::Other), &fixed.name, namespace);
            }
            Parsed::Uuid(UuidSchema::Fixed(fixed)) => {
                return self.push_named(Kind::Fixed(fixed.size), Some(Logical::Uuid), &fixed.name, namespace);
            }
            Parsed::Decimal(decimal) => {
                let logical = Some(Logical::Decimal { scale: decimal.scale });
                if let InnerDecimalSchema::Fixed(fixed) = &decimal.inner {
                    return self.push_named(Kind::Fixed(fixed.size), logical, &fixed.name, namespace);
                }
                return self.push(Kind::Bytes, logical, "bytes");
            }
            _ => {}
        }
        let (kind, logical, label) = simple(parsed);
        self.push(kind, logical, label)
    }

    fn add_record(
        &mut self,
        record: &apache_avro::schema::RecordSchema,
        namespace: NamespaceRef<'_>,
    ) -> Result<NodeId, String> {
        let name = record.name.fully_qualified_name(namespace).into_owned();
        // Known before its fields, which may name it.
        let id = self.push_named(Kind::Null, None, &name, None)?;
        let mut fields = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            let aliases = field.aliases.iter().map(|alias| alias.as_str().into()).collect();
            let node = self.add(&field.schema, name.namespace())?;
            fields.push(Field { name: field.name.as_str().into(), aliases, node });
        }
        self.nodes[id].kind = Kind::Record(fields);
        Ok(id)
    }

    fn push_named(
        &mut self,
        kind: Kind,
        logical: Option<Logical>,
        name: &Name,
        namespace: NamespaceRef<'_>,
    ) -> Result<NodeId, String> {
        let name = name.fullname(namespace);
        let id = self.push(kind, logical, &name)?;
        self.names.insert(name, id);
        Ok(id)
    }

    fn push(&mut self, kind: Kind, logical: Option<Logical>, label: &str) -> Result<NodeId, String> {
        if self.nodes.len() >= self.max_nodes {
            return Err(format!("the schema has more than {} types", self.max_nodes));
        }
        self.nodes.push(Node { kind, logical, label: label.into() });
        Ok(self.nodes.len() - 1)
    }
}

/// The types that stand for themselves alone.
fn simple(parsed: &Parsed) -> (Kind, Option<Logical>, &'static str) {
    let long = |unit| (Kind::Long, Some(Logical::Moment(unit)), "long");
    match parsed {
        Parsed::Boolean => (Kind::Boolean, None, "boolean"),
        Parsed::Int => (Kind::Int, None, "int"),
        Parsed::Date => (Kind::Int, Some(Logical::Date), "int"),
        Parsed::TimeMillis => (Kind::Int, Some(Logical::TimeMillis), "int"),
        Parsed::Long => (Kind::Long, None, "long"),
        Parsed::TimeMicros => (Kind::Long, Some(Logical::TimeMicros), "long"),
        Parsed::TimestampMillis | Parsed::LocalTimestampMillis => long(Unit::Millis),
        Parsed::TimestampMicros | Parsed::LocalTimestampMicros => long(Unit::Micros),
        Parsed::TimestampNanos | Parsed::LocalTimestampNanos => long(Unit::Nanos),
        Parsed::Float => (Kind::Float, None, "float"),
        Parsed::Double => (Kind::Double, None, "double"),
        Parsed::Bytes => (Kind::Bytes, None, "bytes"),
        Parsed::BigDecimal => (Kind::Bytes, Some(Logical::Other), "bytes"),
        Parsed::Uuid(UuidSchema::Bytes) => (Kind::Bytes, Some(Logical::Other), "bytes"),
        Parsed::String => (Kind::String, None, "string"),
        Parsed::Uuid(_) => (Kind::String, Some(Logical::Uuid), "string"),
        _ => (Kind::Null, None, "null"),
    }
}
