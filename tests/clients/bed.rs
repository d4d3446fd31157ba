//! A platform on mutinynet with one merchant, and what a client in another language is told of both.

use std::{
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};

use proto::admin::v1::{self as admin, create_wallet_request::Backing};
use tests::{
    process::switchyard,
    world::{Customer, LIMIT_MSAT, Setup, World, new_id},
};
use tokio::{process::Command, time::timeout};
use tonic::Status;

/// A client that hangs is a failure too.
const CLIENT_ENDS_WITHIN: Duration = Duration::from_secs(300);

pub(crate) struct Bed {
    pub(crate) world: World,
    pub(crate) merchant: Customer,
}

impl Bed {
    pub(crate) async fn make() -> Bed {
        let flags = ["--network", "mutinynet"].map(str::to_owned).to_vec();
        let setup = Setup { chain: Some("signet"), flags, ..Setup::default() };
        let world = World::start(setup).await.expect("the world starts");
        let merchant = merchant(&world).await.expect("a merchant can be made");
        Bed { world, merchant }
    }

    /// One more line of credit of the merchant's environment; answers with its id.
    pub(crate) async fn line(&self) -> String {
        let Customer { org, environment, .. } = &self.merchant;
        open_line(&self.world, org, environment).await.expect("lines can be opened")
    }

    /// Runs a client to its end; what it said is shown when it fails.
    pub(crate) async fn run(&self, mut client: Command) -> Output {
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SWITCHYARD_")) {
            client.env_remove(name);
        }
        let address = self.world.ready["address"].as_str().expect("it says where it is");
        client
            .env("MERCHANT_URL", format!("http://{address}"))
            .env("MERCHANT_KEY", &self.merchant.key)
            .env("MERCHANT_ORGANIZATION", &self.merchant.org)
            .env("MERCHANT_ENVIRONMENT", &self.merchant.environment)
            .env("MERCHANT_WALLET", &self.merchant.wallet)
            .env("MERCHANT_LINE", &self.merchant.line)
            .env("SWITCHYARD", switchyard())
            .env("SWITCHYARD_SIM", self.world.folder().join("network"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let ended = timeout(CLIENT_ENDS_WITHIN, client.output()).await;
        ended.expect("the client ends in time").expect("the client can be started")
    }

    /// Whatever a client did, the books agree with every node.
    pub(crate) async fn books_agree(&self) {
        let audit = self.world.audit().await;
        assert_eq!((&audit.findings, audit.frozen.as_str()), (&Vec::new(), ""));
        assert!(audit.payments > 0, "the client paid");
    }
}

/// Its wallet leaves half of the line to wallets that clients make.
async fn merchant(world: &World) -> Result<Customer, Status> {
    let (org, environment) = world.organisation("acme").await?;
    let line = open_line(world, &org, &environment).await?;
    let backing = Backing::LineId(line.clone());
    let wallet = world.wallet(&org, &environment, backing, LIMIT_MSAT / 2).await?;
    let key = world.key(&org, &environment).await?;
    Ok(Customer { org, environment, line, wallet, key })
}

async fn open_line(world: &World, org: &str, environment: &str) -> Result<String, Status> {
    let id = new_id();
    let request = admin::OpenLineRequest {
        organisation_id: org.to_owned(),
        id: id.clone(),
        environment_id: environment.to_owned(),
        limit_msat: LIMIT_MSAT,
    };
    world.organisations().open_line(request).await?;
    Ok(id)
}

/// A folder of a client's files beside these sources.
pub(crate) fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[track_caller]
pub(crate) fn went_well(output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}\n{complained}", output.status);
}
