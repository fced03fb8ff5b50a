//! What real Flink does with hundreds of bodies, and what these formats do with them.
//!
//! `corpus/cases.json` holds schemas, options and bodies, `corpus/expected.json` what Flink 2.3.0 made of each and, as
//! `variants`, what other versions and its older JSON decoder did. Every case must come out as in Flink 2.3.0, except
//! those in `corpus/deliberate.txt`, which must not: each stands there with the reason and with the outcome we give
//! instead, so that a difference can neither come nor go unseen.

mod corpus_support;

use std::collections::BTreeMap;

use corpus_support::{Answer, Case, Expected, accepts, answer, load};
use headwater_formats::Format;

#[test]
fn every_case_is_answered_as_flink_does_or_deliberately_not() {
    let (cases, expected) = load();
    let deliberate = deliberate();
    let mut score: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in cases.iter().filter(|case| Format::spec(&case.format).is_ok() || case.format == "jsonx") {
        let (expected, answer) = (&expected[&case.id], answer(case, &expected[&case.id]));
        let strict = accepts(expected, &answer, case.is_strict());
        let lenient = strict || expected.variants.values().any(|v| accepts(v, &answer, case.is_strict()));
        let score = score.entry(&case.group).or_default();
        score[0] += 1;
        score[1] += usize::from(strict);
        score[2] += usize::from(lenient);
        match (strict, deliberate.get(&case.id)) {
            (true, None) => {}
            (true, Some(_)) => wrong.push(format!("{}: is as in Flink and need not be listed", case.id)),
            (false, Some(ours)) if *ours == answer.to_string() => {}
            (false, _) => wrong.push(describe(case, expected, &answer)),
        }
    }
    for (group, [cases, strict, lenient]) in &score {
        println!("{group:22} {cases:4} cases, {strict:4} strict, {lenient:4} lenient");
    }
    let unknown = deliberate.keys().filter(|id| !cases.iter().any(|case| case.id == **id));
    wrong.extend(unknown.map(|id| format!("{id}: there is no such case")));
    assert!(wrong.is_empty(), "{} surprises:\n{}", wrong.len(), wrong.join("\n"));
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
