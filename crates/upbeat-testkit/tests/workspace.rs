//! What holds for the workspace as a whole: which crate may depend on which, licences, oldest toolchain.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use std::collections::{BTreeMap, BTreeSet};

/// The levels of the house: a crate depends on lower levels only, never sideways or up.
const LEVELS: &[(&str, u8)] = &[
    ("upbeat-core", 0),
    ("upbeat-fft", 1),
    ("upbeat-window", 1),
    ("upbeat-nn", 1),
    ("upbeat-adapt", 1),
    ("upbeat-perf", 1),
    ("upbeat-features", 2),
    ("upbeat-io", 2),
    ("upbeat-predict", 3),
    ("upbeat-eq", 3),
    ("upbeat-sync", 3),
    ("upbeat", 4),
    ("upbeat-library", 5),
    ("upbeat-server", 5),
];

/// May be a development dependency of every crate, and depends on none.
const TESTKIT: &str = "upbeat-testkit";

/// Licences that ask for no more than a notice.
const PERMISSIVE: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "NCSA",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// The one exception: MPL-2.0 covers only the decoder's own files, which are used unchanged, and
/// asks nothing of a program that links them but to say where their source is.
const FILE_COPYLEFT: (&str, &str) = ("symphonia", "MPL-2.0");

#[test]
fn crates_depend_on_lower_levels_only() {
    let metadata = metadata();
    let levels: BTreeMap<&str, u8> = LEVELS.iter().copied().collect();
    let members = metadata.workspace_packages();
    assert!(members.len() >= 6, "the workspace has lost crates: {}", members.len());
    for package in members {
        for dependency in package.dependencies.iter().filter(|d| d.path.is_some()) {
            let (from, to) = (package.name.as_str(), dependency.name.as_str());
            if to == TESTKIT {
                assert_eq!(dependency.kind, DependencyKind::Development, "{from} ships {TESTKIT}");
                continue;
            }
            assert_ne!(from, TESTKIT, "{TESTKIT} must depend on none of ours, not on {to}");
            let level = |name: &str| {
                *levels.get(name).unwrap_or_else(|| panic!("{name} has no level in this test"))
            };
            assert!(level(to) < level(from), "{from} must not depend on {to}");
        }
    }
}

#[test]
fn every_dependency_is_permissively_licensed() {
    let mut offenders = Vec::new();
    let metadata = metadata();
    assert!(metadata.packages.len() > 50, "the dependencies were not resolved");
    for package in &metadata.packages {
        if !is_permissive(package) {
            offenders.push(format!("{} {}: {:?}", package.name, package.version, package.license));
        }
    }
    assert!(offenders.is_empty(), "not permissive:\n{}", offenders.join("\n"));
}

#[test]
fn the_licence_check_can_tell_copyleft() {
    for (expression, permissive) in [
        ("MIT OR GPL-3.0-only", true),
        ("MIT AND GPL-3.0-only", false),
        ("LGPL-2.1-or-later", false),
        ("MPL-2.0", false),
        ("CC-BY-NC-4.0", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("MIT/Apache-2.0", true),
    ] {
        assert_eq!(allows(expression, &[]), permissive, "{expression}");
    }
}

/// `deny.toml` says the same as this test, for people who have that tool.
#[test]
fn deny_toml_allows_the_same_licences() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deny.toml")).unwrap();
    let deny: toml::Table = text.parse().unwrap();
    let licenses = &deny["licenses"];
    let allowed: BTreeSet<&str> =
        licenses["allow"].as_array().unwrap().iter().filter_map(|l| l.as_str()).collect();
    assert_eq!(allowed, PERMISSIVE.iter().copied().collect());
    for exception in licenses["exceptions"].as_array().unwrap() {
        assert!(exception["crate"].as_str().unwrap().starts_with(FILE_COPYLEFT.0));
        assert_eq!(exception["allow"].as_array().unwrap(), &[FILE_COPYLEFT.1.into()]);
    }
}

#[test]
fn no_shipped_dependency_needs_a_newer_toolchain_than_we_state() {
    let metadata = metadata();
    let ours = metadata.workspace_packages()[0].rust_version.clone().unwrap();
    for package in &metadata.packages {
        if let Some(needed) = &package.rust_version {
            assert!(*needed <= ours, "{} needs Rust {needed}, we state {ours}", package.name);
        }
    }
}

fn metadata() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    MetadataCommand::new()
        .manifest_path(manifest)
        .other_options(["--locked".into(), "--all-features".into()])
        .exec()
        .expect("cargo metadata --locked runs")
}

fn is_permissive(package: &Package) -> bool {
    let exceptions: &[&str] =
        if package.name.starts_with(FILE_COPYLEFT.0) { &[FILE_COPYLEFT.1] } else { &[] };
    package.license.as_ref().is_some_and(|licence| allows(licence, exceptions))
}

fn allows(expression: &str, exceptions: &[&str]) -> bool {
    let mode = spdx::ParseMode::LAX; // "MIT/Apache-2.0", as older crates write it
    spdx::Expression::parse_mode(expression, mode).is_ok_and(|parsed| {
        parsed.evaluate(|requirement| match requirement.license.id() {
            Some(id) => PERMISSIVE.contains(&id.name) || exceptions.contains(&id.name),
            None => false,
        })
    })
}
