//! `voltage-api-sdk` as it is published, with its own polling: `tests/sdk/sdk.test.mjs` says what it does.

use tokio::process::Command;

use crate::bed::{Bed, folder, went_well};

/// Stories in the file. A file that runs none of them would go well too.
const STORIES: &str = "# pass 12";

#[tokio::test]
async fn the_published_sdk_works_unmodified() {
    let sdk = folder("sdk");
    let installed = sdk.join("node_modules/voltage-api-sdk/package.json");
    assert!(installed.is_file(), "run tests/sdk/install.sh first");
    let bed = Bed::make().await;
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter", "tap", "sdk.test.mjs"]).current_dir(&sdk);
    let output = bed.run(node).await;
    went_well(&output);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(STORIES), "{said}");
    bed.books_agree().await;
}
