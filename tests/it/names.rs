//! Names: people find things by them, so one name is one thing.

use domain::ErrorClass::{Conflict, Invalid};
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
async fn no_name_moves_a_terminals_cursor() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let name = "a\u{1b}[2Jb";
    for words in [vec!["org", "create", name], vec!["env", "create", "--org", "acme", name]] {
        said_no(&bed.cli(&bed.acme, &words).await, Invalid, "text_invalid");
    }
    bed.unchanged(&before).await;
}
