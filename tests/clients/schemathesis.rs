//! schemathesis makes requests out of the document that the platform serves, good ones and bad ones, and holds
//! each answer against it: no 500, nothing undocumented, nothing taken that the document forbids.

use tests::world::new_id;
use tokio::process::Command;

use crate::bed::{Bed, folder, went_well};

/// Every run tries the same; `SCHEMATHESIS_SEED` tries others.
const SEED: &str = "20261129";

#[tokio::test]
async fn no_request_gets_a_500_or_an_undocumented_answer() {
    let program = folder("../.tools/schemathesis/bin/st");
    assert!(program.is_file(), "run tests/schemathesis/install.sh first");
    let bed = Bed::make().await;
    // A wallet with money in it cannot be deleted, whoever tries.
    let invoice = bed.world.invoice("alice", 25_000_000, "").await;
    let merchant = &bed.merchant;
    let mut payments = merchant.payments(bed.world.connect());
    let paid = payments.send(merchant.send(&new_id(), &invoice)).await;
    let payment = paid.expect("the send is taken").into_inner().id;
    let seed = std::env::var("SCHEMATHESIS_SEED").unwrap_or_else(|_| SEED.to_owned());
    eprintln!("schemathesis: seed {seed}");
    let address = bed.world.ready["address"].as_str().expect("it says where it is");
    let rules = folder("schemathesis");
    let mut run = Command::new(program);
    run.arg("--config-file").arg(rules.join("schemathesis.toml"));
    run.args(["--no-color", "run", &format!("http://{address}/openapi.json"), "--seed", &seed]);
    // Its own cache of examples would make one run depend on the last.
    run.current_dir(bed.world.folder());
    run.env("MERCHANT_PAYMENT", &payment)
        .env("MERCHANT_INVOICE", bed.world.invoice("alice", 0, "").await)
        .env("MERCHANT_SPARE_LINE", bed.line().await)
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", &rules)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let output = bed.run(run).await;
    went_well(&output);
    println!("{}", String::from_utf8_lossy(&output.stdout));
    bed.books_agree().await;
}
