//! The columns of the OSS mode: their names, where in an event their values lie, and what types they may have.

use headwater_formats::{DataType, FormatError, LogicalType, nearest};

/// A column of the OSS mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OssColumn {
    /// The name; tables may declare it in any letter case.
    pub name: &'static str,
    /// The type that suits it best, as Flink SQL text.
    pub data_type: &'static str,
    /// Where its value lies in an event.
    pub path: &'static [&'static str],
    /// What it says.
    pub doc: &'static str,
    pub(crate) class: Class,
}

/// What kind of value a column has, and so which types it may be declared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Text, and numbers for the texts that are numbers (account ids).
    Text,
    /// A whole number.
    Number,
    /// A moment in UTC.
    Time,
    /// An object with texts as values.
    Map,
}

/// The columns that the SMQ connector documents, in its order.
pub static COLUMNS: &[OssColumn] = &[
    text("eventName", &["eventName"], "What happened, such as ObjectCreated:PutObject."),
    text("eventSource", &["eventSource"], "The service, acs:oss."),
    OssColumn {
        name: "eventTime",
        data_type: "TIMESTAMP(3)",
        path: &["eventTime"],
        doc: "When it happened, in UTC; OSS resolves seconds. TIMESTAMP, TIMESTAMP_LTZ, or STRING for the text as sent.",
        class: Class::Time,
    },
    text("eventVersion", &["eventVersion"], "The version of the event format, 1.0."),
    text("region", &["region"], "The region of the bucket, such as cn-hangzhou."),
    text("ossBucketArn", &["oss", "bucket", "arn"], "The bucket's resource name, acs:oss:region:owner:bucket."),
    text("ossBucketName", &["oss", "bucket", "name"], "The bucket's name."),
    text("ossBucketOwnerIdentity", &["oss", "bucket", "ownerIdentity"], "The account that owns the bucket."),
    text("ossBucketVirtualBucket", &["oss", "bucket", "virtualBucket"], "Usually empty."),
    number("ossObjectDeltaSize", &["oss", "object", "deltaSize"], "New size less old size, in bytes; 0 is common."),
    text("ossObjectETag", &["oss", "object", "eTag"], "The object's ETag; compare without letter case."),
    text("ossObjectKey", &["oss", "object", "key"], "The object's key as it is, not URL-encoded."),
    number("ossObjectSize", &["oss", "object", "size"], "The object's size in bytes."),
    text("ossSchemaVersion", &["oss", "ossSchemaVersion"], "The version of the oss part, 1.0."),
    text("ossRuleId", &["oss", "ruleId"], "The event rule that matched; absent from EventBridge."),
    text(
        "requestParametersSourceIPAddress",
        &["requestParameters", "sourceIPAddress"],
        "The address that the request came from.",
    ),
    text("responseElementsRequestId", &["responseElements", "requestId"], "The id of the request to OSS."),
    text("userIdentityPrincipalId", &["userIdentity", "principalId"], "The account or role that made the request."),
    OssColumn {
        name: "xVars",
        data_type: "MAP<STRING, STRING>",
        path: &["xVars"],
        doc: "The custom variables of an upload callback, keys beginning with x:; STRING for the object as JSON text.",
        class: Class::Map,
    },
];

const fn text(name: &'static str, path: &'static [&'static str], doc: &'static str) -> OssColumn {
    OssColumn { name, data_type: "STRING", path, doc, class: Class::Text }
}

const fn number(name: &'static str, path: &'static [&'static str], doc: &'static str) -> OssColumn {
    OssColumn { name, data_type: "BIGINT", path, doc, class: Class::Number }
}

/// The column that a table means by this name, or an error with the nearest name.
pub(crate) fn find(name: &str) -> Result<usize, FormatError> {
    COLUMNS.iter().position(|column| column.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let nearest = nearest(name, COLUMNS.iter().map(|column| column.name)).map(str::to_owned);
        FormatError::UnknownColumn { format: "oss", column: name.to_owned(), nearest }
    })
}

impl OssColumn {
    /// An error when the column cannot have the declared type.
    pub(crate) fn check(&self, declared_as: &str, data_type: &DataType) -> Result<(), FormatError> {
        let fits = is_text(&data_type.logical)
            || match (self.class, &data_type.logical) {
                (Class::Time, LogicalType::Timestamp(_) | LogicalType::TimestampLtz(_)) => true,
                (Class::Map, LogicalType::Map(key, value)) => is_text(&key.logical) && is_text(&value.logical),
                (Class::Number, LogicalType::Float | LogicalType::Double) => true,
                (
                    Class::Text | Class::Number,
                    LogicalType::TinyInt
                    | LogicalType::SmallInt
                    | LogicalType::Int
                    | LogicalType::BigInt
                    | LogicalType::Decimal { .. },
                ) => true,
                _ => false,
            };
        if fits {
            return Ok(());
        }
        let reason = match self.class {
            Class::Text | Class::Number => format!("use {}", self.data_type),
            Class::Time => "use TIMESTAMP(3), TIMESTAMP_LTZ(3) or STRING".to_owned(),
            Class::Map => "use MAP<STRING, STRING>, or STRING for its JSON text".to_owned(),
        };
        let (column, data_type) = (declared_as.to_owned(), data_type.logical.to_string());
        Err(FormatError::UnsupportedType { format: "oss", column, data_type, reason })
    }
}

fn is_text(t: &LogicalType) -> bool {
    matches!(t, LogicalType::Char(_) | LogicalType::VarChar(_) | LogicalType::String)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_letter_case() {
        for (i, column) in COLUMNS.iter().enumerate() {
            assert_eq!(find(column.name), Ok(i));
            assert_eq!(find(&column.name.to_uppercase()), Ok(i));
        }
        let error = find("ossObjectKeys").expect_err("no such column").to_string();
        assert_eq!(error, "the format 'oss' has no column `ossObjectKeys`: did you mean 'ossObjectKey'?");
        assert_eq!(COLUMNS.len(), 19);
    }

    #[test]
    fn types_that_suit_a_column() {
        let check = |name: &str, t: &str| COLUMNS[find(name).expect(name)].check(name, &t.parse().expect(t));
        for column in COLUMNS {
            assert_eq!(check(column.name, column.data_type), Ok(()), "{}", column.name);
            assert_eq!(check(column.name, "VARCHAR(10)"), Ok(()), "{}", column.name);
        }
        for (name, t) in [
            ("ossObjectSize", "DECIMAL(20, 0)"),
            ("eventTime", "TIMESTAMP_LTZ(9)"),
            ("ossBucketOwnerIdentity", "BIGINT"),
        ] {
            assert_eq!(check(name, t), Ok(()), "{name} {t}");
        }
        for (name, t) in [
            ("ossObjectSize", "BOOLEAN"),
            ("eventTime", "DATE"),
            ("eventTime", "BIGINT"),
            ("xVars", "MAP<INT, STRING>"),
            ("xVars", "ROW<a STRING>"),
            ("ossObjectKey", "BYTES"),
            ("ossObjectKey", "ARRAY<STRING>"),
            ("region", "TIMESTAMP(3)"),
        ] {
            assert!(check(name, t).is_err(), "{name} {t}");
        }
    }
}
