//! Configuration that cannot be meant is refused before anything is touched.

use std::fs;

use crate::support::switchyard;

#[test]
fn unknown_keys_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let file = folder.path().join("switchyard.toml");
    fs::write(&file, "network = 'regtest'\nlisten_admin = '127.0.0.1:0'\n").unwrap();
    let config = file.to_str().unwrap();

    let run = switchyard(&["standalone", "--data", data, "--config", config]).run();
    assert_eq!(run.code, 2);
    let says = format!("switchyard: {config} line 2: unknown field `listen_admin`");
    assert!(run.stderr.starts_with(&says), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1);

    let run = switchyard(&["standalone", "--data", data]).env("SWITCHYARD_LISTN", "x").run();
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("SWITCHYARD_LISTN: unknown field"), "{}", run.stderr);

    let run = switchyard(&["standalone", "--data", data, "--store", "mysql://u:secret@h"]).run();
    assert_eq!(run.code, 2);
    assert!(!folder.path().join("data").exists(), "nothing was begun");
}
