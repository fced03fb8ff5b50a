//! The tables and views of a script, as its statements create and drop them.

use std::collections::BTreeMap;

use headwater_formats::{Field, RowType};

use super::bind::Binder;
use super::relation::{Branch, Output, Relation, Stage};
use super::scope::{RelationColumn, Scope};
use crate::error::{Position, ScriptError, ScriptErrorKind, did_you_mean};
use crate::functions::call::Env;
use crate::parse::{ColumnKind, DropDef, TableDef};

/// What a name stands for. A view with a mistake has no relation; using it is not a second mistake.
#[derive(Debug, Clone)]
enum Entry {
    Table(usize),
    View(Option<Relation>),
}

/// The names known at one point of the script, and all tables ever created.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    tables: Vec<CatalogTable>,
    names: BTreeMap<String, Entry>,
}

/// A table and how it is used.
#[derive(Debug)]
pub(crate) struct CatalogTable {
    pub(crate) def: TableDef,
    /// Its rows; `None` when a computed column has a mistake.
    relation: Option<Relation>,
    /// Where it is read first.
    pub(crate) read_at: Option<Position>,
    /// Where it is written first.
    pub(crate) written_at: Option<Position>,
}

impl Catalog {
    pub(crate) fn tables(&self) -> &[CatalogTable] {
        &self.tables
    }

    /// Takes a table in and binds its computed columns.
    pub(crate) fn create_table(&mut self, def: &TableDef, env: Env, errors: &mut Vec<ScriptError>) {
        if !self.is_free(&def.name, def.if_not_exists, def.position, errors) {
            return;
        }
        let number = self.tables.len();
        let relation = base_relation(def, number, env, errors);
        self.tables.push(CatalogTable { def: def.clone(), relation, read_at: None, written_at: None });
        self.names.insert(def.name.clone(), Entry::Table(number));
    }

    /// Whether a view may be created under this name.
    pub(crate) fn is_free(
        &self,
        name: &str,
        if_not_exists: bool,
        position: Position,
        errors: &mut Vec<ScriptError>,
    ) -> bool {
        let free = !self.names.contains_key(name);
        if !free && !if_not_exists {
            let message = format!("`{name}` exists already; DROP it first, or write IF NOT EXISTS");
            errors.push(ScriptError::new(ScriptErrorKind::Name, position, message));
        }
        free
    }

    pub(crate) fn create_view(&mut self, name: &str, relation: Option<Relation>) {
        self.names.insert(name.to_owned(), Entry::View(relation));
    }

    pub(crate) fn drop(&mut self, def: &DropDef) -> Result<(), ScriptError> {
        let (kind, found) = match (self.names.get(&def.name), def.view) {
            (Some(Entry::Table(_)), view) => ("view", !view),
            (Some(Entry::View(_)), view) => ("table", view),
            (None, _) if def.if_exists => return Ok(()),
            (None, _) => return Err(self.unknown(&def.name, def.position)),
        };
        if !found {
            let message = format!("`{}` is no {kind}", def.name);
            return Err(ScriptError::new(ScriptErrorKind::Name, def.position, message));
        }
        self.names.remove(&def.name);
        Ok(())
    }

    /// The rows of a table or view. `Ok(None)` if it has a mistake that is already known.
    pub(crate) fn relation(&mut self, name: &str, position: Position) -> Result<Option<Relation>, ScriptError> {
        match self.names.get(name) {
            None => Err(self.unknown(name, position)),
            Some(Entry::View(relation)) => Ok(relation.clone()),
            Some(Entry::Table(number)) => {
                let table = &mut self.tables[*number];
                table.read_at.get_or_insert(position);
                Ok(table.relation.clone())
            }
        }
    }

    /// The number of a table that is written.
    pub(crate) fn sink(&mut self, name: &str, position: Position) -> Result<usize, ScriptError> {
        match self.names.get(name) {
            None => Err(self.unknown(name, position)),
            Some(Entry::View(_)) => {
                let message = format!("`{name}` is a view; rows go into tables");
                Err(ScriptError::new(ScriptErrorKind::Name, position, message))
            }
            Some(Entry::Table(number)) => {
                self.tables[*number].written_at.get_or_insert(position);
                Ok(*number)
            }
        }
    }

    fn unknown(&self, name: &str, position: Position) -> ScriptError {
        let hint = did_you_mean(name, self.names.keys().map(String::as_str));
        ScriptError::new(ScriptErrorKind::Name, position, format!("there is no table or view `{name}`.{hint}"))
    }
}

/// The columns as declared, made of what the source gives: the physical columns, then the metadata columns.
fn base_relation(def: &TableDef, number: usize, env: Env, errors: &mut Vec<ScriptError>) -> Option<Relation> {
    let source = def.source_columns();
    let columns: Vec<RelationColumn> = source
        .fields()
        .iter()
        .map(|f| RelationColumn { name: f.name.clone(), logical: Some(f.data_type.logical.clone()) })
        .collect();
    let scope = Scope { qualifier: Some(def.name.clone()), columns };
    let mut outputs = Vec::new();
    let mut declared = Vec::new();
    let mut complete = true;
    for column in &def.columns {
        let bound = match &column.kind {
            ColumnKind::Computed(expr) => {
                Binder::new(&scope, env, column.position).bind(expr).map(|b| (b, expr.to_string()))
            }
            _ => scope.column(&column.name, column.position).map(|b| (b, column.name.clone())),
        };
        match bound {
            Ok((bound, text)) => {
                declared.push(RelationColumn { name: column.name.clone(), logical: bound.logical.clone() });
                outputs.push(Output::new(bound.expr, &text, bound.logical));
            }
            Err(e) => {
                errors.push(e);
                complete = false;
            }
        }
    }
    let stages = vec![Stage { filters: Vec::new(), outputs }];
    complete.then(|| Relation { columns: declared, branches: vec![Branch { table: number, stages }] })
}

impl TableDef {
    /// What a source of this table gives: the physical columns, then the metadata columns.
    pub(crate) fn source_columns(&self) -> RowType {
        let metadata = self.metadata_columns();
        let metadata = metadata.into_iter().map(|m| Field::new(m.name, m.data_type));
        RowType::new(self.physical_columns().fields().iter().cloned().chain(metadata))
    }
}
