//! House rules as tests: who may know whom, how long a file may be, where the clock and the dice are.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What each crate may depend on inside the workspace (architecture §2). `dev-dependencies` are free:
/// tests stand outside the house.
const ARROWS: &[(&str, &[&str])] = &[
    ("actors/domain", &[]),
    ("actors/ports", &["domain"]),
    ("actors/runtime", &["domain", "ports"]),
    ("proto", &["domain"]),
    ("infra/codec", &["domain", "ports"]),
    ("infra/store", &["domain", "ports", "codec"]),
    ("infra/placement", &["domain", "ports", "proto", "codec", "cork"]),
    ("infra/cork", &[]),
    ("infra/lightning-node", &["domain", "ports", "cork"]),
    ("infra/lightning-sim", &["domain", "ports", "cork"]),
    ("infra/bootstrap", &["domain", "ports"]),
    ("infra/protoc", &[]),
    ("services/gateway", &["domain", "ports", "proto", "cork", "lightning-node"]),
    ("services/engine", &["domain", "ports", "runtime", "bootstrap", "lightning-node"]),
];

/// Libraries from outside that must not be known, by crate.
const NEVER: &[(&str, &[&str])] = &[
    ("actors/domain", &["async-trait", "serde", "tracing", "tokio", "getrandom", "tonic"]),
    ("actors/ports", &["ractor", "tonic", "tokio", "rusqlite", "tokio-postgres", "serde"]),
    ("actors/runtime", &["tonic", "rusqlite", "tokio-postgres", "redis", "getrandom", "prost"]),
    ("proto", &["tokio", "ractor"]),
    ("services/gateway", &["runtime", "ractor", "rusqlite", "tokio-postgres"]),
];

const LINES_MAX: usize = 500;

/// The one place that reads the system's clock for the product, and the simulated nodes, which have
/// clocks of their own.
const CLOCKS: &[&str] = &["infra/bootstrap", "infra/lightning-sim", "infra/lightning-node"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above")
}

/// The names under `[dependencies]` of a crate's manifest.
fn dependencies(room: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join(room).join("Cargo.toml")).expect("it is there");
    let after = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let own = after.split("\n[").next().unwrap_or_default();
    let names = own.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned).collect()
}

fn crates() -> BTreeMap<String, String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("it is there");
    let inside = manifest.lines().filter_map(|line| {
        let (name, rest) = line.split_once(" = { path = \"")?;
        Some((name.to_owned(), rest.split('"').next()?.to_owned()))
    });
    inside.collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the sources are here").flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for room in ["actors", "infra", "proto", "services", "tests"] {
        sources(&root().join(room), &mut found);
    }
    found
}

#[test]
fn arrows_point_inwards() {
    let inside = crates();
    for (room, allowed) in ARROWS {
        let wrong: Vec<String> = dependencies(room)
            .into_iter()
            .filter(|name| inside.contains_key(name) && !allowed.contains(&name.as_str()))
            .collect();
        assert!(wrong.is_empty(), "{room} must not know {wrong:?}");
    }
    let ruled = |path: &&String| !ARROWS.iter().any(|(room, _)| room == path);
    let unruled: Vec<_> = inside.values().filter(ruled).collect();
    assert!(unruled.is_empty(), "no rule says what these may know: {unruled:?}");
}

#[test]
fn some_things_are_never_known() {
    for (room, never) in NEVER {
        let known = dependencies(room);
        let wrong: Vec<_> =
            never.iter().filter(|name| known.iter().any(|it| it == *name)).collect();
        assert!(wrong.is_empty(), "{room} must not know {wrong:?}");
    }
}

#[test]
fn files_fit_a_head() {
    for path in all_sources() {
        let lines = fs::read_to_string(&path).expect("sources are text").lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines", path.display());
    }
}

#[test]
fn the_clock_is_read_in_one_place() {
    for path in all_sources() {
        let room = path.strip_prefix(root()).expect("sources are inside");
        let free = CLOCKS.iter().any(|free| room.starts_with(free)) || room.starts_with("tests");
        let text = fs::read_to_string(&path).expect("sources are text");
        let reads = text.contains("SystemTime::now");
        assert!(free || !reads, "{} reads the system's clock", path.display());
    }
}

#[test]
fn the_brain_does_not_wait() {
    let mut found = Vec::new();
    sources(&root().join("actors/domain/src"), &mut found);
    for path in found {
        let text = fs::read_to_string(&path).expect("sources are text");
        for word in ["async fn", ".await", "HashMap", "std::time::Instant", "println!"] {
            let line = text.lines().find(|line| line.contains(word) && !line.contains("//"));
            assert_eq!(line, None, "{} has {word}", path.display());
        }
    }
}

/// Rules can be broken on purpose in one suite, and in nothing that is shipped.
#[test]
fn nothing_shipped_can_break_a_rule() {
    let rooms = crates().into_values().chain(["services/switchyard".to_owned()]);
    for room in rooms {
        let manifest = root().join(&room).join("Cargo.toml");
        let manifest = fs::read_to_string(manifest).expect("it is there");
        assert!(!manifest.contains("\"broken\""), "{room} asks for broken rules");
    }
}
