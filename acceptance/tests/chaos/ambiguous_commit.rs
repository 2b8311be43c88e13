//! Cuts around a commit, against a real database: each leaves behind what it promises to.

use configapi_acceptance::chaos::proxy::{CommitCut, Proxy};
use configapi_acceptance::eventually;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Executor, raw_sql};

const TABLE: &str = "CREATE SCHEMA IF NOT EXISTS configapi; \
    DROP TABLE IF EXISTS configapi.events_of_the_proxy_test; \
    CREATE TABLE configapi.events_of_the_proxy_test (position bigint PRIMARY KEY)";
const INSERT: &str = "INSERT INTO configapi.events_of_the_proxy_test (position) VALUES ($1)";

/// Options for the server that `DATABASE_URL` names.
fn server() -> PgConnectOptions {
    let url = std::env::var("DATABASE_URL").expect(
        "these tests need a PostgreSQL server: run them by `make test` or under \
         `scripts/with-postgres`",
    );
    let options: PgConnectOptions = url.parse().unwrap();
    options.disable_statement_logging()
}

async fn insert(connection: &mut PgConnection, position: i64) -> Result<(), sqlx::Error> {
    sqlx::query(INSERT).bind(position).execute(connection).await.map(drop)
}

async fn has(connection: &mut PgConnection, position: i64) -> bool {
    let sql = "SELECT 1 FROM configapi.events_of_the_proxy_test WHERE position = $1";
    let row = sqlx::query(sql).bind(position).fetch_optional(connection).await;
    row.unwrap().is_some()
}

async fn through(proxy: &Proxy) -> PgConnection {
    server().host("127.0.0.1").port(proxy.address().port()).connect().await.unwrap()
}

#[tokio::test]
async fn a_commit_can_be_cut_before_its_request_after_it_and_before_its_answer() {
    let mut direct = server().connect().await.unwrap();
    raw_sql(TABLE).execute(&mut direct).await.unwrap();
    let host = format!("{}:{}", server().get_host(), server().get_port());
    let upstream = tokio::net::lookup_host(host).await.unwrap().next().unwrap();
    let proxy = Proxy::start(upstream).await.unwrap();

    let mut connection = through(&proxy).await;
    insert(&mut connection, 1).await.unwrap();
    let cuts = [CommitCut::BeforeRequest, CommitCut::AfterRequest, CommitCut::BeforeAnswer];
    for (number, cut) in (1_u64..).zip(cuts) {
        let position = i64::try_from(number * 10).unwrap();
        proxy.cut_next_commit(cut);
        insert(&mut connection, position).await.unwrap_err();
        assert_eq!(proxy.cuts(), number);
        connection = through(&proxy).await;
        match cut {
            CommitCut::BeforeRequest => assert!(!has(&mut direct, position).await),
            CommitCut::BeforeAnswer => assert!(has(&mut direct, position).await),
            // The database commits what it was asked for, whoever is still listening.
            CommitCut::AfterRequest => loop {
                if has(&mut direct, position).await {
                    break;
                }
            },
        }
    }

    // The same in a transaction, where the commit is a statement of its own.
    connection.execute("BEGIN").await.unwrap();
    insert(&mut connection, 100).await.unwrap();
    proxy.cut_next_commit(CommitCut::BeforeAnswer);
    connection.execute("COMMIT").await.unwrap_err();
    assert!(has(&mut direct, 100).await);
    eventually("the cut to be counted", || async { (proxy.cuts() == 4).then_some(()) }).await;
    direct.close().await.unwrap();
}
