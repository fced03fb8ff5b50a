//! Crates stand in layers, and every dependency goes strictly downward (ARCHITECTURE.md has the picture). Reads
//! `cargo metadata` for the edges and `cargo tree` for what the pure crates must not reach.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

fn metadata() -> Value {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("cargo metadata is JSON")
}

fn layer(package: &Value) -> Option<u64> {
    package["metadata"]["headwater"]["layer"].as_u64()
}

#[test]
fn every_edge_goes_strictly_downward() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let layers: BTreeMap<&str, Option<u64>> =
        packages.iter().map(|p| (p["name"].as_str().expect("a name"), layer(p))).collect();
    let mut edges = 0;
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        // The root package joins everything and nothing depends on it.
        if name == "headwater-workspace" {
            continue;
        }
        let Some(own) = layers[name] else {
            wrong.push(format!("{name} has no [package.metadata.headwater] layer"));
            continue;
        };
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let target = dependency["name"].as_str().expect("a name");
            let Some(Some(below)) = layers.get(target) else { continue };
            edges += 1;
            if *below >= own {
                let kind = dependency["kind"].as_str().unwrap_or("normal");
                wrong.push(format!("{name} (layer {own}) → {target} (layer {below}), a {kind} dependency"));
            }
        }
    }
    assert!(wrong.is_empty(), "edges that do not go strictly downward:\n{}", wrong.join("\n"));
    assert!(edges > 0, "no edge was read: the check is blind");
}

#[test]
fn pure_crates_reach_no_runtime_no_network_and_no_engine() {
    for package in ["headwater-ledger", "headwater-formats", "headwater-mns-proto", "headwater-core"] {
        let out = Command::new(env!("CARGO"))
            .args(["tree", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let tree = String::from_utf8_lossy(&out.stdout);
        assert!(tree.lines().any(|line| line.starts_with(package)), "cargo tree printed nothing for {package}");
        for line in tree.lines() {
            let name = line.split(' ').next().unwrap_or_default();
            let banned = ["tokio", "hyper", "reqwest", "rustls", "datafusion"]
                .iter()
                .any(|b| name == *b || name.starts_with(&format!("{b}-")));
            assert!(!banned, "{package} reaches {name}");
        }
    }
}

/// Mistakes that can be switched on are for the tests alone: no crate that is shipped turns the feature on in another.
#[test]
fn no_shipped_crate_can_be_trapped() {
    let tree = |package: &str, edges: &str| {
        let out = Command::new(env!("CARGO"))
            .args(["tree", "-p", package, "-e", edges, "--prefix", "none"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let trapped = |tree: &str| tree.lines().any(|line| line.contains("feature \"traps\""));
    for package in metadata()["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        assert!(
            name == "headwater-workspace" || !trapped(&tree(name, "normal,build,features")),
            "{name} enables the feature `traps`"
        );
    }
    assert!(trapped(&tree("headwater-workspace", "normal,dev,features")), "the check is blind");
}
