//! What happens in one run: commands and hazards as the dice fall, then calm until everything has ended.

use std::{collections::BTreeSet, sync::Arc};

use domain::{
    InvoiceTerms, Msat,
    org::{Command, Metadata, ReceiveTerms, SendTerms},
};
use lightning_sim::{
    model::{self, Fault, NewInvoice, SendRequest, Setting},
    port,
};
use ports::operations::AuditFinding;

use crate::{
    clients::Hopes,
    hazards::Hazards,
    trace::{short, tag},
    world::{LINE_MSAT, Party, Payable, TOLERATED_MS, World, lock},
};

/// How long calm may last before whatever is still open is stuck: forty minutes.
const CALM_TURNS: u32 = 480;
const CALM_TURN_MS: u64 = 5_000;
/// Memory keeps what has ended for some fifteen seconds.
const LONG_AFTER_MS: u64 = 40_000;

impl World {
    pub(crate) async fn play(self: &Arc<Self>) {
        let hazards = self.sim.draw(Hazards::draw);
        self.sim.set_hazards(hazards);
        let steps = self.sim.draw(|random| random.between(12, 40));
        for _ in 0..steps {
            self.keep_alive().await;
            self.trouble().await;
            for _ in 0..self.sim.draw(|random| [1, 1, 1, 2, 4][random.index(5)]) {
                self.command();
            }
            let ms = self.sim.draw(|random| match random.below(3) {
                0 => 0,
                1 => random.between(1, 200),
                _ => random.between(200, 3_000),
            });
            self.pass(ms).await;
            self.sim.audit(|_| ());
            if self.sim.violation().is_some() {
                return;
            }
        }
        self.calm().await;
    }

    async fn keep_alive(self: &Arc<Self>) {
        let crossings = self.sim.hazards().crossings;
        let left = (crossings > 0).then(|| self.sim.draw(|random| random.between(1, crossings)));
        if self.is_short() && self.sim.draw(|random| random.strikes(700)) {
            self.begin_life(left).await;
        } else if self.engines == 1 && self.sim.strikes(|hazards| hazards.second_life) {
            self.sim.say("another life begins beside it");
            self.begin_life(left).await;
        }
        let Some(victim) = self.victim() else { return };
        if self.sim.strikes(|hazards| hazards.killed) {
            victim.life.end("it is killed");
        } else if self.sim.strikes(|hazards| hazards.stopped) {
            self.sim.say(&format!("life {} is told to stop", victim.life.number));
            tokio::spawn(async move {
                victim.life.asked(victim.platform.stop()).await;
                victim.life.end("it was told to stop");
            });
        } else if self.sim.strikes(|hazards| hazards.paused) {
            victim.life.pause(self.sim.draw(|random| random.between(10, 15_000)));
        }
    }

    async fn trouble(self: &Arc<Self>) {
        let Some(station) = self.sim.draw(|random| random.pick(&self.nodes).cloned()) else {
            return;
        };
        let at = station.ours.at;
        if self.sim.strikes(|hazards| hazards.node_killed) {
            self.sim.say(&format!("{} is killed", tag('N', station.ours.id)));
            self.sim.port.act(|network, now| network.kill(now, at));
        }
        if self.sim.strikes(|hazards| hazards.node_down) {
            let ms = self.sim.draw(|random| random.between(100, 20_000));
            self.sim.say(&format!("{} is down for {ms} ms", tag('N', station.ours.id)));
            self.sim.port.act(|network, now| network.set_down(now, at, true));
            let world = self.clone();
            tokio::spawn(async move {
                world.pass(ms).await;
                world.sim.port.act(|network, now| network.set_down(now, at, false));
            });
        }
        if self.sim.strikes(|hazards| hazards.node_fault) {
            let (fault, times) = self.sim.draw(|random| (node_fault(random), random.between(1, 3)));
            self.sim.say(&format!("{} gets {fault}, {times} times", tag('N', station.ours.id)));
            let (times_left, ppm) = (Some(times), model::ALWAYS_PPM);
            let setting = Setting { fault, times_left, ppm, seed: 0, draws: 0 };
            let set = self.sim.port.act(|network, now| network.set_fault(now, at, setting));
            set.expect("a fault of payments");
        }
        if self.sim.hazards().lie > 0 {
            self.resume_nodes().await;
        }
    }

