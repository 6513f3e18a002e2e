//! Operator, accounts and users, as JWTs.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::json;

/// A JWT as the server's operators sign it.
fn jwt(
    issuer: &KeyPair,
    subject: &KeyPair,
    name: &str,
    claims: serde_json::Value,
    valid: Option<Duration>,
) -> String {
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let mut claims = json!({
        "jti": name, "iat": 1_752_230_923, "iss": issuer.public_key(), "sub": subject.public_key(),
        "name": name, "nats": claims,
    });
    if let Some(valid) = valid {
        let end = SystemTime::now() + valid;
        claims["exp"] = end.duration_since(UNIX_EPOCH).unwrap().as_secs().into();
    }
    let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encode(header), encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(text.as_bytes()).unwrap());
    format!("{text}.{signature}")
}

/// Writes the credentials file of a user of the account, `<name>.creds`, which may end.
pub(crate) fn credentials(folder: &Path, account: &KeyPair, name: &str, valid: Option<Duration>) -> PathBuf {
    let user = KeyPair::new_user();
    let limits =
        json!({ "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2 });
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        jwt(account, &user, name, limits, valid),
        user.seed().unwrap()
    );
    let path = folder.join(format!("{name}.creds"));
    std::fs::write(&path, text).unwrap();
    path
}

/// The configuration of a server of an operator, and the account with JetStream.
pub(crate) fn operator() -> (String, KeyPair) {
    let (operator, account, system) =
        (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account());
    let claims = |storage: i64| {
        json!({
            "limits": {
                "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
                "conn": -1, "leaf": -1, "mem_storage": storage, "disk_storage": storage, "streams": storage,
                "consumer": storage,
            },
            "type": "account", "version": 2,
        })
    };
    let configuration = format!(
        "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {}, {}: {} }}",
        jwt(&operator, &operator, "operator", json!({ "type": "operator", "version": 2 }), None),
        system.public_key(),
        system.public_key(),
        jwt(&operator, &system, "system", claims(0), None),
        account.public_key(),
        jwt(&operator, &account, "account", claims(-1), None),
    );
    (configuration, account)
}
