use super::super::finding::Verdict::{Ok, Problem, Unknown, Warning};
use super::*;

fn texts(pairs: &[(&str, &str)]) -> Texts {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_server_is_redis_7_or_later_and_a_cluster_needs_a_hash_tag() {
    for (found, mode, verdict) in [
        ("7.0.0", "standalone", Ok),
        ("10.1.2", "sentinel", Ok),
        ("6.2.14", "standalone", Problem),
        ("7.4.0", "cluster", Problem),
        ("unstable", "standalone", Unknown),
    ] {
        let info = texts(&[("redis_version", found), ("redis_mode", mode)]);
        assert_eq!(version(&info, "a{}b").verdict, verdict, "{found} {mode}");
    }
    let info = texts(&[("redis_version", "7.4.0"), ("redis_mode", "cluster")]);
    assert_eq!(version(&info, "{backups}").verdict, Ok);
}

#[test]
fn the_server_is_the_master() {
    for (word, verdict) in [("master", Ok), ("slave", Problem), ("", Unknown)] {
        assert_eq!(role(&texts(&[("role", word)])).verdict, verdict);
    }
}

#[test]
fn a_policy_that_evicts_any_key_is_a_problem_and_one_that_evicts_mortal_ones_is_not() {
    for (policy, verdict) in [
        ("noeviction", Ok),
        ("volatile-lru", Ok),
        ("volatile-ttl", Ok),
        ("allkeys-lru", Problem),
        ("allkeys-random", Problem),
    ] {
        assert_eq!(eviction(&texts(&[("maxmemory_policy", policy)])).verdict, verdict, "{policy}");
    }
    assert_eq!(eviction(&Texts::new()).verdict, Unknown);
}

#[test]
fn an_append_only_file_that_cannot_be_written_is_a_problem() {
    let of = |enabled: &str, status: &str| {
        persistence(&texts(&[("aof_enabled", enabled), ("aof_last_write_status", status)])).verdict
    };
    assert_eq!((of("1", "ok"), of("1", "err"), of("0", "ok")), (Ok, Problem, Warning));
}

#[test]
fn memory_that_runs_out_is_seen_before_it_has() {
    let of = |used: &str, limit: &str| memory(&texts(&[("used_memory", used), ("maxmemory", limit)])).verdict;
    assert_eq!((of("1000", "0"), of("1000", "10000"), of("9500", "10000")), (Ok, Ok, Warning));
    assert_eq!(memory(&Texts::new()).verdict, Unknown);
}
