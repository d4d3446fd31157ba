use super::*;

const MS: Duration = Duration::from_millis(1);

fn line(own: usize, orgs: usize, all: usize) -> Line {
    Line { own, orgs, all }
}

fn each(each: Duration) -> Takes {
    Takes { each, ..Takes::default() }
}

fn refuses(line: Line, takes: Takes) -> bool {
    wait(line, takes) > limits::LANE_WAIT_MAX
}

#[test]
fn a_flood_is_before_itself_and_not_before_the_others() {
    let (flood, other) = (line(9_999, 2, 10_000), line(1, 2, 10_000));
    assert_eq!((flood.before(), other.before()), (10_000, 3));
    let wait = |line| wait(line, each(50 * MS));
    assert_eq!((wait(flood), wait(other)), (2_000 * MS, 50 * MS));
    // Nobody floods, and there are many: then all wait for all.
    assert_eq!(line(0, 10_000, 9_999).before(), 9_999);
    assert_eq!(line(usize::MAX, usize::MAX, 7).before(), 7);
}

/// Ten thousand callers at once at five thousand payments a second, of one organisation and so on one lane, or
/// half of them on each of two: they are served within two seconds, so none of them is sent away; on a machine
/// of half the speed neither.
#[test]
fn ten_thousand_callers_at_once_are_let_in() {
    for (lanes, full_speed) in [(1, 50 * MS), (2, 100 * MS)] {
        for commit in [full_speed, full_speed * 2] {
            for orgs in [1, 2, 1_000] {
                for all in (0..10_000 / lanes).step_by(100) {
                    let line = line(all / orgs, orgs, all);
                    assert!(!refuses(line, each(commit)), "{all} of {orgs}");
                }
            }
        }
    }
}

#[test]
fn slow_commits_close_the_door_and_quick_ones_open_it() {
    let mut now = Instant::now();
    let mut pace = Pace::default();
    let mut commit = |pace: &mut Pace, took: Duration| {
        pace.begins(now);
        now += took;
        pace.ends(now, 512);
        pace.takes(now)
    };
    let waiting = line(4_000, 1, 4_000);
    assert!((0..8).all(|_| !refuses(waiting, commit(&mut pace, 80 * MS))));
    let closed = (0..20).position(|_| refuses(waiting, commit(&mut pace, 1_500 * MS)));
    assert!(closed.is_some_and(|commits| commits < 8), "{closed:?}");
    let open = (0..20).position(|_| !refuses(waiting, commit(&mut pace, 20 * MS)));
    assert!(open.is_some_and(|commits| commits < 8), "{open:?}");
}

#[test]
fn a_stalled_commit_closes_the_door_before_it_has_ended() {
    let began = Instant::now();
    let mut pace = Pace::default();
    pace.begins(began);
    let after = |took: Duration| refuses(line(1, 1, 1), pace.takes(began + took));
    assert!(!after(4_900 * MS) && after(5_100 * MS));
    // The more wait, the sooner.
    assert!(refuses(line(5_000, 1, 5_000), pace.takes(began + 600 * MS)));
}

/// Ten thousand wait for two seconds, and one commit that takes a quarter of one does not send them away.
#[test]
fn a_hiccup_does_not_close_the_door() {
    let now = Instant::now();
    let mut pace = Pace::default();
    pace.begins(now);
    pace.ends(now + 50 * MS, limits::BATCH_MAX);
    pace.begins(now);
    let after = |took: Duration| refuses(line(10_000, 1, 10_000), pace.takes(now + took));
    assert!(!after(250 * MS) && after(1_000 * MS));
}

#[test]
fn where_nothing_waits_somebody_may_try() {
    assert!(!refuses(line(0, 1, 0), each(Duration::from_secs(3_600))));
    assert!(refuses(line(0, 2, 1), each(Duration::from_secs(3_600))));
}

#[test]
fn whoever_comes_back_finds_half_of_the_line() {
    assert_eq!(retry_after(6_000 * MS), 3_500 * MS);
    assert_eq!(retry_after(Duration::ZERO), limits::RETRY_AFTER_MIN);
    assert_eq!(retry_after(Duration::from_secs(3_600)), limits::RETRY_AFTER_MAX);
}

#[test]
fn shares_are_what_fits_a_short_commit() {
    let now = Instant::now();
    let share = |took: Duration, size| {
        let mut pace = Pace::default();
        pace.begins(now);
        pace.ends(now + took, size);
        pace.share()
    };
    assert_eq!(share(10 * MS, 100), 30);
    // However slow, and however quick.
    assert_eq!(share(4_000 * MS, 1), limits::SHARE_MIN);
    assert_eq!(share(Duration::ZERO, 1), limits::BATCH_MAX);
}

#[test]
fn who_has_left_is_not_counted() {
    let (lane, one, other) = (Arc::<Counts>::default(), Arc::default(), Arc::default());
    assert_eq!(lane.line(&one), line(0, 1, 0));
    let first = [lane.enter(&one), lane.enter(&one)];
    let second = lane.enter(&other);
    assert_eq!(lane.line(&one), line(2, 2, 3));
    drop(first);
    assert_eq!(lane.line(&one), line(0, 2, 1));
    drop(second);
    assert_eq!(lane.line(&other), line(0, 1, 0));
}