    /// A person has looked at the nodes that contradicted themselves.
    async fn resume_nodes(self: &Arc<Self>) {
        let Some(newest) = self.newest() else { return };
        for station in &self.nodes {
            let resumed = newest.platform.stop_node(station.ours.id, None);
            let _ =
                tokio::time::timeout(std::time::Duration::from_secs(5), newest.life.asked(resumed))
                    .await;
        }
    }

    fn command(self: &Arc<Self>) {
        let Some(party) = self.sim.draw(|random| random.pick(&self.parties).cloned()) else {
            return;
        };
        match self.sim.draw(|random| random.below(100)) {
            0..=34 => self.send_out(&party),
            35..=49 => self.send_known(&party),
            50..=69 => self.receive_some(&party),
            70..=81 => self.pay_from_outside(),
            82..=89 => self.change_limit(&party),
            _ => {}
        }
    }

    /// A new invoice of somebody outside.
    fn send_out(self: &Arc<Self>, party: &Party) {
        let (amount, expiry_seconds) = self.sim.draw(|random| {
            let amount = match random.below(12) {
                0 => 0,
                1 => LINE_MSAT,
                _ => random.between(1_000, LINE_MSAT / 4),
            };
            (amount, [3_600, 3_600, 30, 4][random.index(4)])
        });
        let Some(payee) = self.sim.draw(|random| random.pick(&self.outside).copied()) else {
            return;
        };
        let new =
            NewInvoice { value: model::Msat::new(amount), expiry_seconds, ..NewInvoice::default() };
        let terms = self.sim.port.act(|network, now| {
            let invoice = network.add_invoice(now, payee, new).expect("a good invoice");
            port::terms(network, payee, &invoice)
        });
        lock(&self.payables).push(Payable { terms: terms.clone(), is_ours: false });
        self.send_to(party, terms);
    }

    /// An invoice that somebody may have paid, or be paying: ours or of others.
    fn send_known(self: &Arc<Self>, party: &Party) {
        let payables = lock(&self.payables).clone();
        // Lately made ones are more likely to be open.
        let recent = payables.len().saturating_sub(6);
        let recent = payables.get(recent..).unwrap_or_default();
        if let Some(payable) = self.sim.draw(|random| random.pick(recent).cloned()) {
            self.send_to(party, payable.terms);
        }
    }

    fn send_to(self: &Arc<Self>, party: &Party, invoice: InvoiceTerms) {
        let Some(wallet) = self.sim.draw(|random| random.pick(&party.wallets).copied()) else {
            return;
        };
        let (dice, amount, fee_dice) = self.sim.draw(|random| {
            (random.below(40), random.between(1_000, LINE_MSAT / 4), random.below(6))
        });
        let mut terms = SendTerms {
            wallet,
            amount_msat: invoice.amount_msat.is_none().then_some(amount),
            fee_limit_msat: [None, None, None, Some(0), Some(1_500), Some(200_000)]
                .get(usize::try_from(fee_dice).unwrap_or(0))
                .copied()
                .flatten(),
            invoice,
            description: None,
            metadata: Metadata::new(),
        };
        let hopes = match dice {
            0 => {
                terms.wallet = self.new_id();
                Hopes::NoWallet
            }
            1 => {
                terms.amount_msat = terms.invoice.amount_msat.map(|amount| amount.get());
                Hopes::Malformed
            }
            _ => Hopes::Good,
        };
        let (org, payment) = (party.org, self.new_payment());
        let hash = short(&terms.invoice.hash);
        let what = format!("send {} for {hash} by {}", tag('P', payment), tag('O', org));
        // Sometimes twice at once under one id.
        for _ in 0..1 + u32::from(dice > 36) {
            let terms = terms.clone();
            self.spawn(what.clone(), |world| Box::pin(world.send(org, payment, terms, hopes)));
        }
    }

