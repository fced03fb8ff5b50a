//! Tables meet connectors: which are read, which are written, and what the connectors say to their options.

use std::collections::BTreeMap;

use headwater_core::{Connectors, Delivery, OptionErrors, SinkRequest, SourceRequest, nearest};

use super::catalog::CatalogTable;
use super::{PlannedSink, PlannedSource, Planner};
use crate::error::{Notice, Position, ScriptError, ScriptErrorKind};
use crate::hidden::hide;
use crate::parse::{ColumnKind, Script, TableDef};

/// Sources and sinks with the numbers of their tables, in the order in which the script uses them.
type Connected = (Vec<(usize, PlannedSource)>, Vec<(usize, PlannedSink)>);

/// Asks the connectors of all tables that the INSERTs use. Mistakes and notices go to the planner.
pub(super) fn connect(planner: &mut Planner<'_>, script: &Script, connectors: &Connectors) -> Connected {
    let (mut sources, mut sinks) = (Vec::new(), Vec::new());
    for number in 0..planner.catalog.tables().len() {
        let table = &planner.catalog.tables()[number];
        match (table.read_at, table.written_at) {
            (None, None) => planner.notices.push(Notice {
                position: table.def.position,
                message: format!("the table `{}` is not used", table.def.name),
            }),
            (Some(read), Some(written)) => {
                let name = &table.def.name;
                let message =
                    format!("`{name}` is read in line {} and written here; a table is one or the other", read.line);
                planner.errors.push(ScriptError::new(ScriptErrorKind::Connector, written, message));
            }
            (Some(at), None) => sources.extend(source(planner, number, at, connectors)),
            (None, Some(at)) => sinks.extend(sink(planner, number, at, connectors)),
        }
    }
    sources.sort_by_key(|(number, _)| planner.catalog.tables()[*number].read_at);
    sinks.sort_by_key(|(number, _)| planner.catalog.tables()[*number].written_at);
    one_table_per_queue(planner, &sources);
    if planner.errors.is_empty() {
        delivery(planner, script, &sources, &sinks);
        // Only tables that some INSERT reads are opened: a view that no INSERT uses reads nothing.
        let used: Vec<usize> = planner.inserts.iter().flat_map(|i| &i.relation.branches).map(|b| b.table).collect();
        for (number, source) in sources.extract_if(.., |(number, _)| !used.contains(number)) {
            let position = planner.catalog.tables()[number].def.position;
            let message = format!("the table `{}` is read by no INSERT", source.request.table);
            planner.notices.push(Notice { position, message });
        }
    }
    (sources, sinks)
}

fn source(
    planner: &mut Planner<'_>,
    number: usize,
    at: Position,
    connectors: &Connectors,
) -> Option<(usize, PlannedSource)> {
    let table = &planner.catalog.tables()[number];
    let def = &table.def;
    let Some(factory) = def.connector().and_then(|name| connectors.source(name)) else {
        let error = no_connector(def, connectors, at, true);
        planner.errors.push(error);
        return None;
    };
    let request = SourceRequest {
        table: def.name.clone(),
        columns: def.physical_columns(),
        metadata: def.metadata_columns(),
        options: def.connector_options(),
        context: planner.context.clone(),
    };
    let notices = without_effect(table);
    match factory.check(&request) {
        Err(errors) => {
            let errors = placed(def, errors);
            planner.errors.extend(errors);
            None
        }
        Ok(check) => {
            let said = check.notices.iter().map(|n| notice(def, n));
            planner.notices.extend(said.chain(notices));
            Some((number, PlannedSource { factory: factory.clone(), request, check }))
        }
    }
}

fn sink(
    planner: &mut Planner<'_>,
    number: usize,
    at: Position,
    connectors: &Connectors,
) -> Option<(usize, PlannedSink)> {
    let def = &planner.catalog.tables()[number].def;
    let Some(factory) = def.connector().and_then(|name| connectors.sink(name)) else {
        let error = no_connector(def, connectors, at, false);
        planner.errors.push(error);
        return None;
    };
    let metadata = def.columns.iter().find(|c| matches!(c.kind, ColumnKind::Metadata { is_virtual: false, .. }));
    if let Some(column) = metadata {
        let message = format!("a sink has no metadata to write; make `{}` a plain column, or VIRTUAL", column.name);
        let error = ScriptError::new(ScriptErrorKind::Connector, column.position, message);
        planner.errors.push(error);
        return None;
    }
    let request = SinkRequest {
        table: def.name.clone(),
        columns: def.physical_columns(),
        partitioned_by: def.partitioned_by.iter().map(|(name, _)| name.clone()).collect(),
        options: def.connector_options(),
        context: planner.context.clone(),
        lineage: String::new(),
    };
    match factory.check(&request) {
        Err(errors) => {
            let errors = placed(def, errors);
            planner.errors.extend(errors);
            None
        }
        Ok(check) => {
            let said: Vec<Notice> = check.notices.iter().map(|n| notice(def, n)).collect();
            let key = def.primary_key.map(|position| Notice {
                position,
                message: format!("PRIMARY KEY has no effect on `{}`: rows are added, not replaced", def.name),
            });
            planner.notices.extend(said.into_iter().chain(key));
            Some((number, PlannedSink { factory: factory.clone(), request, check }))
        }
    }
}

