//! `postgres://`: a table of a PostgreSQL database, with a row for each object.
//!
//! Its primary key is the object's key, which begins with the stack's name and ends with the entry's sequence number;
//! creating is an insert that does nothing when the row is there. One connection carries all requests, many at once, and
//! is made anew when it is lost.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Mutex;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::options::Options;
use super::url::{Database, bad, unknown, without_secrets};
use super::{Backend, Created, tls};
use crate::{Error, Result};

const TABLE: &str = "plinth_state";
const OURS: [&str; 3] = ["sslmode", "sslrootcert", "table"];
const THEIRS: [&str; 5] =
    ["application_name", "connect_timeout", "hostaddr", "options", "target_session_attrs"];
/// How long a statement may take, its way there and back included.
const STATEMENT: Duration = Duration::from_secs(45);

type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A table in a database.
pub(super) struct Postgres {
    place: String,
    table: String,
    config: Config,
    tls: MakeRustlsConnect,
    client: Mutex<Option<Arc<Client>>>,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres")
            .field("place", &self.place)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

pub(super) fn open(url: &str, database: Database, options: &Options) -> Result<Postgres> {
    let mut config: Config = database.base.parse().map_err(|error| bad(url, cause(&error)))?;
    config.connect_timeout(Duration::from_secs(5)).application_name("plinth");
    config.keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(STATEMENT);
    let (mut mode, mut table, mut authorities) = (None, TABLE.to_owned(), options.get(&["pgsslrootcert"]));
    for (name, value) in &database.query {
        match name.as_str() {
            "sslmode" => mode = Some(value.as_str()),
            "sslrootcert" => authorities = Some(value.as_str()),
            "table" => table = value.clone(),
            "application_name" => drop(config.application_name(value)),
            "options" => drop(config.options(value)),
            name if THEIRS.contains(&name) => {
                // The client's own reading of it, so that its mistakes are told as such.
                let parsed: Config = format!("{name}='{}'", value.replace('\'', "\\'"))
                    .parse()
                    .map_err(|error| bad(url, cause(&error)))?;
                take(&mut config, name, &parsed);
            }
            name => return Err(unknown(url, name, &[&OURS[..], &THEIRS[..]].concat())),
        }
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.');
    if table.is_empty() || table.split('.').count() > 2 || !table.chars().all(plain) {
        return Err(bad(
            url,
            "the table's name may hold lower-case letters, digits and `_`, and a schema before a dot",
        ));
    }
    if config.get_password().is_none()
        && let Some(password) = options.get(&["pgpassword"])
    {
        config.password(password);
    }
    if config.get_user().is_none() {
        let user = options
            .get(&["pguser"])
            .ok_or_else(|| bad(url, "it names no user: postgres://user@host/database"))?;
        config.user(user);
    }
    let mode = mode.or_else(|| options.get(&["pgsslmode"]));
    config.ssl_mode(match mode {
        Some("disable") => SslMode::Disable,
        Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
        None if is_local(&config) => SslMode::Disable,
        None => SslMode::Require,
        Some(other) => {
            let why = format!(
                "sslmode={other} is not supported: `require` (encrypted, and the server's certificate is checked) and \
                 `disable` are"
            );
            return Err(bad(url, why));
        }
    });
    // Authorities are read only where they are needed.
    let tls = match config.get_ssl_mode() {
        SslMode::Disable => tls::none(),
        _ => tls::config(authorities),
    };
    let tls = MakeRustlsConnect::new(tls.map_err(|why| bad(url, why))?);
    Ok(Postgres { place: without_secrets(url), table, config, tls, client: Mutex::default() })
}

/// Takes one parameter over.
fn take(config: &mut Config, name: &str, from: &Config) {
    match name {
        "connect_timeout" => {
            if let Some(time) = from.get_connect_timeout() {
                config.connect_timeout(*time);
            }
        }
        "target_session_attrs" => {
            config.target_session_attrs(from.get_target_session_attrs());
        }
        _ => {
            for address in from.get_hostaddrs() {
                config.hostaddr(*address);
            }
        }
    }
}

/// Whether the server is this machine, so that nothing of what is said crosses a network.
fn is_local(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        tokio_postgres::config::Host::Tcp(host) => {
            matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1" | "[::1]")
        }
        #[cfg(unix)]
        tokio_postgres::config::Host::Unix(_) => true,
    })
}

