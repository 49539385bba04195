//! Makes changes one by one, and says what was done and what not.

use anyhow::bail;
use lockgate_declare::{Action, Change};

use super::{
    line,
    remote::{Remote, WriteError},
};
use crate::{complain, say};

/// Makes the changes. What the gateway refuses is tried again as long as others get through, for it may have waited for one of
/// them: a key that another consumer gives up, a plugin that leaves another global rule.
pub(super) async fn carry_out(remote: &Remote, changes: Vec<Change>) -> anyhow::Result<()> {
    let total = changes.len();
    let mut pending = changes;
    let mut reasons: Vec<String> = Vec::new();
    let mut is_away = false;
    while !pending.is_empty() && !is_away {
        let count = pending.len();
        let mut refused = Vec::new();
        reasons.clear();
        let mut left = pending.into_iter();
        for change in left.by_ref() {
            let Err(error) = write(remote, &change).await else {
                say(&line(&change));
                continue;
            };
            reasons.push(format!("{}: {error}\n", change.id));
            refused.push(change);
            // The next would fare no better.
            is_away = matches!(error, WriteError::Away(_));
            if is_away {
                break;
            }
        }
        refused.extend(left);
        pending = refused;
        if pending.len() == count {
            break;
        }
    }
    let made = total - pending.len();
    if pending.is_empty() {
        say(&match made {
            0 => "nothing to change\n".to_owned(),
            1 => "1 change made\n".to_owned(),
            _ => format!("{made} changes made\n"),
        });
        return Ok(());
    }
    for reason in &reasons {
        complain(reason);
    }
    for change in &pending {
        complain(&format!("not done: {}", line(change)));
    }
    bail!("{made} of {total} changes made; the command can be given again")
}

async fn write(remote: &Remote, change: &Change) -> Result<(), WriteError> {
    match &change.action {
        Action::Create(object) | Action::Replace { with: object, .. } => {
            remote.put(&change.id, object).await
        }
        Action::Delete => remote.delete(&change.id).await,
    }
}
