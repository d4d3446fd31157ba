//! Faults by name, and the markers in an invoice's description that call them up.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::value::{Hash, from_hex};

/// What can be made to go wrong. The text form is the fault's name, with `:argument` where it has
/// one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// FAILED with NO_ROUTE, no HTLC was ever out.
    NoRoute,
    /// FAILED with TIMEOUT after so many milliseconds without an HTLC out.
    Timeout { ms: u64 },
    /// The receiver refuses the HTLC.
    IncorrectPaymentDetails,
    /// In flight until released.
    Stuck,
    /// An update that carries the reason TIMEOUT while the HTLC is out, and success so much later.
    LateSuccess { ms: u64 },
    /// The stream ends after its first update; the payment goes on.
    StreamCut,
    /// The port is closed; as a fault of single payments: the call is answered Unavailable.
    NodeDown,
    /// The result comes so much later.
    Slow { ms: u64 },
    /// Not one update on that stream; the payment goes on.
    Silent,
    /// Every update twice.
    Twice,
    /// The caller is told that the connection broke; the request runs later, its permission
    /// checked then.
    LateRequest { ms: u64 },
    /// A pause between the permission check and the payment's row.
    HandlerStall { ms: u64 },
    /// FAILED is reported, then so much later the payment succeeds.
    FailThenSuccess { ms: u64 },
    /// More routing fee is paid and reported than the request allowed.
    FeeAboveLimit,
    /// The node's own clock is off.
    Clock { ms: i64 },
    /// Keeps a copy of the node's database.
    Snapshot { copy: String },
    /// Puts a copy of the node's database back.
    Restore { copy: String },
    /// The node loses its record of a payment.
    Forget { hash: Hash },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    #[error("unknown fault {0:?}")]
    Unknown(String),
    #[error("fault {name:?} needs an argument: {wants}")]
    Argument { name: String, wants: &'static str },
    #[error("fault {0:?} takes no argument")]
    NoArgument(String),
    #[error("this node has no copy named {0:?}")]
    NoSuchCopy(String),
}

const LATER_MS: u64 = 1_000;

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Fault, FaultError> {
        let (name, argument) = match text.split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        let fault = match name {
            "timeout" => Fault::Timeout { ms: ms_or(name, argument, 0)? },
            "late_success" => Fault::LateSuccess { ms: ms(name, argument)? },
            "slow" => Fault::Slow { ms: ms(name, argument)? },
            "late_request" => Fault::LateRequest { ms: ms(name, argument)? },
            "handler_stall" => Fault::HandlerStall { ms: ms(name, argument)? },
            "fail_then_success" => Fault::FailThenSuccess { ms: ms_or(name, argument, LATER_MS)? },
            "clock" => {
                Fault::Clock { ms: parsed(name, argument, "milliseconds, may be negative")? }
            }
            "snapshot" => Fault::Snapshot { copy: parsed(name, argument, "the name of a copy")? },
            "restore" => Fault::Restore { copy: parsed(name, argument, "the name of a copy")? },
            "forget" => Fault::Forget { hash: hash(name, argument)? },
            _ => return without_argument(name, argument),
        };
        Ok(fault)
    }
}

fn without_argument(name: &str, argument: Option<&str>) -> Result<Fault, FaultError> {
    let fault = match name {
        "no_route" => Fault::NoRoute,
        "incorrect_payment_details" => Fault::IncorrectPaymentDetails,
        "stuck" => Fault::Stuck,
        "stream_cut" => Fault::StreamCut,
        "node_down" => Fault::NodeDown,
        "silent" => Fault::Silent,
        "twice" => Fault::Twice,
        "fee_above_limit" => Fault::FeeAboveLimit,
        _ => return Err(FaultError::Unknown(name.to_owned())),
    };
    if argument.is_some() {
        return Err(FaultError::NoArgument(name.to_owned()));
    }
    Ok(fault)
}

fn parsed<T: FromStr>(
    name: &str,
    text: Option<&str>,
    wants: &'static str,
) -> Result<T, FaultError> {
    text.filter(|text| !text.is_empty())
        .and_then(|text| text.trim_start_matches('+').parse().ok())
        .ok_or_else(|| FaultError::Argument { name: name.to_owned(), wants })
}

fn ms(name: &str, argument: Option<&str>) -> Result<u64, FaultError> {
    parsed(name, argument, "milliseconds")
}

fn ms_or(name: &str, argument: Option<&str>, default: u64) -> Result<u64, FaultError> {
    if argument.is_none() { Ok(default) } else { ms(name, argument) }
}

fn hash(name: &str, argument: Option<&str>) -> Result<Hash, FaultError> {
    argument.and_then(from_hex).and_then(|bytes| Hash::from_slice(&bytes)).ok_or_else(|| {
        FaultError::Argument { name: name.to_owned(), wants: "a payment hash in hex" }
    })
}

