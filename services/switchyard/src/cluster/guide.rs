//! What a cluster on this machine says to whoever started it.

use std::path::Path;

use proto::admin::v1::PodsResponse;
use serde_json::json;

use crate::{
    demo::{
        guide::{FirstPayment, by_rest, first_payment, quoted},
        onboard::{CREDIT_WALLET, House},
    },
    output::Output,
    ready,
    show::table,
};

/// A process that can be killed.
pub(super) struct Process {
    pub(super) name: String,
    pub(super) pid: u32,
}

pub(super) fn show(
    data: &Path,
    gateways: &[ready::Platform],
    processes: &[Process],
    placed: &PodsResponse,
    house: &House,
    pay: &FirstPayment,
    out: &Output,
) {
    let Some(gateway) = gateways.first() else { return };
    let key_file = gateway.process.data.join(ready::DEMO_KEY_FILE);
    let owner = owner(processes, placed);
    let pods = processes.iter().map(|process| {
        let pod = placed.pods.iter().find(|pod| pod.name == process.name);
        json!({
            "name": process.name,
            "pid": process.pid,
            "address": pod.map(|pod| &pod.address),
            "shards": pod.map(|pod| pod.shards),
        })
    });
    let first = first_payment(gateway, pay);
    let rest = by_rest(gateway, house, pay, &quoted(&key_file));
    let document = json!({
        "ready": gateways,
        "data": data,
        "key_file": key_file,
        "invoice": pay.invoice,
        "first_payment": first,
        "first_payment_by_rest": rest,
        "demo": house,
        "pods": pods.collect::<Vec<_>>(),
        "owner": owner.map(|process| &process.name),
        "owner_pid": owner.map(|process| process.pid),
    });
    out.answer(&document, || {
        let also = gateways.iter().skip(1).map(|other| other.address.to_string());
        let also = also.collect::<Vec<_>>().join(", ");
        let kill = owner.map(|owner| format!("kill -9 {}", owner.pid)).unwrap_or_default();
        format!(
            "\nA cluster of switchyard is running over one PostgreSQL, beside a simulated Lightning \
             network.\n\n{processes}\n\
             \x20 customers call   http://{address} (REST; gRPC), also {also}\n\
             \x20 operators call   {admin} (gRPC, switchyard.admin.v1)\n\
             \x20 API key          in {key}\n\
             \x20 logs             {logs}/*.log\n\n\
             Make a first payment, 25,000 sat to alice. Paste this into another terminal:\n\n\
             \x20 {first}\n\n\
             Or the same by REST; pasted twice, it is still one payment:\n\n  {rest}\n\n{more}\n\
             Kill the engine that owns the demo organisation; a payment made meanwhile waits, and \
             another engine makes it:\n\n\x20 {kill}\n\n\
             It is started again after a while. Ctrl-C stops everything; started again, everything is \
             still there.",
            processes = table_of(processes, placed, owner),
            address = gateway.address,
            admin = gateway.admin_address,
            key = quoted(&key_file),
            logs = quoted(data),
            more = more(gateway, data),
        )
    });
}

fn owner<'a>(processes: &'a [Process], placed: &PodsResponse) -> Option<&'a Process> {
    let owns = |pod: &&proto::admin::v1::Pod| pod.session_id == placed.owner_session_id;
    let pod = placed.pods.iter().find(owns)?;
    processes.iter().find(|process| process.name == pod.name)
}

fn table_of(processes: &[Process], placed: &PodsResponse, owner: Option<&Process>) -> String {
    let rows = processes.iter().map(|process| {
        let pod = placed.pods.iter().find(|pod| pod.name == process.name);
        let is_owner = owner.is_some_and(|owner| owner.pid == process.pid);
        vec![
            process.name.clone(),
            process.pid.to_string(),
            pod.map(|pod| pod.address.clone()).unwrap_or_default(),
            pod.map(|pod| pod.shards.to_string()).unwrap_or_default(),
            if is_owner { "the demo organisation".to_owned() } else { String::new() },
        ]
    });
    table(&["process", "pid", "address", "shards", "owns"], &rows.collect::<Vec<_>>())
}

fn more(gateway: &ready::Platform, data: &Path) -> String {
    let own_binary = std::env::current_exe().unwrap_or_else(|_| "switchyard".into());
    let bin = own_binary.parent().unwrap_or(Path::new("."));
    format!(
        "Then, once this is pasted:

  export PATH={bin}:$PATH SWITCHYARD_DATA={gateway} SWITCHYARD_SIM={network}

  switchyard pods --org demo      # which engines are alive, and who owns the organisation
  switchyard pay --wallet {CREDIT_WALLET} $(switchyard sim invoice alice --amount-msat 1000000)
  switchyard audit
",
        bin = quoted(bin),
        gateway = quoted(&gateway.process.data),
        network = quoted(&ready::network_folder(data)),
    )
}
