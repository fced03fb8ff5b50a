//! What may be depended on: permissive licences, one TLS stack, one arrow. The same rules as deny.toml, checked with
//! nothing but cargo.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

const ALLOWED: [&str; 12] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "MIT",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "0BSD",
    "Unlicense",
];

const BANNED: [&str; 5] = ["openssl", "openssl-sys", "native-tls", "aws-lc-rs", "aws-lc-sys"];

fn packages() -> Vec<Value> {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--all-features", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let metadata: Value = serde_json::from_slice(&out.stdout).expect("cargo metadata is JSON");
    // What cargo resolved: the packages of `packages` that are only named by optional dependencies are not in it.
    let used: BTreeSet<&str> =
        metadata["resolve"]["nodes"].as_array().expect("nodes").iter().filter_map(|n| n["id"].as_str()).collect();
    let all = metadata["packages"].as_array().expect("packages");
    all.iter().filter(|p| used.contains(p["id"].as_str().unwrap_or_default())).cloned().collect()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap_or_default()
}

/// Whether an SPDX expression can be met with allowed licences.
fn allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ");
    let any = |part: &str| part.split(" OR ").any(|id| ALLOWED.contains(&id.trim()));
    // Every AND part must offer an allowed choice. `A OR (B AND C)` is read more strictly than it need be.
    expression.split(" AND ").all(any)
}

#[test]
fn licences_are_permissive() {
    let packages = packages();
    assert!(packages.len() > 50, "the dependencies were not read");
    let wrong: Vec<String> = packages
        .iter()
        .filter(|p| p["source"].is_string())
        .filter(|p| !p["license"].as_str().is_some_and(allowed))
        .map(|p| format!("{} {}", name(p), p["license"]))
        .collect();
    assert!(wrong.is_empty(), "not allowed:\n{}", wrong.join("\n"));
}

#[test]
fn the_licence_check_can_fail() {
    assert!(allowed("MIT OR Apache-2.0") && allowed("(MIT OR GPL-3.0) AND ISC") && allowed("Unlicense/MIT"));
    assert!(!allowed("GPL-3.0") && !allowed("MIT AND LGPL-3.0"));
}

#[test]
fn banned_crates_are_absent_and_arrow_is_there_once() {
    let packages = packages();
    let banned: Vec<&str> = packages.iter().map(name).filter(|n| BANNED.contains(n)).collect();
    assert!(banned.is_empty(), "banned: {banned:?}");
    for once in ["arrow-array", "arrow-schema", "rustls", "ring"] {
        let versions: Vec<&Value> = packages.iter().filter(|p| name(p) == once).map(|p| &p["version"]).collect();
        assert!(versions.len() <= 1, "{once} is there in several versions: {versions:?}");
    }
}
