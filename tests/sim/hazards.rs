//! What can go wrong in one run, and how often.
//!
//! Each run draws its own mix: a few hazards that strike often find more than all that strike rarely.

use crate::random::Random;

/// Chances are in thousandths, spans in milliseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hazards {
    /// How long the store, and the way to a node, take at most.
    pub(crate) store_lag: u64,
    pub(crate) node_lag: u64,

    // The store.
    pub(crate) refuse: u64,
    pub(crate) abort: u64,
    pub(crate) lose_request: u64,
    pub(crate) lose_answer: u64,
    /// The answer is lost, and the commit happens later if nobody has loaded meanwhile.
    pub(crate) commit_late: u64,
    pub(crate) stall: u64,

    // The way to a node.
    pub(crate) never_sent: u64,
    pub(crate) answer_lost: u64,
    /// A send that arrives after its caller has given it up.
    pub(crate) arrive_late: u64,
    /// The node's server says no before it has made a record.
    pub(crate) refused: u64,
    pub(crate) stream_cut: u64,
    pub(crate) told_twice: u64,
    /// The node tells of a success that cannot be true.
    pub(crate) lie: u64,

    // Nodes: drawn for each step of the script.
    pub(crate) node_killed: u64,
    pub(crate) node_down: u64,
    /// Faults of the model that strike the next payments of a node.
    pub(crate) node_fault: u64,

    // Lives: drawn for each step of the script.
    /// At most so many crossings of a socket until a life ends by itself; 0: it does not.
    pub(crate) crossings: u64,
    pub(crate) killed: u64,
    /// It ends as an operator wants it to.
    pub(crate) stopped: u64,
    pub(crate) paused: u64,
    pub(crate) second_life: u64,
}

impl Hazards {
    pub(crate) fn draw(random: &mut Random) -> Hazards {
        let mut hazards = Hazards {
            store_lag: [0, 3, 30][random.index(3)],
            node_lag: [0, 10, 200][random.index(3)],
            ..Hazards::default()
        };
        for (hazard, often) in hazards.all() {
            if random.strikes(330) {
                *hazard = random.between(often / 4, often);
            }
        }
        if random.strikes(400) {
            hazards.crossings = random.between(20, 600);
        }
        hazards
    }

    /// Every chance, with how often it may strike.
    fn all(&mut self) -> [(&mut u64, u64); 20] {
        [
            (&mut self.refuse, 40),
            (&mut self.abort, 100),
            (&mut self.lose_request, 60),
            (&mut self.lose_answer, 60),
            (&mut self.commit_late, 60),
            (&mut self.stall, 60),
            (&mut self.never_sent, 150),
            (&mut self.answer_lost, 200),
            (&mut self.arrive_late, 300),
            (&mut self.refused, 100),
            (&mut self.stream_cut, 150),
            (&mut self.told_twice, 200),
            (&mut self.lie, 60),
            (&mut self.node_killed, 120),
            (&mut self.node_down, 60),
            (&mut self.killed, 80),
            (&mut self.stopped, 60),
            (&mut self.node_fault, 400),
            (&mut self.paused, 100),
            (&mut self.second_life, 100),
        ]
    }
}
