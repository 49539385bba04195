//! `ldap-auth-advanced`

use serde_json::Value;

use super::{Scope, read};
use crate::plugins::Purpose;

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    if scope.purpose == Purpose::Consumer {
        return Ok(());
    }
    let has = |field: &str| read::has(config, &[field]);
    if has("use_ldaps") && has("use_starttls") {
        return Err("use_ldaps and use_starttls are mutually exclusive".into());
    }
    if has("bind_dn") && !has("ldap_password") {
        return Err("ldap_password is required when bind_dn is set".into());
    }
    Ok(())
}
