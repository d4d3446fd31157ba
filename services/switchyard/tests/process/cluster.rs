//! Pods whose configuration cannot be meant, refused before anything is asked of a database.

use crate::support::switchyard;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// Nobody listens there.
const STORE: &str = "postgres://nobody@127.0.0.1:1/none";

fn refused(role: &str, flags: &[&str], environment: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let ports: &[&str] = match role {
        "gateway" => &["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"],
        _ if flags.contains(&"--engine-listen") => &[],
        _ => &["--engine-listen", "127.0.0.1:0"],
    };
    let words = [&[role, "--data", data.to_str().unwrap()], ports, flags].concat();
    let call =
        environment.iter().fold(switchyard(&words), |call, (name, value)| call.env(name, value));
    let run = call.run();
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(!run.stderr.contains(SECRET), "{}", run.stderr);
    run.stderr
}

#[test]
fn a_pod_needs_the_secret_of_its_cluster() {
    for role in ["gateway", "engine"] {
        let said = refused(role, &["--store", STORE], &[]);
        assert!(said.contains("SWITCHYARD_CLUSTER_SECRET must hold the secret"), "{said}");
        let short = [("SWITCHYARD_CLUSTER_SECRET", "short")];
        let said = refused(role, &["--store", STORE], &short);
        assert!(said.contains("must be at least 32 characters long"), "{said}");
        assert!(!said.contains("short\n"), "{said}");
    }
}

#[test]
fn pods_share_a_database_and_the_keys_that_seal_it() {
    let secret = ("SWITCHYARD_CLUSTER_SECRET", SECRET);
    for role in ["gateway", "engine"] {
        let said = refused(role, &[], &[secret]);
        assert!(said.contains("the pods of a cluster share a database"), "{said}");
        let said = refused(role, &["--store", STORE], &[secret]);
        assert!(said.contains("SWITCHYARD_SEAL_KEYS"), "{said}");
    }
}

#[test]
fn an_engine_says_where_others_reach_it() {
    let secret = ("SWITCHYARD_CLUSTER_SECRET", SECRET);
    let everywhere = ["--store", STORE, "--engine-listen", "0.0.0.0:0"];
    let said = refused("engine", &everywhere, &[secret]);
    assert!(said.contains("--advertise host:port"), "{said}");
    let wrong = ("SWITCHYARD_ADVERTISE", "somewhere");
    let said = refused("engine", &["--store", STORE], &[secret, wrong]);
    assert!(said.contains("SWITCHYARD_ADVERTISE: must be host:port"), "{said}");
    let wrong = ("SWITCHYARD_NAME", "two words");
    let said = refused("engine", &["--store", STORE], &[secret, wrong]);
    assert!(said.contains("SWITCHYARD_NAME: must be one word"), "{said}");
}
