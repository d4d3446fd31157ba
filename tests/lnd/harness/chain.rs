//! A private regtest chain: btcd, mining to a key that the test owns.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{
    Address, Amount, Block, CompressedPublicKey, KnownHrp, OutPoint, ScriptBuf, Sequence,
    Transaction, TxIn, TxOut, Witness, ecdsa,
};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};

use super::pin::Pin;
use super::process::{Process, free_port, tail, until};

pub(crate) const RPC_USER: &str = "switchyard";
pub(crate) const RPC_PASSWORD: &str = "regtest";
/// base64 of the two above with a colon between.
const RPC_BASIC: &str = "c3dpdGNoeWFyZDpyZWd0ZXN0";

/// Coinbases of the first blocks are mature by then, and segwit is active only after about 432.
const FIRST_HEIGHT: u32 = 500;

/// What the funding transaction leaves to the miner.
const FUNDING_FEE_SAT: u64 = 10_000;

/// A running btcd.
pub(crate) struct Chain {
    _process: Mutex<Process>,
    rpc_port: u16,
    pin: Arc<Pin>,
    certificate: PathBuf,
    output: PathBuf,
    /// Height of the next coinbase that `fund` may spend.
    coinbase: AtomicU32,
}

impl Chain {
    /// Starts btcd and mines the first blocks: an lnd started at height 0 waits for ever.
    pub(crate) async fn start(program: &Path, folder: &Path) -> Chain {
        let (certificate, key, pem) = write_certificate(folder);
        let output = folder.join("btcd.out");
        let rpc_port = free_port();
        let args = [
            "--configfile=/dev/null".to_owned(),
            "--regtest".to_owned(),
            "--txindex".to_owned(),
            "--nobanning".to_owned(),
            "--nodnsseed".to_owned(),
            "--trickleinterval=100ms".to_owned(),
            "--rpcmaxwebsockets=50".to_owned(),
            format!("--rpcuser={RPC_USER}"),
            format!("--rpcpass={RPC_PASSWORD}"),
            format!("--rpccert={}", certificate.display()),
            format!("--rpckey={}", key.display()),
            format!("--rpclisten=127.0.0.1:{rpc_port}"),
            format!("--listen=127.0.0.1:{}", free_port()),
            format!("--datadir={}", folder.join("chain").display()),
            format!("--logdir={}", folder.join("output").display()),
            format!("--miningaddr={}", miner_address()),
        ];
        let process = Mutex::new(Process::start(program, &args, &output));
        let pin = Arc::new(Pin::from_pem(&pem));
        let coinbase = AtomicU32::new(1);
        let chain = Chain { _process: process, rpc_port, pin, certificate, output, coinbase };
        until("btcd to answer", Duration::from_secs(20), async || chain.ask("getinfo", &json!([])))
            .await;
        while chain.height() < FIRST_HEIGHT {
            chain.mine(50);
        }
        chain
    }

