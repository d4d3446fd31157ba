//! Names: people find things by them, so one name is one thing.

use domain::ErrorClass::{Conflict, Invalid, NotFound};
use serde_json::json;
use tests::world::new_id;

use crate::bed::{Bed, said_no};

/// Made once; with its id as often as one likes; under another id not again.
async fn is_made_once(bed: &Bed, words: &[&str]) {
    let id = new_id();
    let with_id = [words, &["--id", &id]].concat();
    let made = bed.cli(&bed.acme, &with_id).await;
    assert_eq!(made.code, 0, "{made:?}");
    let before = bed.books().await;
    let repeated = bed.cli(&bed.acme, &with_id).await;
    assert_eq!((repeated.code, repeated.document), (0, made.document));
    said_no(&bed.cli(&bed.acme, words).await, Conflict, "name_taken");
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let bed = Bed::make().await;
    is_made_once(&bed, &["env", "create", "--org", "acme", "test"]).await;
    let made = bed.cli(
        &bed.acme,
        &["line", "open", "--org", "acme", "--env", "test", "--limit-msat", "1000"],
    );
    let made = made.await;
    let line = made.document["id"].as_str().expect("a line has an id").to_owned();
    let wallet = ["wallet", "create", "--org", "acme", "--env", "test", "--line", &line];
    is_made_once(&bed, &[&wallet[..], &["--limit-msat", "500", "main"]].concat()).await;
}

#[tokio::test]
async fn an_environment_is_renamed_and_everything_in_it_stays() {
    let mut bed = Bed::make().await;
    let rename = ["environment", "rename", "--org", "acme"];
    let (acme, made) = (bed.acme.clone(), new_id());
    let test = ["env", "create", "--org", "acme", "test", "--id", &made];
    assert_eq!(bed.cli(&acme, &test).await.code, 0);
    let before = bed.books().await;
    let nobody = new_id();
    for (words, class, code) in [
        (["test", "live"], Conflict, "name_taken"),
        (["test", ""], Invalid, "field_missing"),
        (["test", &"x".repeat(257)], Invalid, "text_too_long"),
        ([&nobody, "stage"], NotFound, "environment_not_found"),
        (["nowhere", "stage"], NotFound, "not_found"),
    ] {
        said_no(&bed.cli(&acme, &[&rename[..], &words].concat()).await, class, code);
    }
    bed.unchanged(&before).await;

    for (environment, name) in [("live", "shop"), ("shop", "shop"), ("test", "live")] {
        let said = bed.cli(&acme, &[&rename[..], &[environment, name]].concat()).await;
        assert_eq!((said.code, &said.document["name"]), (0, &json!(name)), "{said:?}");
    }
    // A repeat of what made it is still one, its key still opens it, and both after another start.
    bed.restart().await;
    assert_eq!(bed.cli(&acme, &test).await.code, 0);
    bed.pay(&acme, 1_000).await;
    let all = bed.cli(&acme, &["env", "list", "--org", "acme"]).await;
    let names: Vec<_> = all.document["environments"].as_array().expect("a list").iter().collect();
    let names: Vec<_> = names.iter().map(|of| of["name"].clone()).collect();
    assert!(names.contains(&json!("shop")) && names.contains(&json!("live")), "{names:?}");
    assert!(bed.world.audit().await.findings.is_empty());
}

#[tokio::test]
async fn no_name_moves_a_terminals_cursor() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let name = "a\u{1b}[2Jb";
    for words in [vec!["org", "create", name], vec!["env", "create", "--org", "acme", name]] {
        said_no(&bed.cli(&bed.acme, &words).await, Invalid, "text_invalid");
    }
    bed.unchanged(&before).await;
}
