//! Whose CPU time a run has used.

use std::fs;

use tests::postgres::{Postgres, ProcessStat};

/// CPU time by who spent it, in microseconds. Counted by the kernel in steps of 10 ms per process,
/// so a run must be seconds long.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    /// This process: the load generator.
    pub(crate) client_us: u64,
    /// The platform, all of its processes.
    pub(crate) switchyard_us: u64,
    /// The part of that which gateways of a cluster have spent; the rest are its engines.
    pub(crate) gateways_us: u64,
    pub(crate) sim_us: u64,
    pub(crate) postgres_us: u64,
    /// Everything else on the machine, which is what makes a run doubtful.
    pub(crate) others_us: u64,
}

impl Cpu {
    /// Ours, all parts together.
    pub(crate) fn total_us(&self) -> u64 {
        self.client_us + self.switchyard_us + self.sim_us + self.postgres_us
    }

    /// Microseconds of one of the things done.
    pub(crate) fn each(us: u64, done: u64) -> f64 {
        us as f64 / done.max(1) as f64
    }

    /// What gateways and what engines of a cluster have spent for one of the things done; none standalone.
    pub(crate) fn of_pods(&self, done: u64) -> Option<[f64; 2]> {
        let engines_us = self.switchyard_us.saturating_sub(self.gateways_us);
        let is_cluster = self.gateways_us > 0;
        is_cluster.then(|| [self.gateways_us, engines_us].map(|us| Cpu::each(us, done)))
    }

    pub(crate) fn since(&self, earlier: &Cpu) -> Cpu {
        Cpu {
            client_us: self.client_us.saturating_sub(earlier.client_us),
            switchyard_us: self.switchyard_us.saturating_sub(earlier.switchyard_us),
            gateways_us: self.gateways_us.saturating_sub(earlier.gateways_us),
            sim_us: self.sim_us.saturating_sub(earlier.sim_us),
            postgres_us: self.postgres_us.saturating_sub(earlier.postgres_us),
            others_us: self.others_us.saturating_sub(earlier.others_us),
        }
    }
}

/// Reads the CPU time of the processes that take part in a run.
#[derive(Default)]
pub(crate) struct Meter<'a> {
    pub(crate) postgres: Option<&'a Postgres>,
    pub(crate) switchyard: Vec<u32>,
    /// Those of them that are gateways of a cluster.
    pub(crate) gateways: Vec<u32>,
    pub(crate) sim: Vec<u32>,
}

impl Meter<'_> {
    pub(crate) fn read(&self) -> Cpu {
        let mut cpu = Cpu {
            client_us: own_us(&[std::process::id()]),
            switchyard_us: own_us(&self.switchyard),
            gateways_us: own_us(&self.gateways),
            sim_us: own_us(&self.sim),
            postgres_us: self.postgres.map(Postgres::cpu_us).unwrap_or_default(),
            others_us: 0,
        };
        cpu.others_us = machine_us().saturating_sub(cpu.total_us());
        cpu
    }
}

fn own_us(pids: &[u32]) -> u64 {
    pids.iter().filter_map(|&pid| ProcessStat::of(pid)).map(|stat| stat.own_us).sum()
}

/// CPU time that this machine has not idled away since it was started, stolen time included.
fn machine_us() -> u64 {
    const TICK_US: u64 = 10_000;
    const IDLE: [usize; 2] = [3, 4]; // Idle, and waiting for the disk.
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks = line.split_whitespace().skip(1).take(8).map(str::parse::<u64>);
    let busy = ticks.enumerate().filter(|(at, _)| !IDLE.contains(at));
    busy.filter_map(|(_, ticks)| ticks.ok()).sum::<u64>() * TICK_US
}

/// Memory that a process has in use now (resident).
pub(crate) fn memory_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1_024
}
