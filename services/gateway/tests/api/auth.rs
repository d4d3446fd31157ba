use proto::{
    admin::v1 as admin,
    admin::v1::{
        installation_client::InstallationClient, keys_client::KeysClient,
        nodes_client::NodesClient, organisations_client::OrganisationsClient,
    },
    v1::{
        self, events_client::EventsClient, lines_client::LinesClient,
        nodes_client::NodesClient as OwnNodesClient, payments_client::PaymentsClient,
        wallets_client::WalletsClient,
    },
};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::world::{Shown, TOKEN, World, invoice, payment, refusal, show};

/// Every public call, with nothing in it: whoever may not call learns nothing about that.
async fn public_refusals(shown: Shown) -> Vec<(Code, String)> {
    let mut payments = PaymentsClient::new(shown.clone());
    let mut wallets = WalletsClient::new(shown.clone());
    let mut lines = LinesClient::new(shown.clone());
    let mut own_nodes = OwnNodesClient::new(shown.clone());
    let mut events = EventsClient::new(shown);
    vec![
        refusal(payments.send(v1::SendRequest::default()).await),
        refusal(payments.receive(v1::ReceiveRequest::default()).await),
        refusal(payments.get_payment(v1::GetPaymentRequest::default()).await),
        refusal(payments.list_payments(v1::ListPaymentsRequest::default()).await),
        refusal(payments.watch_payment(v1::WatchPaymentRequest::default()).await),
        refusal(payments.decode(v1::DecodeRequest::default()).await),
        refusal(payments.send_stream(tokio_stream::empty()).await),
        refusal(payments.history(v1::HistoryRequest::default()).await),
        refusal(payments.summary(v1::SummaryRequest::default()).await),
        refusal(payments.estimate(v1::EstimateRequest::default()).await),
        refusal(wallets.create(v1::CreateWalletRequest::default()).await),
        refusal(wallets.rename(v1::RenameWalletRequest::default()).await),
        refusal(wallets.delete(v1::DeleteWalletRequest::default()).await),
        refusal(wallets.get(v1::GetWalletRequest::default()).await),
        refusal(wallets.list(v1::ListWalletsRequest::default()).await),
        refusal(wallets.ledger(v1::LedgerRequest::default()).await),
        refusal(lines.get(v1::GetLineRequest::default()).await),
        refusal(lines.list(v1::ListLinesRequest::default()).await),
        refusal(lines.change_sandbox(v1::ChangeSandboxRequest::default()).await),
        refusal(own_nodes.get(v1::GetNodeRequest::default()).await),
        refusal(own_nodes.list(v1::ListNodesRequest::default()).await),
        refusal(events.list(v1::ListEventsRequest::default()).await),
        refusal(events.follow(v1::FollowEventsRequest::default()).await),
    ]
}

async fn admin_refusals(shown: Shown) -> Vec<(Code, String)> {
    let mut organisations = OrganisationsClient::new(shown.clone());
    let mut keys = KeysClient::new(shown.clone());
    let mut nodes = NodesClient::new(shown.clone());
    let mut installation = InstallationClient::new(shown);
    vec![
        refusal(organisations.create(admin::CreateOrganisationRequest::default()).await),
        refusal(organisations.list(admin::ListOrganisationsRequest::default()).await),
        refusal(organisations.get(admin::GetOrganisationRequest::default()).await),
        refusal(organisations.create_environment(admin::CreateEnvironmentRequest::default()).await),
        refusal(organisations.rename_environment(admin::RenameEnvironmentRequest::default()).await),
        refusal(organisations.open_line(admin::OpenLineRequest::default()).await),
        refusal(organisations.set_line_limit(admin::SetLineLimitRequest::default()).await),
        refusal(organisations.set_node_funds(admin::SetNodeFundsRequest::default()).await),
        refusal(organisations.create_wallet(admin::CreateWalletRequest::default()).await),
        refusal(organisations.set_wallet_limit(admin::SetWalletLimitRequest::default()).await),
        refusal(keys.create(admin::CreateKeyRequest::default()).await),
        refusal(keys.revoke(admin::RevokeKeyRequest::default()).await),
        refusal(keys.list(admin::ListKeysRequest::default()).await),
        refusal(nodes.register(admin::RegisterNodeRequest::default()).await),
        refusal(nodes.list(admin::ListNodesRequest::default()).await),
        refusal(nodes.stop(admin::StopNodeRequest::default()).await),
        refusal(nodes.resume(admin::ResumeNodeRequest::default()).await),
        refusal(installation.status(admin::StatusRequest::default()).await),
        refusal(installation.audit(admin::AuditRequest::default()).await),
        refusal(installation.thaw(admin::ThawRequest::default()).await),
    ]
}

#[track_caller]
fn all(refusals: &[(Code, String)], code: &str) {
    for refusal in refusals {
        assert_eq!(refusal, &(Code::Unauthenticated, code.to_owned()));
    }
}

#[tokio::test]
async fn no_public_call_answers_without_a_key_that_is_valid() {
    let world = World::new().await;
    let long = "x".repeat(5_000);
    for (key, value, code) in [
        ("x-other", "x", "missing_credentials"),
        ("authorization", "Basic abc", "missing_credentials"),
        ("x-api-key", "", "wrong_credentials"),
        ("x-api-key", "switchyard_00", "wrong_credentials"),
        ("x-api-key", long.as_str(), "wrong_credentials"),
        ("authorization", "Bearer switchyard_00", "wrong_credentials"),
        ("authorization", &format!("Bearer {TOKEN}"), "wrong_credentials"),
    ] {
        all(&public_refusals(show(&world.public, key, value)).await, code);
    }
}