    fn receive_some(self: &Arc<Self>, party: &Party) {
        let Some(wallet) = self.sim.draw(|random| random.pick(&party.wallets).copied()) else {
            return;
        };
        let (amount, expiry) = self.sim.draw(|random| {
            let amount = random.strikes(800).then(|| random.between(1_000, LINE_MSAT / 6));
            (amount, [120, 60, 20][random.index(3)])
        });
        let terms = ReceiveTerms {
            wallet,
            amount_msat: amount,
            description: "tea".to_owned(),
            expiry_seconds: expiry,
            metadata: Metadata::new(),
        };
        let (org, payment) = (party.org, self.new_payment());
        let what = format!("receive {} by {}", tag('P', payment), tag('O', org));
        self.spawn(what, |world| Box::pin(world.receive(org, payment, terms)));
    }

    fn pay_from_outside(self: &Arc<Self>) {
        let ours: Vec<Payable> =
            lock(&self.payables).iter().filter(|payable| payable.is_ours).cloned().collect();
        let recent = ours.get(ours.len().saturating_sub(3)..).unwrap_or_default();
        let Some(payable) = self.sim.draw(|random| random.pick(recent).cloned()) else { return };
        let (payer, more) = self.sim.draw(|random| {
            (random.pick(&self.outside).copied(), random.between(1_000, LINE_MSAT / 8))
        });
        let Some(payer) = payer else { return };
        self.sim.say(&format!("outside: {} is paid", short(&payable.terms.hash)));
        let amount = payable.terms.amount_msat.map_or(more, |asked| asked.get() + more % 2 * more);
        let request = SendRequest {
            payment_request: payable.terms.text,
            amount: model::Msat::new(amount),
            fee_limit: model::Msat::new(10_000_000),
            may_overpay: true,
            ..SendRequest::default()
        };
        let nobody = model::StreamId(u64::MAX);
        self.sim.port.act(|network, now| {
            network.send(now, payer, request, model::Permission::default(), nobody);
            network.close(nobody);
        });
    }

    fn change_limit(self: &Arc<Self>, party: &Party) {
        let (of_line, limit) =
            self.sim.draw(|random| (random.strikes(700), random.between(0, 12) * (LINE_MSAT / 10)));
        let limit_msat = Msat::new(limit).expect("below the supply");
        let (org, line) = (party.org, party.line);
        if of_line {
            let what = format!("limit of {}", tag('L', line));
            // One at a time, so that the last one that was acknowledged is the one that stands.
            if !lock(&self.waiting).contains(&what) {
                self.spawn(what, |world| Box::pin(world.limit(org, line, limit_msat)));
            }
            return;
        }
        let Some(wallet) = self.sim.draw(|random| random.pick(&party.wallets).copied()) else {
            return;
        };
        let command = Command::SetWalletLimit { wallet, limit_msat };
        let what = format!("share of {}", tag('W', wallet));
        self.spawn(what, |world| Box::pin(world.share(org, command)));
    }

    /// Nothing goes wrong any more: whatever is open must end, and everything must agree.
    async fn calm(self: &Arc<Self>) {
        self.sim.set_hazards(Hazards::default());
        self.heal();
        for running in self.lives() {
            match self.engines > 1 || self.is_newest(&running) {
                true => running.life.calm(),
                false => running.life.end("it was taken over"),
            }
        }
        let mut open = Vec::new();
        for turn in 0..CALM_TURNS {
            // One that was told to stop may take a while.
            self.make_complete().await;
            self.resume_nodes().await;
            self.pass(CALM_TURN_MS).await;
            self.heal();
            open = self.sim.audit(|auditor| auditor.open(&self.sim.memory));
            open.extend(lock(&self.waiting).iter().cloned());
            if self.sim.violation().is_some() {
                return;
            }
            // What left earlier may still arrive.
            if open.is_empty() && turn > 3 {
                break;
            }
        }
        if let Some(first) = open.first() {
            return self.sim.violate(format!("{} did not end, such as: {first}", open.len()));
        }
        if self.sim.draw(|random| random.strikes(250)) {
            self.long_after().await;
        }
        self.settle_up().await;
    }

