//! Scripts to jobs. Start with [`Job::plan`]; `query` and `select` turn queries into relations, `bind` and its neighbours bind
//! expressions, `insert` meets the sinks, `stage` and `run` are what is left at run time.

mod bind;
mod calls;
mod catalog;
mod connect;
mod insert;
mod literal;
mod operators;
mod place;
mod query;
mod relation;
mod run;
mod scope;
mod select;
mod stage;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use headwater_core::{Connectors, Delivery, JobContext, SinkCheck, SinkFactory, SinkRequest};
use headwater_core::{PlanOutput, SourceCheck, SourceFactory, SourceRequest};

#[cfg(test)]
pub(crate) use self::bind::Binder;
use self::catalog::Catalog;
use self::query::Queries;
use self::relation::Relation;
pub use self::run::StatelessPlan;
use self::run::{PlanBranch, PlanInput};
#[cfg(test)]
pub(crate) use self::scope::{RelationColumn, Scope, input_name};
use crate::error::{Notice, ScriptError, ScriptErrorKind, ScriptErrors};
use crate::functions::call::Env;
use crate::parse::{InsertDef, Script, Statement, ViewDef};
use crate::settings::Settings;
use crate::stack::with_room;

/// Planning of scripts.
#[derive(Debug, Clone, Copy)]
pub struct Job;

/// A script that can run: its sources, its sinks, and the plan between them.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlannedJob {
    /// The tables that are read, each once. Their order numbers the inputs of the plan.
    pub sources: Vec<PlannedSource>,
    /// The tables that are written. Their order numbers the outputs of the plan.
    pub sinks: Vec<PlannedSink>,
    /// What happens to rows in between.
    pub plan: StatelessPlan,
    /// What the `SET` statements say.
    pub settings: Settings,
    /// What the user should know, in the order of the script.
    pub notices: Vec<Notice>,
}

/// A table that is read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlannedSource {
    /// Makes the source of [`PlannedSource::request`].
    pub factory: Arc<dyn SourceFactory>,
    /// What the table asks for.
    pub request: SourceRequest,
    /// What the factory said to it.
    pub check: SourceCheck,
}

/// A table that is written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlannedSink {
    /// Makes the sink of [`PlannedSink::request`].
    pub factory: Arc<dyn SinkFactory>,
    /// What the table asks for; the runner fills in the lineage.
    pub request: SinkRequest,
    /// What the factory said to it.
    pub check: SinkCheck,
}

impl Job {
    /// Plans a script: looks up every name, checks every type, asks the connectors. Nothing is opened.
    ///
    /// `context` is what the command line and the script's settings amount to.
    ///
    /// # Errors
    /// Every mistake, each with line and column.
    pub fn plan(script: &Script, connectors: &Connectors, context: &JobContext) -> Result<PlannedJob, ScriptErrors> {
        with_room(|| {
            let mut planner = Planner::new(script, context);
            for statement in &script.statements {
                planner.statement(statement);
            }
            planner.finish(script, connectors)
        })
    }
}

impl PlannedJob {
    /// What the job as a whole promises: the least of its parts.
    pub fn delivery(&self) -> Delivery {
        let sources = self.sources.iter().map(|s| s.check.delivery);
        let sinks = self.sinks.iter().map(|s| s.check.delivery);
        sources.chain(sinks).min().unwrap_or(Delivery::ExactlyOnce)
    }
}

/// What the statements amount to so far.
#[derive(Debug)]
struct Planner<'a> {
    context: &'a JobContext,
    env: Env,
    catalog: Catalog,
    errors: Vec<ScriptError>,
    notices: Vec<Notice>,
    inserts: Vec<PlannedInsert>,
    /// Whether the script holds an INSERT at all, planned or not.
    inserted: bool,
}

/// An INSERT whose rows fit its table.
#[derive(Debug)]
struct PlannedInsert {
    /// The sink, by its number in the catalog.
    table: usize,
    relation: Relation,
}

impl<'a> Planner<'a> {
    fn new(script: &Script, context: &'a JobContext) -> Self {
        Self {
            context,
            env: Env { zone: script.settings.zone, conditional: false },
            catalog: Catalog::default(),
            errors: Vec::new(),
            notices: script.notices.clone(),
            inserts: Vec::new(),
            inserted: false,
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Table(def) => self.catalog.create_table(def, self.env, &mut self.errors),
            Statement::View(def) => self.view(def),
            Statement::Insert(def) => self.insert(def),
            Statement::Drop(def) => {
                if let Err(e) = self.catalog.drop(def) {
                    self.errors.push(e);
                }
            }
        }
    }

