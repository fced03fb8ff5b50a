//! Which column of a file a table column means.

use arrow_schema::Fields;

/// The position of the file column that `wanted` names: the one of exactly this name, or else the only one whose name
/// differs in letter case alone, unless that is the exact name of another of the table's columns (`taken`).
///
/// # Errors
/// The candidates, when there are several.
pub(super) fn find(wanted: &str, fields: &Fields, taken: impl Fn(&str) -> bool) -> Result<Option<usize>, Vec<String>> {
    let matching = |test: &dyn Fn(&str) -> bool| -> Vec<usize> {
        fields.iter().enumerate().filter(|(_, field)| test(field.name())).map(|(i, _)| i).collect()
    };
    let mut found = matching(&|name| name == wanted);
    if found.is_empty() {
        let folded = wanted.to_lowercase();
        found = matching(&|name| name.to_lowercase() == folded && !taken(name));
    }
    match found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(found.into_iter().map(|i| fields[i].name().clone()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::{DataType, Field};

    use super::*;

    #[test]
    fn the_exact_name_first_then_the_only_one_in_another_case() {
        let fields: Fields = ["id", "ID", "Name", "Ort", "ORT", "Straße", "twice", "twice"]
            .map(|name| Field::new(name, DataType::Int32, true))
            .into_iter()
            .collect();
        let at = |wanted: &str| find(wanted, &fields, |name| name == "Name");
        assert_eq!(at("id"), Ok(Some(0)));
        assert_eq!(at("ID"), Ok(Some(1)));
        assert_eq!(at("ort"), Err(vec!["Ort".to_owned(), "ORT".to_owned()]));
        assert_eq!(at("STRAßE"), Ok(Some(5)));
        assert_eq!(at("none"), Ok(None));
        assert_eq!(at("name"), Ok(None), "that one is another column of the table");
        assert_eq!(at("twice"), Err(vec!["twice".to_owned(), "twice".to_owned()]));
    }
}
