//! Encodings and digests of text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headwater_formats::LogicalType;
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;

use super::call::{Binding, Call, Function};

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "TO_BASE64", usage: "TO_BASE64(text)", arity: 1..=1, bind: |c| map(c, |s| STANDARD.encode(s)) },
    Function { name: "FROM_BASE64", usage: "FROM_BASE64(text)", arity: 1..=1, bind: from_base64 },
    Function { name: "MD5", usage: "MD5(text)", arity: 1..=1, bind: |c| map(c, |s| hex(&Md5::digest(s))) },
    Function { name: "SHA1", usage: "SHA1(text)", arity: 1..=1, bind: |c| map(c, |s| hex(&Sha1::digest(s))) },
    Function { name: "SHA256", usage: "SHA256(text)", arity: 1..=1, bind: |c| map(c, |s| hex(&Sha256::digest(s))) },
];

fn map(mut call: Call, f: fn(&str) -> String) -> Binding {
    call.text(0)?;
    call.result(1, LogicalType::String, false, move |args| {
        let texts = args.strings(0);
        args.to_strings(|i| Ok(texts.get(i).map(f)))
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn from_base64(mut call: Call) -> Binding {
    call.text(0)?;
    call.result(1, LogicalType::String, true, |args| {
        let texts = args.strings(0);
        args.to_strings(|i| {
            let Some(text) = texts.get(i) else { return Ok(None) };
            let bytes = STANDARD.decode(text).map_err(|_| "the text is not Base64")?;
            String::from_utf8(bytes).map(Some).map_err(|_| "the decoded bytes are not UTF-8 text".into())
        })
    })
}
