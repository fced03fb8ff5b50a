//! Types as Flink SQL text: printing, and reading back.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use super::arrow::MAX_LENGTH;
use super::{DataType, Field, LogicalType, MAX_TYPE_DEPTH, RowType, TypeError};

impl Display for LogicalType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::TinyInt => f.write_str("TINYINT"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            Self::Char(n) => write!(f, "CHAR({n})"),
            Self::VarChar(n) => write!(f, "VARCHAR({n})"),
            Self::String => f.write_str("STRING"),
            Self::Binary(n) => write!(f, "BINARY({n})"),
            Self::VarBinary(n) => write!(f, "VARBINARY({n})"),
            Self::Bytes => f.write_str("BYTES"),
            Self::Date => f.write_str("DATE"),
            Self::Time(p) => write!(f, "TIME({p})"),
            Self::Timestamp(p) => write!(f, "TIMESTAMP({p})"),
            Self::TimestampLtz(p) => write!(f, "TIMESTAMP_LTZ({p})"),
            Self::Array(t) => write!(f, "ARRAY<{t}>"),
            Self::Map(k, v) => write!(f, "MAP<{k}, {v}>"),
            Self::Multiset(t) => write!(f, "MULTISET<{t}>"),
            Self::Row(row) => write!(f, "ROW<{row}>"),
        }
    }
}

impl Display for DataType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.logical, f)?;
        if self.nullable { Ok(()) } else { f.write_str(" NOT NULL") }
    }
}

impl Display for RowType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, field) in self.fields().iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "`{}` {}", field.name.replace('`', "``"), field.data_type)?;
        }
        Ok(())
    }
}

/// Reads a type as Flink SQL writes it, in any letter case: `DECIMAL(10, 2) NOT NULL`, ``ROW<`a` INT>``,
/// `TIMESTAMP(3) WITH LOCAL TIME ZONE`. Defaults are Flink's: `DECIMAL` is `(10, 0)`, `TIME` is `(0)`, `TIMESTAMP` is
/// `(6)`, a `CHAR` or `BINARY` without a length has one of 1.
impl FromStr for DataType {
    type Err = TypeError;

    fn from_str(text: &str) -> Result<Self, TypeError> {
        let mut reader = Reader { text, at: 0 };
        let t = reader.data_type(0)?;
        reader.end()?;
        Ok(t)
    }
}

/// Reads a list of columns as it stands between the brackets of `CREATE TABLE`, physical columns only:
/// `id BIGINT NOT NULL, name STRING`. Names may be quoted with backticks. The row is checked ([`RowType::check`]).
impl FromStr for RowType {
    type Err = TypeError;

    fn from_str(text: &str) -> Result<Self, TypeError> {
        let mut reader = Reader { text, at: 0 };
        let row = if reader.peek().is_none() { Self::default() } else { reader.fields(0)? };
        reader.end()?;
        row.check().into_iter().next().map_or(Ok(row), Err)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn fail<T>(&self, message: impl Display) -> Result<T, TypeError> {
        Err(TypeError::at("", format!("{message} at character {} of the type text", self.at + 1)))
    }

    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), TypeError> {
        if self.eat(wanted) { Ok(()) } else { self.fail(format_args!("expected `{wanted}`")) }
    }

    fn end(&mut self) -> Result<(), TypeError> {
        if self.peek().is_none() { Ok(()) } else { self.fail("unexpected text") }
    }