    pub(crate) fn rpc_address(&self) -> String {
        format!("127.0.0.1:{}", self.rpc_port)
    }

    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate
    }

    pub(crate) fn tail(&self, lines: usize) -> String {
        tail(&self.output, lines)
    }

    pub(crate) fn height(&self) -> u32 {
        let height = self.rpc("getblockcount", &json!([])).as_u64().expect("a height");
        u32::try_from(height).expect("a height fits 32 bits")
    }

    pub(crate) fn mine(&self, blocks: u32) {
        self.rpc("generate", &json!([blocks]));
    }

    /// Pays `amount_sat` to each address with one transaction and mines it.
    pub(crate) fn fund(&self, addresses: &[String], amount_sat: u64) {
        let height = self.coinbase.fetch_add(1, Ordering::Relaxed);
        let hash = self.rpc("getblockhash", &json!([height]));
        let block = self.rpc("getblock", &json!([hash, 0]));
        let block: Block = deserialize_hex(block.as_str().expect("hex")).expect("a block");
        let signed = spend(&block.txdata[0], addresses, Amount::from_sat(amount_sat));
        self.rpc("sendrawtransaction", &json!([serialize_hex(&signed)]));
        self.mine(1);
    }

    fn rpc(&self, method: &str, params: &Value) -> Value {
        self.ask(method, params).unwrap_or_else(|reason| panic!("btcd {method}: {reason}"))
    }

    /// One JSON-RPC call over its own connection. HTTP/1.0, so that the answer is not chunked.
    fn ask(&self, method: &str, params: &Value) -> Result<Value, String> {
        let body = json!({"jsonrpc": "1.0", "id": 1, "method": method, "params": params});
        let body = body.to_string();
        let request = format!(
            "POST / HTTP/1.0\r\nAuthorization: Basic {RPC_BASIC}\r\nContent-Type: \
             application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = self.exchange(request.as_bytes()).map_err(|error| error.to_string())?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no HTTP answer")?;
        let body: Value = serde_json::from_str(body).map_err(|error| format!("{error}: {head}"))?;
        let error = &body["error"];
        if error.is_null() { Ok(body["result"].clone()) } else { Err(error.to_string()) }
    }

    fn exchange(&self, request: &[u8]) -> std::io::Result<String> {
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions")
        .dangerous()
        .with_custom_certificate_verifier(self.pin.clone())
        .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a valid name");
        let session =
            rustls::ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
        let socket = TcpStream::connect(("127.0.0.1", self.rpc_port))?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut stream = rustls::StreamOwned::new(session, socket);
        stream.write_all(request)?;
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            // btcd does not always say goodbye in TLS; a cut answer is no JSON and fails there.
            Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => return Err(error),
            Ok(_) | Err(_) => {}
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// btcd would make itself a P-521 certificate, which ring cannot verify.
fn write_certificate(folder: &Path) -> (PathBuf, PathBuf, String) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate can be made");
    let (certificate, key) = (folder.join("rpc.cert"), folder.join("rpc.key"));
    let pem = made.cert.pem();
    fs::write(&certificate, &pem).expect("the certificate can be written");
    fs::write(&key, made.signing_key.serialize_pem()).expect("the key can be written");
    (certificate, key, pem)
}

fn miner_key() -> SecretKey {
    SecretKey::from_slice(&[0x11; 32]).expect("in the range of keys")
}

fn miner_public_key() -> CompressedPublicKey {
    CompressedPublicKey(miner_key().public_key(&Secp256k1::new()))
}

fn miner_address() -> Address {
    Address::p2wpkh(&miner_public_key(), KnownHrp::Regtest)
}

/// Spends the miner's output of `coinbase`: `amount` to each address, the rest back to the miner.
fn spend(coinbase: &Transaction, addresses: &[String], amount: Amount) -> Transaction {
    let reward = coinbase.output[0].value;
    let script = miner_address().script_pubkey();
    let mut output: Vec<TxOut> = Vec::new();
    for address in addresses {
        let address: Address<_> = address.parse().expect("an address");
        output.push(TxOut { value: amount, script_pubkey: address.assume_checked().into() });
    }
    let paid: Amount = output.iter().map(|output| output.value).sum();
    let change = reward - paid - Amount::from_sat(FUNDING_FEE_SAT);
    output.push(TxOut { value: change, script_pubkey: script.clone() });
    let input = TxIn {
        previous_output: OutPoint { txid: coinbase.compute_txid(), vout: 0 },
        script_sig: ScriptBuf::new(),
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: Witness::new(),
    };
    let (version, lock_time) = (Version::TWO, LockTime::ZERO);
    let mut signed = Transaction { version, lock_time, input: vec![input], output };

    let kind = EcdsaSighashType::All;
    let hash = SighashCache::new(&signed)
        .p2wpkh_signature_hash(0, &script, reward, kind)
        .expect("input 0 is there and the script is P2WPKH");
    let signature = Secp256k1::new().sign_ecdsa(&Message::from(hash), &miner_key());
    let signature = ecdsa::Signature { signature, sighash_type: kind };
    signed.input[0].witness = Witness::p2wpkh(&signature, &miner_public_key().0);
    signed
}
