//! `INSERT INTO`: the columns of a query meet those of a table.

use datafusion_expr::Expr;
use headwater_formats::{Field, RowType};

use super::query::{Queries, type_name};
use super::relation::{Output, Relation, Stage};
use super::scope::RelationColumn;
use crate::bound::Bound;
use crate::error::{Position, ScriptError, ScriptErrorKind, did_you_mean};
use crate::functions::call::{Binding, Env, build};
use crate::functions::cast;
use crate::parse::InsertDef;
use crate::types::converts_implicitly;

/// Brings the columns of a query into the order and types of a sink: by place, or by the names of a column list, where
/// the others are filled with NULL. Only what Flink converts by itself is converted.
pub(crate) fn align(
    queries: &mut Queries<'_>,
    insert: &InsertDef,
    relation: Relation,
    sink: &RowType,
) -> Option<Relation> {
    let targets = targets(queries, insert, sink)?;
    if relation.columns.len() != targets.len() {
        let names = |columns: &mut dyn Iterator<Item = &str>| columns.collect::<Vec<_>>().join(", ");
        let message = format!(
            "the query has {} columns ({}), `{}` takes {} ({})",
            relation.columns.len(),
            names(&mut relation.columns.iter().map(|c| c.name.as_str())),
            insert.table,
            targets.len(),
            names(&mut targets.iter().map(|t| sink.fields()[*t].name.as_str())),
        );
        return queries.keep(Err(ScriptError::new(ScriptErrorKind::Type, insert.position, message)));
    }
    let scope = relation.scope(None);
    let mut outputs = Vec::new();
    let mut complete = true;
    for (place, field) in sink.fields().iter().enumerate() {
        let source = targets.iter().position(|t| *t == place);
        let value = match source {
            Some(column) => {
                let value = scope.at(column, insert.position);
                converted(value, &scope.columns[column], field, column, insert, queries.env)
            }
            None => filled(field, insert, queries.env),
        };
        match queries.keep(value) {
            None => complete = false,
            Some(value) => {
                let from = source.map_or("NULL", |column| scope.columns[column].name.as_str());
                let text = format!("`{}` of `{}` from {from}", field.name, insert.table);
                outputs.push(Output::new(value.expr, &text, value.logical));
            }
        }
    }
    let columns = sink.fields().iter();
    let columns = columns.map(|f| RelationColumn { name: f.name.clone(), logical: Some(f.data_type.logical.clone()) });
    complete.then(|| relation.then(&Stage { filters: Vec::new(), outputs }, columns.collect()))
}

/// The places of the columns that the query fills.
fn targets(queries: &mut Queries<'_>, insert: &InsertDef, sink: &RowType) -> Option<Vec<usize>> {
    if insert.columns.is_empty() {
        return Some((0..sink.fields().len()).collect());
    }
    let mut targets = Vec::new();
    let mut complete = true;
    for name in &insert.columns {
        let at: Position = name.span.start.into();
        let wrong = match sink.index_of(&name.value) {
            Some(place) if targets.contains(&place) => Some(format!("the column `{}` is named twice", name.value)),
            Some(place) => {
                targets.push(place);
                None
            }
            None => {
                let hint = did_you_mean(&name.value, sink.fields().iter().map(|f| f.name.as_str()));
                Some(format!("`{}` has no column `{}` to write.{hint}", insert.table, name.value))
            }
        };
        if let Some(message) = wrong {
            queries.keep::<()>(Err(ScriptError::new(ScriptErrorKind::Name, at, message)));
            complete = false;
        }
    }
    complete.then_some(targets)
}

fn converted(
    value: Bound,
    column: &RelationColumn,
    field: &Field,
    place: usize,
    insert: &InsertDef,
    env: Env,
) -> Binding {
    let to = &field.data_type.logical;
    if let Some(from) = &column.logical
        && !converts_implicitly(from, to)
    {
        let message = format!(
            "column {} of the query (`{}`, {}) does not become {to} by itself, as `{}` of `{}` is; \
             write CAST({} AS {to})",
            place + 1,
            column.name,
            type_name(Some(from)),
            field.name,
            insert.table,
            column.name,
        );
        return Err(ScriptError::new(ScriptErrorKind::Type, insert.position, message));
    }
    not_null(cast::implicit(value, to, env)?, field, insert, env)
}

fn filled(field: &Field, insert: &InsertDef, env: Env) -> Binding {
    if !field.data_type.nullable {
        let message = format!("`{}` of `{}` is NOT NULL and must be given a value", field.name, insert.table);
        return Err(ScriptError::new(ScriptErrorKind::Type, insert.position, message));
    }
    cast::implicit(Bound::null(insert.position), &field.data_type.logical, env)
}

/// A NULL for a NOT NULL column is an error of its row.
fn not_null(value: Bound, field: &Field, insert: &InsertDef, env: Env) -> Binding {
    if field.data_type.nullable || matches!(&value.expr, Expr::Literal(v, _) if !v.is_null()) {
        return Ok(value);
    }
    let logical = field.data_type.logical.clone();
    build("NOT NULL", vec![value], logical, true, insert.position, env, |args| {
        let values = args.array(0).array;
        if arrow_array::Array::null_count(values) > 0 {
            return Err("NULL for a column that is NOT NULL".into());
        }
        Ok(values.clone())
    })
}
