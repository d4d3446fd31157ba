//! What a script may rely on before anything runs.

use crate::support::switchyard;

#[test]
fn the_exit_codes_are_in_the_help() {
    let help = switchyard(&["--help"]).run();
    assert_eq!(help.code, 0);
    let codes: Vec<&str> = help
        .stdout
        .lines()
        .skip_while(|line| *line != "Exit codes:")
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(codes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "70", "130"]);
}

#[test]
fn wrong_usage_has_a_code_of_its_own() {
    for wrong in [&["no-such-command"][..], &["sim", "nodes", "--no-such-flag"], &["sim", "nodes"]]
    {
        let run = switchyard(wrong).run();
        assert_eq!(run.code, 2, "{wrong:?}: {}", run.stderr);
        assert!(run.stdout.is_empty());
    }
}

#[test]
fn what_does_not_run_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let run = switchyard(&["--json", "sim", "nodes", "--sim", data]).run();
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert_eq!(run.json()["error"]["code"], "not_running");
    assert_eq!(run.json()["error"]["retryable"], "same_id");
}

#[test]
fn one_of_two_is_asked_for_by_both_names() {
    let wallet = ["wallet", "create", "w", "--org", "o", "--env", "e", "--limit-msat", "1"];
    let node = ["node", "add", "n", "host:1", "--macaroon", "m"];
    let line = "01a20ae0-e07d-73ad-b7aa-21f132985458";
    for (args, both) in [
        (&wallet[..], "<--line <UUID>|--node <NODE>>"),
        (&[&node[..], &["--pool"]].concat(), "<--certificate <FILE>|--public-authority>"),
        (&[&node[..], &["--public-authority"]].concat(), "<--org <ORG>|--pool>"),
    ] {
        let run = switchyard(args).run();
        assert_eq!(run.code, 2, "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(both), "{args:?}: {}", run.stderr);
    }
    let run = switchyard(&[&wallet[..], &["--line", line, "--node", "n"]].concat()).run();
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("cannot be used with"), "{}", run.stderr);
}