    /// When memory has forgotten everything, each id has its answer still.
    async fn long_after(self: &Arc<Self>) {
        self.pass(LONG_AFTER_MS).await;
        if self.sim.draw(|random| random.strikes(500)) {
            self.lives().iter().for_each(|running| running.life.end("it is updated"));
            self.make_complete().await;
        }
        for (org, told) in self.sim.audit(|auditor| auditor.answers()) {
            let (payment, terms) = (told.id, SendTerms::clone(&told.terms));
            self.clone().send(org, payment, terms, Hopes::Good).await;
            if !self.sim.audit(|auditor| auditor.knows(org, payment)) {
                self.sim.violate(format!("{} is forgotten", tag('P', payment)));
            }
        }
    }

    /// Every node is up and does what it is asked. A clock that was behind is put forward; none is put
    /// back, as permissions that had lapsed would be good again.
    fn heal(&self) {
        for station in &self.nodes {
            let at = station.ours.at;
            self.sim.port.act(|network, now| {
                let clock_ms = network.state().node(at).clock_ms;
                let clock = Fault::Clock { ms: clock_ms.max(-TOLERATED_MS) };
                network.clear_faults(now, at, None);
                let (times_left, ppm) = (None, 0);
                let setting = Setting { fault: clock, times_left, ppm, seed: 0, draws: 0 };
                network.set_fault(now, at, setting).expect("a clock can be off");
            });
        }
        self.sim.port.act(|network, now| {
            let flights = network.state().flights.values();
            let all: BTreeSet<_> = flights.map(|flight| (flight.payer, flight.hash)).collect();
            for (payer, hash) in all {
                // Those that are not stuck go on by themselves.
                let _ = network.release(now, payer, hash);
            }
        });
    }

    async fn settle_up(self: &Arc<Self>) {
        let memory = self.sim.memory.clone();
        self.sim.audit(|auditor| {
            self.sim.port.act(|network, _| auditor.close(&memory, network));
        });
        let Some(newest) = self.newest() else {
            return self.sim.violate("nobody lives in the end".to_owned());
        };
        match newest.life.asked(newest.platform.audit()).await {
            Some(Ok(report)) => {
                // The run's own auditor has judged these, by what it knows of the lies told.
                let contradicted = |it: &AuditFinding| it.code == "payment_contradicted";
                let findings = report.findings.into_iter().filter(|it| !contradicted(it));
                for AuditFinding { code, text, payment, .. } in findings {
                    let payment = payment.map(|payment| tag('P', payment)).unwrap_or_default();
                    self.sim.violate(format!("audit: {code} {payment} {text}"));
                }
                if let Some(why) = report.frozen {
                    self.sim.violate(format!("audit: frozen: {why}"));
                }
            }
            Some(Err(error)) => self.sim.violate(format!("audit: {error}")),
            None => self.sim.violate("the last life ended".to_owned()),
        }
    }
}

fn node_fault(random: &mut crate::random::Random) -> Fault {
    let ms = random.between(100, 12_000);
    match random.below(12) {
        0 | 1 => Fault::NoRoute,
        2 => Fault::Timeout { ms },
        3 => Fault::IncorrectPaymentDetails,
        4 => Fault::Stuck,
        5 => Fault::LateSuccess { ms },
        6 => Fault::StreamCut,
        7 => Fault::Slow { ms },
        8 => Fault::Silent,
        9 => Fault::Twice,
        10 => Fault::LateRequest { ms },
        // Less than the grace that the platform gives.
        _ => Fault::HandlerStall { ms: ms % 900 },
    }
}