/// An error's innermost words, which are those that say something.
fn cause(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// The keys of a folder are those between these two.
fn bounds(folder: &str) -> (String, String) {
    if folder.is_empty() {
        return (String::new(), char::MAX.to_string());
    }
    // `0` follows `/`.
    (format!("{folder}/"), format!("{folder}0"))
}

impl Postgres {
    /// The connection, made if there is none that lives.
    async fn client(&self, doing: &str) -> Result<Arc<Client>> {
        let mut place = self.client.lock().await;
        if let Some(client) = place.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let (client, connection) =
            self.config.connect(self.tls.clone()).await.map_err(|error| self.judge(doing, &error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the state's database has ended");
            }
        });
        // What a caller was told to be durable must be, whatever the database is set to for others.
        client
            .batch_execute(
                "DO $$ BEGIN IF current_setting('synchronous_commit') = 'off' THEN \
                 PERFORM set_config('synchronous_commit', 'on', false); END IF; END $$",
            )
            .await
            .map_err(|error| self.judge(doing, &error))?;
        let client = Arc::new(client);
        *place = Some(Arc::clone(&client));
        Ok(client)
    }

    /// Drops a connection that gives no answers.
    async fn hang_up(&self, client: &Arc<Client>) {
        let mut place = self.client.lock().await;
        if place.as_ref().is_some_and(|current| Arc::ptr_eq(current, client)) {
            *place = None;
        }
    }

    /// Runs a statement; `None` when there is no table.
    async fn query(&self, doing: &str, sql: &str, parameters: &[Parameter<'_>]) -> Result<Option<Vec<Row>>> {
        let client = self.client(doing).await?;
        match tokio::time::timeout(STATEMENT, client.query_typed(sql, parameters)).await {
            Ok(Ok(rows)) => Ok(Some(rows)),
            Ok(Err(error)) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
            Ok(Err(error)) => Err(self.judge(doing, &error)),
            Err(_) => {
                self.hang_up(&client).await;
                let why = format!("no answer came within {} s", STATEMENT.as_secs());
                Err(Error::Storage { doing: format!("{doing} at {}", self.place), why })
            }
        }
    }

    /// Runs a statement that writes; makes the table when there is none.
    async fn write(&self, doing: &str, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>> {
        if let Some(rows) = self.query(doing, sql, parameters).await? {
            return Ok(rows);
        }
        self.make_table(doing).await?;
        self.query(doing, sql, parameters).await?.ok_or_else(|| Error::Storage {
            doing: format!("{doing} at {}", self.place),
            why: format!("the table {} is gone again", self.table),
        })
    }

    async fn make_table(&self, doing: &str) -> Result<()> {
        let client = self.client(doing).await?;
        // Keys sort by their bytes, whatever the database's language.
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {} (key text COLLATE \"C\" PRIMARY KEY, body bytea NOT NULL, \
             written timestamptz NOT NULL DEFAULT now())",
            self.table
        );
        match client.batch_execute(&sql).await {
            Ok(()) => Ok(()),
            // Somebody else made it at the same moment.
            Err(error)
                if error.code().is_some_and(|code| {
                    [SqlState::UNIQUE_VIOLATION, SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_OBJECT]
                        .contains(code)
                }) =>
            {
                Ok(())
            }
            Err(error) => Err(self.judge(doing, &error)),
        }
    }

    fn judge(&self, doing: &str, error: &tokio_postgres::Error) -> Error {
        let passes = || Error::Storage { doing: format!("{doing} at {}", self.place), why: cause(error) };
        let refused = |help: String| Error::Refused {
            place: self.place.clone(),
            doing: doing.to_owned(),
            why: error.as_db_error().map_or_else(|| cause(error), |said| said.message().to_owned()),
            help,
        };
        let Some(code) = error.code() else {
            let text = cause(error);
            return if text.contains("certificate") {
                refused(
                    "name the authority that signed the server's certificate: sslrootcert=FILE in the URL"
                        .into(),
                )
            } else if text.contains("does not support TLS") || text.contains("server does not support") {
                refused(
                    "have the server speak TLS, or, where the network is trusted, add sslmode=disable".into(),
                )
            } else if text.contains("password missing") || text.contains("authentication") {
                refused("give the password in PGPASSWORD".into())
            } else {
                passes()
            };
        };
        match code.code() {
            "28P01" | "28000" => refused("see user and password: PGPASSWORD, or the URL".into()),
            "3D000" => refused("make the database first, or correct its name".into()),
            "3F000" => refused("make the schema first, or correct the table's name in the URL".into()),
            "42501" => refused(format!(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON {} to this user, and, as long as there is no table, CREATE on \
                 its schema",
                self.table
            )),
            "25006" => refused("name the primary: this server only reads (target_session_attrs=read-write picks one of several hosts)".into()),
            "53100" => refused("make room on the server's disk".into()),
            // Connections that break, servers that restart or have too many guests, statements that met.
            other if other.starts_with("08") || other.starts_with("53") || other.starts_with("57") || other.starts_with("40") => {
                passes()
            }
            _ => refused("see the server's words".into()),
        }
    }
}

#[async_trait]
impl Backend for Postgres {
    async fn create(&self, key: &str, bytes: Bytes) -> Result<Created> {
        let sql = format!(
            "INSERT INTO {} (key, body) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true",
            self.table
        );
        let body = bytes.as_ref();
        let rows =
            self.write(&format!("create {key}"), &sql, &[(&key, Type::TEXT), (&body, Type::BYTEA)]).await?;
        Ok(if rows.is_empty() { Created::Exists } else { Created::Created })
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let sql = format!("SELECT body FROM {} WHERE key = $1", self.table);
        let rows = self.query(&format!("read {key}"), &sql, &[(&key, Type::TEXT)]).await?;
        Ok(rows.unwrap_or_default().first().map(|row| Bytes::from(row.get::<_, Vec<u8>>(0))))
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.list_after(folder, "").await
    }

    async fn list_after(&self, folder: &str, start: &str) -> Result<Vec<String>> {
        let sql =
            format!("SELECT key FROM {} WHERE key > $1 AND key > $2 AND key < $3 ORDER BY key", self.table);
        let (from, to) = bounds(folder);
        let parameters: [Parameter<'_>; 3] = [(&from, Type::TEXT), (&start, Type::TEXT), (&to, Type::TEXT)];
        let rows = self.query(&format!("list {folder}"), &sql, &parameters).await?;
        Ok(rows.unwrap_or_default().iter().map(|row| row.get(0)).collect())
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        let sql = format!(
            "INSERT INTO {} (key, body) VALUES ($1, $2) \
             ON CONFLICT (key) DO UPDATE SET body = excluded.body, written = now()",
            self.table
        );
        let body = bytes.as_ref();
        self.write(&format!("write {key}"), &sql, &[(&key, Type::TEXT), (&body, Type::BYTEA)]).await.map(drop)
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let sql = format!("DELETE FROM {} WHERE key = $1", self.table);
        self.query(&format!("delete {key}"), &sql, &[(&key, Type::TEXT)]).await.map(drop)
    }
}