/// Why a table cannot be used as it is.
fn no_connector(def: &TableDef, connectors: &Connectors, at: Position, read: bool) -> ScriptError {
    let error = |position, message: String| ScriptError::new(ScriptErrorKind::Connector, position, message);
    let sources: Vec<&str> = connectors.sources.iter().map(|f| f.connector()).collect();
    let sinks: Vec<&str> = connectors.sinks.iter().map(|f| f.connector()).collect();
    let (wanted, others, does) = if read { (&sources, &sinks, "read") } else { (&sinks, &sources, "written") };
    let names = wanted.join(", ");
    let Some(option) = def.option("connector") else {
        let message = format!("`{}` has no option 'connector'; tables that are {does} take one of {names}", def.name);
        return error(def.position, message);
    };
    let name = option.value.reveal();
    if others.contains(&name) {
        let message = format!("`{}` cannot be {does}: its connector is '{name}'; those that can are {names}", def.name);
        return error(at, message);
    }
    let shown = if option.value.is_substituted() { "of the variable" } else { name };
    let hint = nearest(name, wanted.iter().chain(others).copied());
    let hint = hint.map(|n| format!(" Did you mean '{n}'?")).unwrap_or_default();
    error(option.position, format!("there is no connector '{shown}'.{hint} Tables that are {does} take one of {names}"))
}

/// What the connector refuses, each at its option. It may quote values, and does not know which came from variables.
fn placed(def: &TableDef, errors: OptionErrors) -> Vec<ScriptError> {
    let place = |name: &str| {
        let column = || def.columns.iter().find(|c| c.name == name).map(|c| c.position);
        def.option(name).map(|o| o.position).or_else(column).unwrap_or(def.position)
    };
    let error = |e: headwater_core::OptionError| {
        let position = place(&e.option);
        let problem = hide(e.problem, def.options.iter().map(|option| &option.value));
        let e = headwater_core::OptionError { option: e.option, problem };
        ScriptError::new(ScriptErrorKind::Connector, position, format!("table `{}`: {e}", def.name))
    };
    errors.0.into_iter().map(error).collect()
}

fn notice(def: &TableDef, message: &str) -> Notice {
    Notice { position: def.position, message: format!("table `{}`: {message}", def.name) }
}

/// What a source table declares and nothing here follows, each said once.
fn without_effect(table: &CatalogTable) -> Vec<Notice> {
    let def = &table.def;
    let partitioned = def.partitioned_by.first().map(|(_, position)| *position);
    let declared = [
        (def.watermark, "WATERMARK has no effect: rows are not ordered by time here"),
        (def.primary_key, "PRIMARY KEY has no effect on a source: it is neither checked nor used"),
        (partitioned, "PARTITIONED BY has no effect on a source"),
    ];
    let notices = declared.into_iter().filter_map(|(position, message)| {
        position.map(|position| Notice { position, message: format!("table `{}`: {message}", def.name) })
    });
    notices.collect()
}

/// Two sources on one queue would each delete what the other needs to know of.
fn one_table_per_queue(planner: &mut Planner<'_>, sources: &[(usize, PlannedSource)]) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (number, source) in sources {
        if let Some(first) = seen.insert(&source.check.identity, &source.request.table) {
            let def = &planner.catalog.tables()[*number].def;
            let message = format!("`{}` and `{first}` read the same queue; use one table for all INSERTs", def.name);
            planner.errors.push(ScriptError::new(ScriptErrorKind::Connector, def.position, message));
        }
    }
}

/// `SET 'delivery'` makes less an error.
fn delivery(
    planner: &mut Planner<'_>,
    script: &Script,
    sources: &[(usize, PlannedSource)],
    sinks: &[(usize, PlannedSink)],
) {
    let Some((wanted, position)) = script.settings.delivery.zip(script.settings.delivery_at) else { return };
    let sources = sources.iter().map(|(_, s)| (s.request.table.as_str(), s.check.delivery));
    let sinks = sinks.iter().map(|(_, s)| (s.request.table.as_str(), s.check.delivery));
    let less: Vec<String> = sources
        .chain(sinks)
        .filter(|(_, delivery)| *delivery < wanted)
        .map(|(table, delivery): (&str, Delivery)| format!("`{table}` is {delivery}"))
        .collect();
    if !less.is_empty() {
        let message = format!("the job cannot be {wanted}: {}", less.join(", "));
        planner.errors.push(ScriptError::new(ScriptErrorKind::Setting, position, message));
    }
}
