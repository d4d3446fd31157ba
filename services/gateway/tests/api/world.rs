//! Both listeners on free ports, two organisations, three environments, and a key for each.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use bitcoin::{
    hashes::{Hash, sha256},
    secp256k1::{Secp256k1, SecretKey},
};
use domain::{EnvironmentId, Network, OrgId, PaymentId, Preimage, SessionId, WalletId};
use gateway::{AdminToken, Gateway, RateLimit, serve_admin, serve_public};
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};
use placement::Bell;
use ports::SharedCounts;
use proto::{
    Problem,
    admin::v1::{
        self as admin, installation_client::InstallationClient, keys_client::KeysClient,
        nodes_client::NodesClient, organisations_client::OrganisationsClient,
    },
    v1::{
        self, events_client::EventsClient, lines_client::LinesClient,
        nodes_client::NodesClient as OwnNodesClient, payments_client::PaymentsClient,
        wallets_client::WalletsClient,
    },
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use uuid::Uuid;

use crate::fake::{Fake, NODE};

pub(crate) const TOKEN: &str = "a token of the operator";

/// When the tests begin, and when their invoices are made.
pub(crate) const BEGIN_MS: i64 = 1_700_000_000_000;

pub(crate) struct World {
    pub(crate) fake: Arc<Fake>,
    pub(crate) public: Channel,
    /// Where REST is.
    pub(crate) public_at: String,
    pub(crate) private: Channel,
    pub(crate) book: Part,
    /// Another environment of the same organisation.
    pub(crate) shop: Part,
    /// Of another organisation.
    pub(crate) stranger: Part,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

/// What may be otherwise in a test.
pub(crate) struct How {
    pub(crate) network: Network,
    pub(crate) rate_limit: RateLimit,
    pub(crate) counts: Option<Arc<dyn SharedCounts>>,
}

impl Default for How {
    fn default() -> How {
        let rate_limit = RateLimit::per_second(NonZeroU32::MAX);
        How { network: Network::Regtest, rate_limit, counts: None }
    }
}

/// One environment with what is in it.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) org: OrgId,
    pub(crate) environment: EnvironmentId,
    pub(crate) wallet: WalletId,
    pub(crate) line: String,
    pub(crate) key: String,
    pub(crate) key_id: String,
}

#[derive(Clone)]
pub(crate) struct Show(&'static str, MetadataValue<Ascii>);

impl Interceptor for Show {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(self.0, self.1.clone());
        Ok(request)
    }
}

pub(crate) type Shown = InterceptedService<Channel, Show>;

pub(crate) fn show(channel: &Channel, key: &'static str, value: &str) -> Shown {
    let value = MetadataValue::try_from(value).unwrap();
    InterceptedService::new(channel.clone(), Show(key, value))
}

impl Part {
    pub(crate) fn payments(&self, world: &World) -> PaymentsClient<Shown> {
        PaymentsClient::new(show(&world.public, "x-api-key", &self.key))
    }

    pub(crate) fn wallets(&self, world: &World) -> WalletsClient<Shown> {
        WalletsClient::new(show(&world.public, "x-api-key", &self.key))
    }

    pub(crate) fn lines(&self, world: &World) -> LinesClient<Shown> {
        LinesClient::new(show(&world.public, "x-api-key", &self.key))
    }

    pub(crate) fn nodes(&self, world: &World) -> OwnNodesClient<Shown> {
        OwnNodesClient::new(show(&world.public, "x-api-key", &self.key))
    }

    pub(crate) fn events(&self, world: &World) -> EventsClient<Shown> {
        EventsClient::new(show(&world.public, "x-api-key", &self.key))
    }

    pub(crate) fn send(&self, id: PaymentId, invoice: &str) -> v1::SendRequest {
        v1::SendRequest {
            id: id.to_string(),
            wallet_id: self.wallet.to_string(),
            invoice: invoice.to_owned(),
            ..v1::SendRequest::default()
        }
    }
}

impl World {
    pub(crate) async fn new() -> World {
        World::with(How::default()).await
    }

    pub(crate) async fn with(how: How) -> World {
        let fake = Arc::new(Fake::default());
        fake.set_now(BEGIN_MS);
        fake.add_node_of(domain::NodeId::new(Uuid::from_u128(NODE)), None);
        let gateway = Gateway {
            orgs: fake.clone(),
            reads: fake.clone(),
            directory: fake.clone(),
            idempotency: fake.clone(),
            operations: fake.clone(),
            clock: fake.clone(),
            network: how.network,
            rate_limit: how.rate_limit,
            wakes: Arc::new(Bell::default()),
            counts: how.counts,
            session: SessionId::new(Uuid::nil()),
        };
        let (public, public_at) = listener().await;
        let (private, private_at) = listener().await;
        let (stop, stopped) = oneshot::channel();
        let door = gateway.clone();
        let served = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            serve_public(public, door, stopped).await.unwrap();
        });
        let token = AdminToken::new(TOKEN).unwrap();
        tokio::spawn(serve_admin(private, gateway, token, std::future::pending()));
        let private = Channel::from_shared(private_at).unwrap().connect_lazy();
        let book = part(&private, 1, 1).await;
        let shop = part(&private, 1, 2).await;
        let stranger = part(&private, 2, 3).await;
        let public = Channel::from_shared(public_at.clone()).unwrap().connect_lazy();
        World { fake, public, public_at, private, book, shop, stranger, stop, served }
    }

    pub(crate) fn organisations(&self) -> OrganisationsClient<Shown> {
        OrganisationsClient::new(operator(&self.private))
    }

    pub(crate) fn keys(&self) -> KeysClient<Shown> {
        KeysClient::new(operator(&self.private))
    }

    pub(crate) fn nodes(&self) -> NodesClient<Shown> {
        NodesClient::new(operator(&self.private))
    }

    pub(crate) fn installation(&self) -> InstallationClient<Shown> {
        InstallationClient::new(operator(&self.private))
    }

    /// Stops the public listener; the answer comes when it has.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        self.stop.send(()).unwrap();
        self.served
    }
}