impl Fault {
    pub fn name(&self) -> &'static str {
        match self {
            Fault::NoRoute => "no_route",
            Fault::Timeout { .. } => "timeout",
            Fault::IncorrectPaymentDetails => "incorrect_payment_details",
            Fault::Stuck => "stuck",
            Fault::LateSuccess { .. } => "late_success",
            Fault::StreamCut => "stream_cut",
            Fault::NodeDown => "node_down",
            Fault::Slow { .. } => "slow",
            Fault::Silent => "silent",
            Fault::Twice => "twice",
            Fault::LateRequest { .. } => "late_request",
            Fault::HandlerStall { .. } => "handler_stall",
            Fault::FailThenSuccess { .. } => "fail_then_success",
            Fault::FeeAboveLimit => "fee_above_limit",
            Fault::Clock { .. } => "clock",
            Fault::Snapshot { .. } => "snapshot",
            Fault::Restore { .. } => "restore",
            Fault::Forget { .. } => "forget",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Fault::Timeout { ms }
            | Fault::LateSuccess { ms }
            | Fault::Slow { ms }
            | Fault::LateRequest { ms }
            | Fault::HandlerStall { ms }
            | Fault::FailThenSuccess { ms } => write!(out, "{name}:{ms}"),
            Fault::Clock { ms } => write!(out, "{name}:{ms}"),
            Fault::Snapshot { copy } | Fault::Restore { copy } => write!(out, "{name}:{copy}"),
            Fault::Forget { hash } => write!(out, "{name}:{hash}"),
            Fault::NoRoute
            | Fault::IncorrectPaymentDetails
            | Fault::Stuck
            | Fault::StreamCut
            | Fault::NodeDown
            | Fault::Silent
            | Fault::Twice
            | Fault::FeeAboveLimit => out.write_str(name),
        }
    }
}

/// The faults that a description asks for: each of its words that begins with `sim:`.
pub fn markers(description: &str) -> Result<Vec<Fault>, FaultError> {
    if !description.contains("sim:") {
        return Ok(Vec::new());
    }
    description
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("sim:"))
        .map(str::parse)
        .collect()
}

/// A fault that a node keeps for payments to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    pub fault: Fault,
    /// `None`: until cleared.
    pub times_left: Option<u64>,
    /// How probable, in millionths.
    pub ppm: u32,
    pub seed: u64,
    /// How often the dice were thrown.
    pub draws: u64,
}

pub const ALWAYS_PPM: u32 = 1_000_000;

impl Setting {
    pub fn is_used_up(&self) -> bool {
        self.times_left == Some(0)
    }

    /// Whether the next payment is hit. Follows from the seed and the number of draws alone.
    pub fn strikes(&self) -> bool {
        !self.is_used_up()
            && (self.ppm >= ALWAYS_PPM
                || mix(self.seed, self.draws) % u64::from(ALWAYS_PPM) < u64::from(self.ppm))
    }

    pub fn draw(&mut self) {
        if self.strikes() {
            self.times_left = self.times_left.map(|left| left.saturating_sub(1));
        }
        self.draws += 1;
    }
}

/// SplitMix64, the draw number being its state.
fn mix(seed: u64, draw: u64) -> u64 {
    let mut word = seed.wrapping_add(draw.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_reads_back() {
        let hash = "11".repeat(32);
        for text in [
            "no_route",
            "timeout:0",
            "timeout:9",
            "incorrect_payment_details",
            "stuck",
            "late_success:5",
            "stream_cut",
            "node_down",
            "slow:7",
            "silent",
            "twice",
            "late_request:3",
            "handler_stall:4",
            "fail_then_success:8",
            "fee_above_limit",
            "clock:-1500",
            "clock:20",
            "snapshot:monday",
            "restore:monday",
            format!("forget:{hash}").as_str(),
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        assert_eq!("clock:+5".parse(), Ok(Fault::Clock { ms: 5 }));
    }

    #[test]
    fn unknown_names_are_errors() {
        assert_eq!("bogus".parse::<Fault>(), Err(FaultError::Unknown("bogus".into())));
        assert!(matches!("slow".parse::<Fault>(), Err(FaultError::Argument { .. })));
        assert!(matches!("stuck:1".parse::<Fault>(), Err(FaultError::NoArgument(_))));
        assert!(markers("tea sim:bogus").is_err());
        assert_eq!(
            markers("tea sim:twice and sim:slow:5").unwrap(),
            [Fault::Twice, Fault::Slow { ms: 5 }]
        );
    }

    #[test]
    fn a_seed_strikes_about_as_often_as_it_says() {
        let seed = 7;
        println!("seed {seed}");
        let mut setting =
            Setting { fault: Fault::Stuck, times_left: None, ppm: 250_000, seed, draws: 0 };
        let mut hits = 0;
        for _ in 0..10_000 {
            hits += u32::from(setting.strikes());
            setting.draw();
        }
        assert!((2_300..2_700).contains(&hits), "{hits}");
        setting = Setting { times_left: Some(2), ppm: ALWAYS_PPM, ..setting };
        let run = |setting: &mut Setting| {
            let hit = setting.strikes();
            setting.draw();
            hit
        };
        assert_eq!([run(&mut setting), run(&mut setting), run(&mut setting)], [true, true, false]);
    }
}
