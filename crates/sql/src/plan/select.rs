//! One `SELECT … FROM … WHERE …`.

use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, GroupByExpr, Ident, ObjectName, Select, SelectItem,
    SelectItemQualifiedWildcardKind, TableAlias, TableFactor, TableWithJoins, WildcardAdditionalOptions,
};

use super::bind::Binder;
use super::query::{Queries, output};
use super::relation::{Output, Relation, Stage};
use super::scope::{RelationColumn, Scope};
use super::{operators, place};
use crate::bound::Bound;
use crate::error::{Position, ScriptErrorKind};
use crate::parse::check_namespace;

/// A relation and the name it goes by.
type Named = (Relation, Option<String>);

const UNNEST: &str = "UNNEST makes several rows of one, which is not supported; give the array to the sink, or take its elements by position";

impl Queries<'_> {
    pub(super) fn select(&mut self, select: &Select, at: Position) -> Option<Relation> {
        self.refuse_clauses(select, at)?;
        let (relation, qualifier) = match select.from.as_slice() {
            [table] => self.from(table, at)?,
            [] => return self.refuse(at, "a SELECT without FROM is one row, not a stream"),
            [_, second, ..] => {
                let at = place::of_table(&second.relation).unwrap_or(at);
                return self.refuse(
                    at,
                    "several tables in FROM are a join, which needs rows of other messages; join downstream",
                );
            }
        };
        let scope = relation.scope(qualifier);
        let filters = match &select.selection {
            None => Some(Vec::new()),
            Some(condition) => self.filters(condition, &scope, at),
        };
        let items = self.items(&select.projection, &scope, at);
        let (filters, (outputs, columns)) = filters.zip(items)?;
        Some(relation.then(&Stage { filters, outputs }, columns))
    }

    /// The conditions that WHERE joins by AND, in groups: those that follow one another and cannot fail are one.
    fn filters(&mut self, condition: &Expr, scope: &Scope, at: Position) -> Option<Vec<Output>> {
        let mut groups: Vec<(Vec<Bound>, Vec<String>)> = Vec::new();
        for condition in operators::chain(condition, &BinaryOperator::And) {
            let mut binder = Binder::new(scope, self.env, at);
            let bound = binder.bind(condition).and_then(|value| binder.boolean(value));
            let bound = self.keep(bound)?;
            match groups.last_mut() {
                Some((bounds, texts)) if !bound.fallible && bounds.iter().all(|b| !b.fallible) => {
                    bounds.push(bound);
                    texts.push(condition.to_string());
                }
                _ => groups.push((vec![bound], vec![condition.to_string()])),
            }
        }
        let groups = groups.into_iter();
        let joined = groups.filter_map(|(bounds, texts)| {
            operators::balanced(bounds, true, at).map(|bound| output(bound, &texts.join(" AND ")))
        });
        Some(joined.collect())
    }

    fn items(
        &mut self,
        items: &[SelectItem],
        scope: &Scope,
        at: Position,
    ) -> Option<(Vec<Output>, Vec<RelationColumn>)> {
        let mut outputs = Vec::new();
        let mut columns = Vec::new();
        let mut complete = true;
        for (n, item) in items.iter().enumerate() {
            let (expr, name) = match item {
                SelectItem::UnnamedExpr(expr) => (expr, default_name(expr).unwrap_or_else(|| format!("EXPR${n}"))),
                SelectItem::ExprWithAlias { expr, alias } => (expr, alias.value.clone()),
                SelectItem::Wildcard(options) => {
                    complete &= self.wildcard(options, None, scope, &mut outputs, &mut columns).is_some();
                    continue;
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    complete &= self.wildcard(options, Some(name), scope, &mut outputs, &mut columns).is_some();
                    continue;
                }
                other => {
                    self.refuse::<()>(at, &format!("`{other}` is not supported in a SELECT list"));
                    complete = false;
                    continue;
                }
            };
            let mut binder = Binder::new(scope, self.env, at);
            match self.keep(binder.bind(expr)) {
                None => complete = false,
                Some(bound) => {
                    columns.push(RelationColumn { name, logical: bound.logical.clone() });
                    outputs.push(output(bound, &expr.to_string()));
                }
            }
        }
        complete.then_some((outputs, columns))
    }

    fn wildcard(
        &mut self,
        options: &WildcardAdditionalOptions,
        qualifier: Option<&ObjectName>,
        scope: &Scope,
        outputs: &mut Vec<Output>,
        columns: &mut Vec<RelationColumn>,
    ) -> Option<()> {
        let at = options.wildcard_token.0.span.start.into();
        let WildcardAdditionalOptions {
            wildcard_token: _,
            opt_ilike,
            opt_exclude,
            opt_except,
            opt_replace,
            opt_rename,
            opt_alias,
        } = options;
        if opt_ilike.is_some()
            || opt_exclude.is_some()
            || opt_except.is_some()
            || opt_replace.is_some()
            || opt_rename.is_some()
            || opt_alias.is_some()
        {
            return self.refuse(at, "`*` takes no options; write the columns out");
        }
        if let Some(name) = qualifier
            && scope.qualifier.as_deref() != Some(name.to_string().trim_matches('`'))
        {
            let message = format!("there is no table `{name}` in FROM");
            return self.error(ScriptErrorKind::Name, at, message);
        }
        for (i, column) in scope.columns.iter().enumerate() {
            outputs.push(Output::pass(i, column));
            columns.push(column.clone());
        }
        Some(())
    }

    /// The one table, view or query in FROM.
    fn from(&mut self, table: &TableWithJoins, at: Position) -> Option<Named> {
        if let Some(join) = table.joins.first() {
            let at = place::of_table(&join.relation).unwrap_or(at);
            return match join.relation {
                TableFactor::UNNEST { .. } => self.refuse(at, UNNEST),
                _ => self.refuse(
                    at,
                    "a join needs rows of other messages, and every row is handled by itself here; join downstream",
                ),
            };
        }
        match &table.relation {
            TableFactor::Table {
                name,
                alias,
                args: None,
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                index_hints,
            } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
                let name = self.table_name(name, at)?;
                let relation = self.table(&name)?;
                self.aliased(relation, name.value, alias.as_ref())
            }
            TableFactor::Table { version: Some(_), .. } => self.refuse(
                place::of_table(&table.relation).unwrap_or(at),
                "FOR SYSTEM_TIME AS OF reads another time of a table; a queue has one",
            ),
            TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
                let relation = self.query(subquery, place::of_query(subquery).unwrap_or(at))?;
                match alias {
                    None => Some((relation, None)),
                    Some(alias) => self.aliased(relation, alias.name.value.clone(), Some(alias)),
                }
            }
            TableFactor::UNNEST { .. } => self.refuse(at, UNNEST),
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.from(table_with_joins, at),
            other => {
                self.refuse(place::of_table(other).unwrap_or(at), "only a table, a view or a query may stand in FROM")
            }
        }
    }

    fn table_name(&mut self, name: &ObjectName, at: Position) -> Option<Ident> {
        let mut parts: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
        let last = parts.pop().filter(|_| parts.len() + 1 == name.0.len());
        let Some(last) = last else { return self.refuse(at, "a table has a name") };
        let checked = check_namespace(&parts, &last);
        self.keep(checked)?;
        Some(last)
    }

    fn table(&mut self, name: &Ident) -> Option<Relation> {
        if let Some(relation) = self.named.get(&name.value) {
            return relation.clone();
        }
        let relation = self.catalog.relation(&name.value, name.span.start.into());
        self.keep(relation)?
    }

    fn aliased(&mut self, relation: Relation, name: String, alias: Option<&TableAlias>) -> Option<Named> {
        match alias {
            None => Some((relation, Some(name))),
            Some(alias) => Some((self.rename(relation, alias)?, Some(alias.name.value.clone()))),
        }
    }

    /// Gives the columns the names of `AS t (a, b)`.
    pub(super) fn rename(&mut self, mut relation: Relation, alias: &TableAlias) -> Option<Relation> {
        let names: Vec<&Ident> = alias.columns.iter().map(|c| &c.name).collect();
        self.rename_columns(&mut relation, &names)?;
        Some(relation)
    }

    pub(crate) fn rename_columns(&mut self, relation: &mut Relation, names: &[&Ident]) -> Option<()> {
        let Some(first) = names.first() else { return Some(()) };
        if names.len() != relation.columns.len() {
            let message = format!("{} names are given to {} columns", names.len(), relation.columns.len());
            return self.error(ScriptErrorKind::Name, first.span.start.into(), message);
        }
        for (column, name) in relation.columns.iter_mut().zip(names) {
            column.name.clone_from(&name.value);
        }
        Some(())
    }

    /// Refuses what looks at more than one row, and what is not Flink's.
    fn refuse_clauses(&mut self, select: &Select, at: Position) -> Option<()> {
        let Select {
            select_token: _,
            optimizer_hints,
            distinct,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection: _,
            exclude,
            into,
            from: _,
            lateral_views,
            prewhere,
            selection: _,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor: _,
        } = select;
        let grouped = match group_by {
            GroupByExpr::All(_) => Some(None),
            GroupByExpr::Expressions(exprs, modifiers) if !exprs.is_empty() || !modifiers.is_empty() => {
                Some(exprs.first().and_then(place::of_expr))
            }
            GroupByExpr::Expressions(..) => None,
        };
        if let Some(position) = grouped {
            let message = "GROUP BY collects rows over the whole stream, and an epoch has no meaning in SQL; aggregate downstream";
            return self.refuse(position.unwrap_or(at), message);
        }
        if matches!(distinct, Some(Distinct::Distinct | Distinct::On(_))) {
            return self
                .refuse(at, "DISTINCT needs every row that came before; messages are already made unique by their id");
        }
        if let Some(having) = having {
            return self.refuse(
                place::of_expr(having).unwrap_or(at),
                "HAVING filters groups, and there are none here; use WHERE",
            );
        }
        if !named_window.is_empty() || qualify.is_some() {
            return self.refuse(at, "windows look at other rows, and every row is handled by itself here");
        }
        let foreign = !optimizer_hints.is_empty()
            || select_modifiers.is_some()
            || top.is_some()
            || exclude.is_some()
            || into.is_some()
            || !lateral_views.is_empty()
            || prewhere.is_some()
            || !connect_by.is_empty()
            || !cluster_by.is_empty()
            || !distribute_by.is_empty()
            || !sort_by.is_empty()
            || value_table_mode.is_some();
        if foreign {
            return self.refuse(at, "the SELECT has a clause that is not Flink's");
        }
        Some(())
    }
}

/// The name of a column that is selected without an alias: its own. Anything else is named by its place.
fn default_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(ident.value.clone()),
        Expr::CompoundIdentifier(parts) => parts.last().map(|p| p.value.clone()),
        Expr::Nested(inner) => default_name(inner),
        _ => None,
    }
}
