//! What a demonstration says to whoever started it.

use std::path::Path;

use serde_json::json;

use super::onboard::{
    CREDIT_WALLET, CREDIT_WALLET_MSAT, House, LINE_MSAT, NODE_WALLET, NODE_WALLET_MSAT,
};
use crate::{output::Output, ready, show::sat};

/// What is to be paid first. By REST the caller brings the id.
pub(crate) struct FirstPayment {
    pub(crate) id: String,
    pub(crate) invoice: String,
}

pub(super) fn show(platform: &ready::Platform, house: &House, pay: &FirstPayment, out: &Output) {
    let invoice = &pay.invoice;
    let key_file = platform.process.data.join(ready::DEMO_KEY_FILE);
    let own_binary = std::env::current_exe().unwrap_or_else(|_| "switchyard".into());
    let first = first_payment(platform, pay);
    let by_rest = by_rest(platform, house, pay, &quoted(&key_file));
    let document = json!({
        "ready": platform,
        "key_file": key_file,
        "invoice": invoice,
        "first_payment": first,
        "first_payment_by_rest": by_rest,
        "demo": house,
    });
    out.answer(&document, || {
        format!(
            "{where_it_is}\n\
             Make a first payment, 25,000 sat to alice. Paste this into another terminal:\n\n\
             \x20 {first}\n\n\
             Or the same by REST; pasted twice, it is still one payment:\n\n\
             \x20 {by_rest}\n\n\
             {more}\n\
             Ctrl-C stops everything; started again, everything is still there.",
            where_it_is = where_it_is(platform, &quoted(&key_file)),
            more = more(&own_binary, &platform.process.data),
        )
    });
}

/// The line that makes it.
pub(crate) fn first_payment(platform: &ready::Platform, pay: &FirstPayment) -> String {
    let (data, invoice) = (quoted(&platform.process.data), &pay.invoice);
    let own_binary = std::env::current_exe().unwrap_or_else(|_| "switchyard".into());
    let binary = quoted(&own_binary);
    format!("{binary} pay --data {data} --wallet {CREDIT_WALLET} {invoice}")
}

/// The same payment as any HTTP client makes it.
pub(crate) fn by_rest(
    platform: &ready::Platform,
    house: &House,
    pay: &FirstPayment,
    key_file: &str,
) -> String {
    let body = json!({
        "id": pay.id,
        "wallet_id": house.credit_wallet_id,
        "currency": "btc",
        "type": "bolt11",
        "data": { "payment_request": pay.invoice },
    });
    format!(
        "curl -sS http://{address}/v1/organizations/{org}/environments/{environment}/payments \\
    -H \"x-api-key: $(cat {key_file})\" -H 'content-type: application/json' \\
    -H 'prefer: return=representation, wait=30' \\
    -d '{body}'",
        address = platform.address,
        org = house.organisation_id,
        environment = house.environment_id,
    )
}

fn where_it_is(platform: &ready::Platform, key_file: &str) -> String {
    format!(
        "
Switchyard is running beside a simulated Lightning network of six nodes.

  customers call   http://{address} (REST; gRPC, switchyard.v1)
  to read and try  http://{address}/docs
  operators call   {admin} (gRPC, switchyard.admin.v1)
  metrics          {metrics}
  data folder      {data}
  API key          in {key_file}
  admin token      in {token}
  wallets          {CREDIT_WALLET:9} {credit:>13}, drawn on a line of credit of {line}
                   {NODE_WALLET:9} {own:>13}, drawn on the organisation's own node, customer
  nodes            pool-1, pool-2 are the house's; alice, bob and hub are the world outside
",
        address = platform.address,
        admin = platform.admin_address,
        metrics = metrics(platform),
        data = quoted(&platform.process.data),
        token = quoted(&platform.admin_token_file),
        credit = sat(CREDIT_WALLET_MSAT),
        line = sat(LINE_MSAT),
        own = sat(NODE_WALLET_MSAT),
    )
}

fn metrics(platform: &ready::Platform) -> String {
    match platform.process.metrics_address {
        Some(address) => format!("http://{address}/metrics, /healthz, /readyz"),
        None => "not kept".to_owned(),
    }
}

fn more(binary: &Path, data: &Path) -> String {
    let bin = binary.parent().unwrap_or(Path::new("."));
    format!(
        "Then, once this is pasted:

  export PATH={bin}:$PATH SWITCHYARD_DATA={data}

  switchyard wallet list
  switchyard wallet ledger {CREDIT_WALLET}
  switchyard line show
  # pay over the organisation's own node
  switchyard pay --wallet {NODE_WALLET} $(switchyard sim invoice bob --amount-msat 5000000)
  # be paid from outside
  switchyard sim pay bob $(switchyard invoice --wallet {CREDIT_WALLET} --amount-msat 2000000 --bare)
  # break one node: the other one pays
  switchyard sim fault pool-1 no_route
  switchyard pay --wallet {CREDIT_WALLET} $(switchyard sim invoice alice --amount-msat 1000000)
  switchyard sim clear
  # leave a payment in flight: its outcome is not known for 20 seconds (exit code 3), then it is
  switchyard sim fault all slow:20000
  INVOICE=$(switchyard sim invoice alice --amount-msat 1000000)
  switchyard pay --wallet {CREDIT_WALLET} --wait-seconds 2 $INVOICE
  switchyard sim clear
  # what became of everything, and whether the books agree with every node
  switchyard payment list
  switchyard node list
  switchyard audit
",
        bin = quoted(bin),
        data = quoted(data),
    )
}

/// A path as a word for the shell, whichever folder that is in.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if text.bytes().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word() {
        assert_eq!(quoted(Path::new("/a/b-c.d")), "/a/b-c.d");
        assert_eq!(quoted(Path::new("/my data/it's")), r"'/my data/it'\''s'");
    }
}
