//! `doctor` over real Redis.

use backup_tracker::BoxSource;
use backup_tracker_redis::{Redis, redis};
use backup_tracker_test_servers as servers;

use crate::{Case, TOPIC, block_on, examine, expect, use_it};

pub(crate) const CASES: &[Case<servers::Redis>] = &[
    ("all is well", all_is_well),
    ("nothing is made", nothing_is_made),
    ("a server that forgets", a_server_that_forgets),
    ("a group that others use", a_group_that_others_use),
    ("a secondary that does not run", a_secondary_that_does_not_run),
    ("a user who may little", a_user_who_may_little),
    ("a server that is away", a_server_that_is_away),
];

fn ask<T: redis::FromRedisValue>(server: &servers::Redis, command: &str) -> T {
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut words = command.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    words.for_each(|word| {
        command.arg(word);
    });
    command.query(&mut connection).unwrap()
}

async fn used(server: &servers::Redis) {
    let stream = Redis::new(server.url(), TOPIC).create_stream();
    let source = BoxSource::new(stream.source("search").open().await.unwrap());
    use_it(stream.sink().open().await.unwrap(), Some(source)).await;
}

fn all_is_well(server: servers::Redis) {
    block_on(used(&server));
    let before: Vec<String> = ask(&server, "KEYS *");
    let findings = examine("redis", &server.url(), &["--group", "search", "--application", "shop"]);
    expect(
        &findings,
        &[
            ("broker", "ok"),
            ("role", "ok"),
            ("persistence", "ok"),
            ("sync", "ok"),
            ("eviction", "ok"),
            ("memory", "ok"),
            ("stream", "ok"),
            ("retention", "ok"),
            ("write", "ok"),
            ("follow", "ok"),
            ("group", "ok"),
            ("group_members", "ok"),
            ("read", "ok"),
            ("application", "ok"),
            ("lag", "ok"),
            ("clock", "ok"),
        ],
    );
    assert_eq!(findings["lag"].1, "0 events behind the end");
    let mut after: Vec<String> = ask(&server, "KEYS *");
    let mut before = before;
    before.sort();
    after.sort();
    assert_eq!(before, after);
}

fn nothing_is_made(server: servers::Redis) {
    let findings = examine("redis", &server.url(), &["--group", "search", "--create-topic"]);
    expect(&findings, &[("broker", "ok"), ("stream", "problem"), ("group", "warning"), ("read", "unknown")]);
    let keys: Vec<String> = ask(&server, "KEYS *");
    assert!(keys.is_empty(), "{keys:?}");
}

fn a_server_that_forgets(server: servers::Redis) {
    block_on(used(&server));
    for setting in ["appendfsync everysec", "maxmemory-policy allkeys-lru", "maxmemory 100mb"] {
        ask::<()>(&server, &format!("CONFIG SET {setting}"));
    }
    ask::<u64>(&server, "XTRIM backups MAXLEN 0");
    let findings = examine("redis", &server.url(), &["--group", "search"]);
    expect(&findings, &[("eviction", "problem"), ("sync", "warning"), ("retention", "warning")]);
    ask::<()>(&server, "CONFIG SET maxmemory-policy volatile-lru");
    ask::<()>(&server, "CONFIG SET appendonly no");
    let findings = examine("redis", &server.url(), &["--group", "search"]);
    expect(&findings, &[("eviction", "ok"), ("persistence", "warning"), ("sync", "warning")]);
}

fn a_group_that_others_use(server: servers::Redis) {
    block_on(used(&server));
    block_on(async { use_it(Redis::new(server.url(), TOPIC).sink().open().await.unwrap(), None).await });
    ask::<redis::Value>(&server, "XGROUP CREATECONSUMER backups search somebody");
    expect(&examine("redis", &server.url(), &["--group", "search"]), &[("group_members", "problem")]);
    ask::<redis::Value>(&server, "XREADGROUP GROUP search somebody STREAMS backups >");
    let findings = examine("redis", &server.url(), &["--group", "search"]);
    expect(&findings, &[("group", "ok"), ("group_members", "problem")]);
    let findings = examine("redis", &server.url(), &["--group", "serach"]);
    expect(&findings, &[("group", "warning"), ("group_members", "unknown"), ("lag", "unknown")]);
    assert!(findings["group"].1.contains("there are search"), "{findings:?}");
}

