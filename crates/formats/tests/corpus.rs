//! What real Flink does with hundreds of bodies, and what these formats do with them.
//!
//! `corpus/cases.json` holds schemas, options and bodies, `corpus/expected.json` what Flink 2.3.0 made of each and, as
//! `variants`, what other versions and its older JSON decoder did. Every case must come out as in Flink 2.3.0, except
//! those in `corpus/deliberate.txt`, which must not: each stands there with the reason and with the outcome we give
//! instead, so that a difference can neither come nor go unseen.

mod corpus_support;

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use corpus_support::{Answer, Case, Expected, accepts, answer, load};
use headwater_formats::Format;

#[test]
fn every_case_is_answered_as_flink_does_or_deliberately_not() {
    let (cases, expected) = load();
    let deliberate = deliberate();
    let mut scores: BTreeMap<&str, BTreeMap<&str, Score>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in cases.iter().filter(|case| Format::spec(&case.format).is_ok() || case.format == "jsonx") {
        let (expected, answer) = (&expected[&case.id], answer(case, &expected[&case.id]));
        let strict = accepts(expected, &answer, case.is_strict());
        let lenient = strict || expected.variants.values().any(|v| accepts(v, &answer, case.is_strict()));
        let format = if case.format == "jsonx" { "json" } else { &case.format };
        let score = scores.entry(format).or_default().entry(&case.group).or_default();
        score.count(strict, lenient, expected.variants.is_empty());
        match (strict, deliberate.get(&case.id)) {
            (true, None) => {}
            (true, Some(_)) => wrong.push(format!("{}: is as in Flink and need not be listed", case.id)),
            (false, Some(ours)) if *ours == answer.to_string() => {}
            (false, _) => wrong.push(describe(case, expected, &answer)),
        }
    }
    for (format, groups) in &scores {
        groups.iter().for_each(|(group, score)| println!("  {group:20} {score}"));
        println!("{format:22} {}", groups.values().copied().fold(Score::default(), Score::and));
    }
    let unknown = deliberate.keys().filter(|id| !cases.iter().any(|case| case.id == **id));
    wrong.extend(unknown.map(|id| format!("{id}: there is no such case")));
    assert!(wrong.is_empty(), "{} surprises:\n{}", wrong.len(), wrong.join("\n"));
}

/// How many cases of a group came out how.
#[derive(Debug, Clone, Copy, Default)]
struct Score {
    cases: usize,
    /// As in Flink 2.3.0 with its default decoder.
    strict: usize,
    /// As in that or another version, or its older decoder.
    lenient: usize,
    /// Cases in which all of them agree, and how many of those came out as in them.
    agreed: usize,
    agreed_strict: usize,
}

impl Score {
    fn count(&mut self, strict: bool, lenient: bool, agreed: bool) {
        self.cases += 1;
        self.strict += usize::from(strict);
        self.lenient += usize::from(lenient);
        self.agreed += usize::from(agreed);
        self.agreed_strict += usize::from(agreed && strict);
    }

    fn and(self, other: Self) -> Self {
        Self {
            cases: self.cases + other.cases,
            strict: self.strict + other.strict,
            lenient: self.lenient + other.lenient,
            agreed: self.agreed + other.agreed,
            agreed_strict: self.agreed_strict + other.agreed_strict,
        }
    }
}

impl Display for Score {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { cases, strict, lenient, agreed, agreed_strict } = self;
        write!(f, "{cases:4} cases, {strict:4} strict, {lenient:4} lenient, {agreed_strict:4} of {agreed:4} agreed")
    }
}

fn describe(case: &Case, expected: &Expected, answer: &Answer) -> String {
    let body = case.body.as_deref().map_or("no body".to_owned(), |b| b.escape_ascii().to_string());
    let body: String = body.chars().take(160).collect();
    format!("{} | {} | {:?} | {body}\n    Flink: {expected}\n    ours:  {answer}", case.id, case.columns, case.options)
}

/// Case ids with the answers we give, from lines of `id => answer`; a `#` line says why.
fn deliberate() -> BTreeMap<String, String> {
    let lines = include_str!("corpus/deliberate.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (id, answer) = line.split_once(" => ").expect("id => answer");
            (id.to_owned(), answer.to_owned())
        })
        .collect()
}