#[tokio::test]
async fn a_revoked_key_is_like_one_that_never_was() {
    let world = World::new().await;
    let revoke = admin::RevokeKeyRequest { id: world.book.key_id.clone() };
    world.keys().revoke(revoke.clone()).await.unwrap();
    world.keys().revoke(revoke).await.unwrap();
    let shown = show(&world.public, "x-api-key", &world.book.key);
    all(&public_refusals(shown).await, "wrong_credentials");
    let unknown = admin::RevokeKeyRequest { id: Uuid::from_u128(99).to_string() };
    let unknown = refusal(world.keys().revoke(unknown).await);
    assert_eq!(unknown, (Code::NotFound, "key_not_found".to_owned()));
}

#[tokio::test]
async fn no_admin_call_answers_without_the_token() {
    let world = World::new().await;
    for (key, value, code) in [
        ("x-other", "x", "missing_credentials"),
        ("x-api-key", TOKEN, "missing_credentials"),
        ("authorization", TOKEN, "missing_credentials"),
        ("authorization", "Bearer ", "wrong_credentials"),
        ("authorization", "Bearer a token of the operato", "wrong_credentials"),
        ("authorization", &format!("Bearer {}", world.book.key), "wrong_credentials"),
    ] {
        all(&admin_refusals(show(&world.private, key, value)).await, code);
    }
}

#[tokio::test]
async fn both_forms_of_a_key_are_good() {
    let world = World::new().await;
    let bearer = format!("bearer {}", world.book.key);
    for (key, value) in [("x-api-key", world.book.key.as_str()), ("authorization", &bearer)] {
        let mut lines = LinesClient::new(show(&world.public, key, value));
        let listed = lines.list(v1::ListLinesRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.lines.len(), 1);
        assert_eq!(listed.lines[0].id, world.book.line);
    }
}

/// Everything that a client can see of a refusal, without the id it is about.
fn seen(status: &Status, id: &str) -> String {
    let details = status.details().len();
    let message = status.message().replace(id, "ID");
    let metadata = status.metadata().clone().into_headers();
    let headers: Vec<_> = metadata
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "grpc-status-details-bin"))
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("{:?} {message} {details} {headers:?}", status.code())
}

#[tokio::test]
async fn what_is_not_yours_is_like_what_never_was() {
    let world = World::new().await;
    let (shops, strangers) = (payment(71), payment(72));
    for (part, id, number) in [(&world.shop, shops, 71), (&world.stranger, strangers, 72)] {
        let sent = part.payments(&world).send(part.send(id, &invoice(number, Some(1_000)))).await;
        assert_eq!(sent.unwrap().into_inner().status(), v1::PaymentStatus::Sending);
    }

    let (mut payments, mut wallets) = (world.book.payments(&world), world.book.wallets(&world));
    let nothing = payment(73);
    let mut seen_of_payments = Vec::new();
    for id in [nothing, shops, strangers].map(|id| id.to_string()) {
        let get = payments.get_payment(v1::GetPaymentRequest { id: id.clone() }).await;
        let watch = payments.watch_payment(v1::WatchPaymentRequest { id: id.clone() }).await;
        seen_of_payments
            .push([seen(&get.unwrap_err(), &id), seen(&watch.map(|_| ()).unwrap_err(), &id)]);
    }
    assert!(seen_of_payments.iter().all(|seen| seen == &seen_of_payments[0]));
    assert!(seen_of_payments[0][0].starts_with("NotFound payment ID not found"));

    let none = Uuid::from_u128(74).to_string();
    let shops = world.shop.wallet.to_string();
    let strangers = world.stranger.wallet.to_string();
    let mut seen_of_wallets = Vec::new();
    for wallet_id in [none, shops, strangers] {
        let id = wallet_id.clone();
        let get = wallets.get(v1::GetWalletRequest { id }).await;
        let ledger = v1::LedgerRequest { wallet_id: wallet_id.clone(), ..Default::default() };
        let ledger = wallets.ledger(ledger).await;
        let list = v1::ListPaymentsRequest { wallet_id: wallet_id.clone(), ..Default::default() };
        let list = payments.list_payments(list).await;
        let send = world.book.send(payment(75), &invoice(75, Some(1_000)));
        let send = payments.send(v1::SendRequest { wallet_id: wallet_id.clone(), ..send }).await;
        let receive = v1::ReceiveRequest {
            id: payment(76).to_string(),
            wallet_id: wallet_id.clone(),
            ..Default::default()
        };
        let receive = payments.receive(receive).await;
        seen_of_wallets.push([
            seen(&get.unwrap_err(), &wallet_id),
            seen(&ledger.unwrap_err(), &wallet_id),
            seen(&list.unwrap_err(), &wallet_id),
            seen(&send.unwrap_err(), &wallet_id),
            seen(&receive.unwrap_err(), &wallet_id),
        ]);
    }
    assert!(seen_of_wallets.iter().all(|seen| seen == &seen_of_wallets[0]));
    assert!(seen_of_wallets[0].iter().all(|seen| seen.starts_with("NotFound wallet ID not")));
    assert!(!world.fake.has_payment(world.book.org, payment(75)));

    let mut lines = world.book.lines(&world);
    let mut seen_of_lines = Vec::new();
    let none = Uuid::from_u128(77).to_string();
    for id in [none, world.shop.line.clone(), world.stranger.line.clone()] {
        let get = lines.get(v1::GetLineRequest { id: id.clone() }).await;
        seen_of_lines.push(seen(&get.unwrap_err(), &id));
    }
    assert!(seen_of_lines.iter().all(|seen| seen == &seen_of_lines[0]));
}