fn a_secondary_that_does_not_run(server: servers::Redis) {
    block_on(used(&server));
    block_on(async { use_it(Redis::new(server.url(), TOPIC).sink().open().await.unwrap(), None).await });
    let findings = examine("redis", &server.url(), &["--group", "search"]);
    expect(&findings, &[("lag", "warning")]);
    assert!(findings["lag"].1.starts_with("1 event behind the end, though nothing runs"), "{findings:?}");
}

fn a_user_who_may_little(server: servers::Redis) {
    block_on(used(&server));
    let rules = "ACL SETUSER maps on >secret resetkeys ~backups ~backups:backup-tracker resetchannels -@all \
                 +@stream +eval +eval_ro +exists +time +hget +hset +hdel +hgetall +wait +multi +exec +info";
    ask::<()>(&server, rules);
    // An observer may not even ask for the key's type; that is no wrong password.
    let observer = "ACL SETUSER eye on >secret resetkeys %R~backups resetchannels -@all \
                    +eval_ro +exists +xinfo|stream +xrange +xread +multi +exec";
    ask::<()>(&server, observer);
    let url = server.url().replace("redis://", "redis://eye:secret@");
    let findings = examine("redis", &url, &[]);
    expect(&findings, &[("broker", "ok"), ("stream", "ok"), ("retention", "ok"), ("read", "ok")]);
    let url = server.url().replace("redis://", "redis://eye:wrong@");
    let findings = examine("redis", &url, &[]);
    expect(&findings, &[("broker", "problem")]);
    assert!(findings["broker"].1.contains("check user and password"), "{findings:?}");
    let url = server.url().replace("redis://", "redis://maps:secret@");
    let findings = examine("redis", &url, &["--group", "search"]);
    expect(
        &findings,
        &[
            ("broker", "ok"),
            ("eviction", "ok"),
            ("sync", "unknown"),
            ("stream", "ok"),
            ("write", "unknown"),
            ("group", "ok"),
            ("read", "ok"),
            ("clock", "ok"),
        ],
    );
    ask::<()>(&server, "ACL SETUSER maps +acl|whoami +acl|dryrun");
    expect(&examine("redis", &url, &[]), &[("write", "ok"), ("follow", "ok")]);
    for needed in ["multi", "exec", "xinfo|consumers"] {
        ask::<()>(&server, &format!("ACL SETUSER maps -{needed}"));
        expect(&examine("redis", &url, &[]), &[("write", "ok"), ("follow", "warning")]);
        ask::<()>(&server, &format!("ACL SETUSER maps +{needed}"));
    }
    ask::<()>(&server, "ACL SETUSER maps -xadd");
    expect(&examine("redis", &url, &[]), &[("write", "warning"), ("follow", "ok")]);
    ask::<()>(&server, "ACL SETUSER maps -xgroup");
    expect(&examine("redis", &url, &[]), &[("write", "warning"), ("follow", "warning")]);

    let wrong = server.url().replace("redis://", "redis://maps:wrong@");
    let findings = examine("redis", &wrong, &[]);
    expect(&findings, &[("broker", "problem"), ("stream", "unknown"), ("clock", "unknown")]);
    ask::<()>(&server, "CONFIG SET requirepass secret");
    let findings = examine("redis", &server.url(), &[]);
    expect(&findings, &[("broker", "problem"), ("stream", "unknown")]);
}

fn a_server_that_is_away(mut server: servers::Redis) {
    server.kill().unwrap();
    let findings = examine("redis", &server.url(), &["--timeout", "2s"]);
    assert!(
        findings
            .iter()
            .all(|(check, (verdict, _))| verdict == if check == "broker" { "problem" } else { "unknown" })
    );
}
