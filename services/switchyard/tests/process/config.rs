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

#[test]
fn paths_that_cannot_be_right_must_be_mended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let (file, missing) = (file.to_str().unwrap(), folder.path().join("missing"));
    let missing = missing.to_str().unwrap();
    let any = "127.0.0.1:0";
    for (args, path) in [
        (&["wallet", "list", "--address", any, "--key-file", missing][..], missing),
        (&["wallet", "list", "--address", any, "--key-file", folder.path().to_str().unwrap()], ""),
        (&["org", "list", "--admin-address", any, "--admin-token-file", missing], missing),
        (&["org", "list", "--data", file], file),
        (&["sim", "nodes", "--data", file], file),
        (&["standalone", "--data", file], file),
        (&["standalone", "--data", &format!("{file}/below")], file),
        (&["sim", "run", "--data", file], file),
    ] {
        let run = switchyard(args).run();
        assert_eq!(run.code, 2, "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(path), "{args:?}: {}", run.stderr);
    }
}