    fn view(&mut self, def: &ViewDef) {
        if !self.catalog.is_free(&def.name, def.if_not_exists, def.position, &mut self.errors) {
            return;
        }
        let mut queries = Queries::new(&mut self.catalog, self.env, &mut self.errors);
        let relation = queries.query(&def.query, def.position).and_then(|mut relation| {
            queries.rename_columns(&mut relation, &def.columns.iter().collect::<Vec<_>>())?;
            Some(relation)
        });
        self.catalog.create_view(&def.name, relation);
    }

    fn insert(&mut self, def: &InsertDef) {
        self.inserted = true;
        let table = self.catalog.sink(&def.table, def.table_position);
        let columns = table.as_ref().ok().map(|table| self.catalog.tables()[*table].def.physical_columns());
        let mut queries = Queries::new(&mut self.catalog, self.env, &mut self.errors);
        let table = queries.keep(table);
        let relation = queries.query(&def.query, def.position);
        if let (Some(table), Some(columns), Some(relation)) = (table, columns, relation)
            && let Some(relation) = insert::align(&mut queries, def, relation, &columns)
        {
            self.inserts.push(PlannedInsert { table, relation });
        }
    }

    fn finish(mut self, script: &Script, connectors: &Connectors) -> Result<PlannedJob, ScriptErrors> {
        if !self.inserted && self.errors.is_empty() {
            let message = "the script has no INSERT INTO, so there is nothing to run";
            let start = crate::error::Position { line: 1, column: 1 };
            self.errors.push(ScriptError::new(ScriptErrorKind::Unsupported, start, message));
        }
        let (sources, sinks) = connect::connect(&mut self, script, connectors);
        ScriptErrors::check(std::mem::take(&mut self.errors))?;
        let plan = self.assemble(&sources, &sinks)?;
        self.notices.sort_by_key(|n| n.position);
        let (sources, sinks) = (sources.into_iter().map(|s| s.1).collect(), sinks.into_iter().map(|s| s.1).collect());
        Ok(PlannedJob { sources, sinks, plan, settings: script.settings.clone(), notices: self.notices })
    }

    /// Makes the expressions ready to run. `sources` and `sinks` carry their numbers in the catalog.
    fn assemble(
        &self,
        sources: &[(usize, PlannedSource)],
        sinks: &[(usize, PlannedSink)],
    ) -> Result<StatelessPlan, ScriptErrors> {
        let inputs: Vec<PlanInput> = sources
            .iter()
            .map(|(table, source)| {
                let columns = self.catalog.tables()[*table].def.source_columns();
                let types = columns.fields().iter().map(|f| f.data_type.logical.to_arrow()).collect();
                PlanInput { table: source.request.table.clone(), types, checked: None }
            })
            .collect();
        let outputs: Vec<PlanOutput> = sinks
            .iter()
            .map(|(_, sink)| PlanOutput { sink: sink.request.table.clone(), schema: sink.request.columns.to_arrow() })
            .collect();
        let mut branches = Vec::new();
        for insert in &self.inserts {
            let output = sinks.iter().position(|(table, _)| *table == insert.table);
            for branch in &insert.relation.branches {
                let input = sources.iter().position(|(table, _)| *table == branch.table);
                let (Some(input), Some(output)) = (input, output) else { continue };
                let stages = stage::compile(&branch.stages, &inputs[input].types, &outputs[output].schema);
                let stages = stages.map_err(|e| self.internal(insert, &e))?;
                branches.push(PlanBranch { input, output, stages });
            }
        }
        Ok(StatelessPlan::new(inputs, outputs, branches))
    }

    /// DataFusion refuses an expression that was bound: a mistake of ours, which must not be a panic.
    fn internal(&self, insert: &PlannedInsert, error: &datafusion_common::DataFusionError) -> ScriptErrors {
        let table = &self.catalog.tables()[insert.table];
        let position = table.written_at.unwrap_or(table.def.position);
        let message = format!("this INSERT cannot be planned: {}", error.strip_backtrace());
        ScriptError::new(ScriptErrorKind::Unsupported, position, message).into()
    }
}
