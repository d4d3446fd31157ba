//! Starts that are refused before anything is touched.

use domain::ErrorClass::Invalid;
use tests::{
    cli,
    world::{Setup, World},
};

use crate::bed::{Bed, said_no};

const ANY: &str = "127.0.0.1:0";

#[tokio::test]
async fn second_process_on_the_same_data_folder() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    for (folder, words) in [
        ("platform", &["standalone", "--listen", ANY, "--admin-listen", ANY, "--data"][..]),
        ("network", &["sim", "run", "--data"]),
    ] {
        let data = bed.world.folder().join(folder);
        let ready = std::fs::read(data.join("ready.json")).expect("the first one serves");
        let said = cli::run(&[words, &[&data.display().to_string()]].concat(), &[]).await;
        let code = said.document["error"]["code"].as_str();
        assert_eq!((said.code, code), (9, Some("already_running")), "{said:?}");
        assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
        let still = std::fs::read(data.join("ready.json")).expect("the first one serves");
        assert_eq!(still, ready, "the first one's file is left alone");
    }
    bed.unchanged(&before).await;
    bed.pay(&bed.acme, 1_000).await;
}

#[tokio::test]
async fn unknown_configuration_keys() {
    let folder = tempfile::tempdir().expect("there is room");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (data, config) = (path("data"), path("switchyard.toml"));
    std::fs::write(&config, "network = 'regtest'\nlisten_admin = '127.0.0.1:0'\n").expect("room");
    let words = ["standalone", "--listen", ANY, "--admin-listen", ANY, "--data", &data];

    let said = cli::run(&[&words[..], &["--config", &config]].concat(), &[]).await;
    said_no(&said, Invalid, "configuration_invalid");
    let says = format!("switchyard: {config} line 2: unknown field `listen_admin`");
    assert!(said.stderr.starts_with(&says), "{said:?}");

    let said = cli::run(&words, &[("SWITCHYARD_LIMTI", "1")]).await;
    said_no(&said, Invalid, "configuration_invalid");
    assert!(said.stderr.contains("SWITCHYARD_LIMTI: unknown field"), "{said:?}");

    let said = cli::run(&[&words[..], &["--limti", "1"]].concat(), &[]).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(!folder.path().join("data").exists(), "nothing was begun");
}

#[tokio::test]
async fn another_network_than_its_nodes() {
    let mut bed = Bed::make().await;
    bed.world.kill_platform();
    let data = bed.world.folder().join("platform").display().to_string();
    let network = ["standalone", "--network", "mainnet", "--data", &data];
    let said =
        cli::run(&[&network[..], &["--listen", ANY, "--admin-listen", ANY]].concat(), &[]).await;
    said_no(&said, Invalid, "other_network");
    assert!(said.stderr.contains("is on regtest, and this was started for mainnet"), "{said:?}");
    bed.restart().await;
    bed.pay(&bed.acme, 1_000).await;
}

/// What the suites are told by the environment must not keep a platform from starting.
#[tokio::test]
async fn settings_of_the_tests_are_not_unknown_keys() {
    let world = World::without_network(Setup::default()).await.expect("it starts");
    let data = world.folder().join("platform").display().to_string();
    let words = ["standalone", "--listen", ANY, "--admin-listen", ANY, "--data", &data];
    let ours =
        ["SIM_SEED", "SIM_SEEDS", "LND_KEEP", "BIN"].map(|name| format!("SWITCHYARD_{name}"));
    let environment = ours.each_ref().map(|name| (name.as_str(), "1"));
    // It gets as far as to the folder, which is taken.
    assert_eq!(cli::run(&words, &environment).await.code, 9);
}

/// Damaged in its first page, in all others, or cut off: said in one line, and not as something that a
/// repeat would mend.
#[tokio::test]
async fn damaged_database() {
    let mut bed = Bed::make().await;
    bed.pay(&bed.acme, 1_000).await;
    bed.world.kill_platform();
    let data = bed.world.folder().join("platform");
    let path = data.join("switchyard.sqlite");
    // What is in the log beside it would come on top.
    rusqlite::Connection::open(&path)
        .and_then(|database| database.pragma_update(None, "wal_checkpoint", "truncate"))
        .expect("nobody has it open");
    let whole = std::fs::read(&path).expect("it is there");
    let page = 4_096;
    assert!(whole.len() > 4 * page, "there is something to damage");
    let strange = [&whole[..page], &vec![0xa5; whole.len() - page]].concat();
    for damaged in [vec![0xa5; whole.len()], strange, whole[..2 * page].to_vec()] {
        std::fs::write(&path, damaged).expect("there is room");
        let data = data.display().to_string();
        let words = ["standalone", "--listen", ANY, "--admin-listen", ANY, "--data", &data];
        let said = cli::run(&words, &[]).await;
        let code = said.document["error"]["code"].as_str();
        assert_eq!((said.code, code), (70, Some("store_corrupt")), "{said:?}");
        assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
        assert!(!said.stderr.contains("panicked"), "{said:?}");
    }
    std::fs::write(&path, whole).expect("there is room");
    bed.begin_again().await;
    bed.pay(&bed.acme, 1_000).await;
}