    /// The bare word at the reading position, which stays where it is.
    fn word(&mut self) -> &'a str {
        self.peek();
        let rest = &self.text[self.at..];
        let len = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
        &rest[..len]
    }

    fn eat_word(&mut self, wanted: &str) -> bool {
        let found = self.word().eq_ignore_ascii_case(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    fn eat_words(&mut self, wanted: &[&str]) -> bool {
        let start = self.at;
        let found = wanted.iter().all(|w| self.eat_word(w));
        if !found {
            self.at = start;
        }
        found
    }

    fn name(&mut self) -> Result<String, TypeError> {
        if !self.eat('`') {
            let word = self.word();
            if word.is_empty() {
                return self.fail("expected a name");
            }
            self.at += word.len();
            return Ok(word.to_owned());
        }
        let mut name = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(len) = rest.find('`') else { return self.fail("a name is not closed with a backtick") };
            name.push_str(&rest[..len]);
            self.at += len + 1;
            if !self.text[self.at..].starts_with('`') {
                return Ok(name);
            }
            name.push('`');
            self.at += 1;
        }
    }

    fn fields(&mut self, depth: usize) -> Result<RowType, TypeError> {
        let mut fields = Vec::new();
        loop {
            let name = self.name()?;
            let data_type = self.data_type(depth)?;
            self.skip_comment()?;
            fields.push(Field { name, data_type });
            if !self.eat(',') {
                return Ok(RowType { fields });
            }
        }
    }

    /// A field of a `ROW` may carry a comment in quotes, which says nothing to a decoder.
    fn skip_comment(&mut self) -> Result<(), TypeError> {
        while self.eat('\'') {
            let rest = &self.text[self.at..];
            let Some(len) = rest.find('\'') else { return self.fail("a comment is not closed with a quote") };
            self.at += len + 1;
        }
        Ok(())
    }

    fn data_type(&mut self, depth: usize) -> Result<DataType, TypeError> {
        if depth > MAX_TYPE_DEPTH {
            return self.fail(format_args!("types may nest {MAX_TYPE_DEPTH} deep, this one nests deeper"));
        }
        let mut t = DataType { logical: self.logical(depth)?, nullable: self.nullability() };
        for wraps in 1.. {
            let make = if self.eat_word("ARRAY") {
                LogicalType::Array
            } else if self.eat_word("MULTISET") {
                LogicalType::Multiset
            } else {
                break;
            };
            if depth + wraps > MAX_TYPE_DEPTH {
                return self.fail(format_args!("types may nest {MAX_TYPE_DEPTH} deep, this one nests deeper"));
            }
            t = DataType { logical: make(Box::new(t)), nullable: self.nullability() };
        }
        Ok(t)
    }

    fn nullability(&mut self) -> bool {
        if self.eat_words(&["NOT", "NULL"]) {
            return false;
        }
        self.eat_word("NULL");
        true
    }

    fn logical(&mut self, depth: usize) -> Result<LogicalType, TypeError> {
        let word = self.word();
        let start = self.at;
        self.at += word.len();
        Ok(match word.to_ascii_uppercase().as_str() {
            "BOOLEAN" => LogicalType::Boolean,
            "TINYINT" => LogicalType::TinyInt,
            "SMALLINT" => LogicalType::SmallInt,
            "INT" | "INTEGER" => LogicalType::Int,
            "BIGINT" => LogicalType::BigInt,
            "FLOAT" => LogicalType::Float,
            "DOUBLE" => {
                self.eat_word("PRECISION");
                LogicalType::Double
            }
            "DECIMAL" | "DEC" | "NUMERIC" => self.decimal()?,
            "CHAR" | "CHARACTER" if !self.eat_word("VARYING") => LogicalType::Char(self.length(1)?),
            "VARCHAR" | "CHAR" | "CHARACTER" => match self.length(1)? {
                MAX_LENGTH => LogicalType::String,
                n => LogicalType::VarChar(n),
            },
            "STRING" => LogicalType::String,
            "BINARY" => LogicalType::Binary(self.length(1)?),
            "VARBINARY" => match self.length(1)? {
                MAX_LENGTH => LogicalType::Bytes,
                n => LogicalType::VarBinary(n),
            },
            "BYTES" => LogicalType::Bytes,
            "DATE" => LogicalType::Date,
            "TIME" => {
                let p = self.precision(0)?;
                self.eat_words(&["WITHOUT", "TIME", "ZONE"]);
                LogicalType::Time(p)
            }
            "TIMESTAMP" => self.timestamp()?,
            "TIMESTAMP_LTZ" => LogicalType::TimestampLtz(self.precision(6)?),
            "ARRAY" => LogicalType::Array(self.bracketed(depth)?),
            "MULTISET" => LogicalType::Multiset(self.bracketed(depth)?),
            "MAP" => self.map(depth)?,
            "ROW" => self.row(depth)?,
            "" => return self.fail("expected a type"),
            _ => {
                self.at = start;
                return self.fail(format_args!("`{word}` is not a type that can be decoded"));
            }
        })
    }

    fn timestamp(&mut self) -> Result<LogicalType, TypeError> {
        let p = self.precision(6)?;
        if self.eat_words(&["WITH", "LOCAL", "TIME", "ZONE"]) {
            return Ok(LogicalType::TimestampLtz(p));
        }
        if self.word().eq_ignore_ascii_case("WITH") {
            return self.fail("TIMESTAMP WITH TIME ZONE cannot be decoded, use TIMESTAMP_LTZ,");
        }
        self.eat_words(&["WITHOUT", "TIME", "ZONE"]);
        Ok(LogicalType::Timestamp(p))
    }

    fn decimal(&mut self) -> Result<LogicalType, TypeError> {
        let (mut precision, mut scale) = (10, 0);
        if self.eat('(') {
            precision = self.number()?;
            if self.eat(',') {
                scale = self.number()?;
            }
            self.expect(')')?;
        }
        match (u8::try_from(precision), u8::try_from(scale)) {
            (Ok(precision), Ok(scale)) => Ok(LogicalType::Decimal { precision, scale }),
            _ => self.fail("a precision or scale of DECIMAL is at most 38, expected less"),
        }
    }

    fn map(&mut self, depth: usize) -> Result<LogicalType, TypeError> {
        self.expect('<')?;
        let key = self.data_type(depth + 1)?;
        self.expect(',')?;
        let value = self.data_type(depth + 1)?;
        self.expect('>')?;
        Ok(LogicalType::Map(Box::new(key), Box::new(value)))
    }

    fn row(&mut self, depth: usize) -> Result<LogicalType, TypeError> {
        let close = if self.eat('(') {
            ')'
        } else {
            self.expect('<')?;
            '>'
        };
        if self.eat(close) {
            return Ok(LogicalType::Row(RowType::default()));
        }
        let row = self.fields(depth + 1)?;
        self.expect(close)?;
        Ok(LogicalType::Row(row))
    }

    fn bracketed(&mut self, depth: usize) -> Result<Box<DataType>, TypeError> {
        self.expect('<')?;
        let t = self.data_type(depth + 1)?;
        self.expect('>')?;
        Ok(Box::new(t))
    }

    fn precision(&mut self, default: u8) -> Result<u8, TypeError> {
        match u8::try_from(self.length(u32::from(default))?) {
            Ok(p) if p <= 9 => Ok(p),
            _ => self.fail("the precision of a time is 0 to 9, expected less"),
        }
    }

    fn length(&mut self, default: u32) -> Result<u32, TypeError> {
        if !self.eat('(') {
            return Ok(default);
        }
        let n = self.number()?;
        self.expect(')')?;
        if n > MAX_LENGTH { self.fail(format_args!("a length is at most {MAX_LENGTH}, expected less")) } else { Ok(n) }
    }

    fn number(&mut self) -> Result<u32, TypeError> {
        let word = self.word();
        match word.parse() {
            Ok(n) if word.bytes().all(|b| b.is_ascii_digit()) => {
                self.at += word.len();
                Ok(n)
            }
            _ => self.fail("expected a number"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn types_are_read_as_flink_writes_them() {
        for (text, printed) in [
            ("int", "INT"),
            ("INTEGER NOT NULL", "INT NOT NULL"),
            ("double precision", "DOUBLE"),
            ("DECIMAL", "DECIMAL(10, 0)"),
            ("NUMERIC(5)", "DECIMAL(5, 0)"),
            ("dec(5,2) null", "DECIMAL(5, 2)"),
            ("CHAR", "CHAR(1)"),
            ("CHARACTER(3)", "CHAR(3)"),
            ("CHARACTER VARYING(3)", "VARCHAR(3)"),
            ("CHAR VARYING(3)", "VARCHAR(3)"),
            ("VARCHAR(2147483647)", "STRING"),
            ("VARBINARY(2147483647)", "BYTES"),
            ("TIME", "TIME(0)"),
            ("TIMESTAMP", "TIMESTAMP(6)"),
            ("TIMESTAMP(3) WITHOUT TIME ZONE", "TIMESTAMP(3)"),
            ("timestamp (3) with local time zone", "TIMESTAMP_LTZ(3)"),
            ("TIMESTAMP_LTZ", "TIMESTAMP_LTZ(6)"),
            ("INT ARRAY NOT NULL", "ARRAY<INT> NOT NULL"),
            ("MAP< STRING , ARRAY<INT NOT NULL> >", "MAP<STRING, ARRAY<INT NOT NULL>>"),
            ("ROW(a INT, `b``c` ROW<x INT 'note'>)", "ROW<`a` INT, `b``c` ROW<`x` INT>>"),
            ("MULTISET<STRING>", "MULTISET<STRING>"),
            ("ROW<>", "ROW<>"),
        ] {
            let t: DataType = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(t.to_string(), printed, "{text}");
        }
    }

    #[test]
    fn what_is_no_type_is_refused_with_its_place() {
        for (text, part) in [
            ("", "expected a type at character 1"),
            ("INTT", "`INTT` is not a type that can be decoded at character 1"),
            ("TIMESTAMP(3) WITH TIME ZONE", "use TIMESTAMP_LTZ"),
            ("TIMESTAMP(10)", "0 to 9"),
            ("ARRAY<INT", "expected `>` at character 10"),
            ("DECIMAL(x)", "expected a number"),
            ("CHAR(-1)", "expected a number"),
            ("ROW<`a INT>", "not closed with a backtick"),
            ("INT INT", "unexpected text at character 5"),
        ] {
            let error = text.parse::<DataType>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!("ARRAY<".repeat(100_000).parse::<DataType>().is_err());
        assert!(format!("INT{}", " ARRAY".repeat(100_000)).parse::<DataType>().is_err());
        assert!("a INT, a STRING".parse::<RowType>().is_err());
        assert!("a DECIMAL(40, 2)".parse::<RowType>().is_err());
    }

    fn any_type() -> impl Strategy<Value = DataType> {
        let leaf = prop_oneof![
            Just(LogicalType::Boolean),
            Just(LogicalType::BigInt),
            Just(LogicalType::Bytes),
            (1u8..=38)
                .prop_flat_map(|p| (Just(p), 0..=p))
                .prop_map(|(precision, scale)| LogicalType::Decimal { precision, scale }),
            (1u32..MAX_LENGTH).prop_map(LogicalType::VarChar),
            (0u8..=9).prop_map(LogicalType::Time),
            (0u8..=9).prop_map(LogicalType::Timestamp),
            (0u8..=9).prop_map(LogicalType::TimestampLtz),
        ];
        let data = |l: LogicalType, nullable| DataType { logical: l, nullable };
        (leaf, any::<bool>()).prop_map(move |(l, n)| data(l, n)).prop_recursive(4, 32, 4, move |inner| {
            let name = "[a-zA-Z_` ]{1,6}";
            let row = prop::collection::vec((name, inner.clone()), 0..4).prop_map(|fields| {
                let fields = fields.into_iter().enumerate().map(|(i, (n, t))| Field::new(format!("{n}{i}"), t));
                LogicalType::Row(RowType::new(fields))
            });
            let logical = prop_oneof![
                inner.clone().prop_map(|t| LogicalType::Array(Box::new(t))),
                inner.clone().prop_map(|t| LogicalType::Multiset(Box::new(t))),
                (inner.clone(), inner).prop_map(|(k, v)| LogicalType::Map(Box::new(k), Box::new(v))),
                row,
            ];
            (logical, any::<bool>()).prop_map(move |(l, n)| data(l, n))
        })
    }

    proptest! {
        #[test]
        fn printed_types_read_back(t in any_type()) {
            prop_assert_eq!(t.to_string().parse::<DataType>(), Ok(t));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = text.parse::<DataType>();
            let _ = text.parse::<RowType>();
        }
    }
}