fn operator(channel: &Channel) -> Shown {
    show(channel, "authorization", &format!("Bearer {TOKEN}"))
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, format!("http://{address}"))
}

/// Makes an environment with a line, a wallet and a key, as an operator does.
async fn part(private: &Channel, org: u128, number: u128) -> Part {
    let id = |kind: u128| Uuid::from_u128(kind << 16 | number).to_string();
    let org_id = Uuid::from_u128(org).to_string();
    let mut organisations = OrganisationsClient::new(operator(private));
    organisations
        .create(admin::CreateOrganisationRequest { id: org_id.clone(), name: format!("org {org}") })
        .await
        .unwrap();
    organisations
        .create_environment(admin::CreateEnvironmentRequest {
            organisation_id: org_id.clone(),
            id: id(1),
            name: format!("environment {number}"),
        })
        .await
        .unwrap();
    organisations
        .open_line(admin::OpenLineRequest {
            organisation_id: org_id.clone(),
            id: id(2),
            environment_id: id(1),
            limit_msat: 1_000_000_000,
        })
        .await
        .unwrap();
    organisations
        .create_wallet(admin::CreateWalletRequest {
            organisation_id: org_id.clone(),
            id: id(3),
            environment_id: id(1),
            name: "till".to_owned(),
            backing: Some(admin::create_wallet_request::Backing::LineId(id(2))),
            limit_msat: 500_000_000,
        })
        .await
        .unwrap();
    let made = KeysClient::new(operator(private))
        .create(admin::CreateKeyRequest {
            id: id(4),
            organisation_id: org_id.clone(),
            environment_id: id(1),
            name: "till".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    Part {
        org: org_id.parse().unwrap(),
        environment: id(1).parse().unwrap(),
        wallet: id(3).parse().unwrap(),
        line: id(2),
        key: made.secret,
        key_id: id(4),
    }
}

pub(crate) fn payment(number: u128) -> PaymentId {
    PaymentId::new(Uuid::from_u128(number))
}

pub(crate) fn preimage(number: u8) -> Preimage {
    Preimage([number; 32])
}

/// An invoice for the preimage, good for an hour.
pub(crate) fn invoice(number: u8, amount_msat: Option<u64>) -> String {
    invoice_for(preimage(number), amount_msat)
}

pub(crate) fn invoice_for(preimage: Preimage, amount_msat: Option<u64>) -> String {
    let seconds = u64::try_from(BEGIN_MS).unwrap() / 1_000;
    let builder = InvoiceBuilder::new(Currency::Regtest)
        .description("a book".to_owned())
        .payment_hash(sha256::Hash::from_byte_array(preimage.hash().0))
        .duration_since_epoch(Duration::from_secs(seconds))
        .min_final_cltv_expiry_delta(80)
        .payment_secret(PaymentSecret([5; 32]))
        .basic_mpp();
    let raw = match amount_msat {
        Some(amount_msat) => builder.amount_milli_satoshis(amount_msat).build_raw(),
        None => builder.build_raw(),
    };
    let key = SecretKey::from_slice(&[9; 32]).unwrap();
    let secp = Secp256k1::new();
    let signed = raw.unwrap().sign(|hash| Ok::<_, ()>(secp.sign_ecdsa_recoverable(hash, &key)));
    signed.unwrap().to_string()
}

/// The code and class of a refusal.
#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug>(
    answer: Result<tonic::Response<T>, Status>,
) -> (tonic::Code, String) {
    let status = answer.unwrap_err();
    (status.code(), Problem::from_status(&status).code.into_owned())
}
