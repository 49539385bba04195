//! `init`: checks what a start needs, and makes the key of the Admin API. There is no `nginx.conf` to write.

use lockgate_model::boot::AdminRole;

use crate::{
    admin_key::{self, Made, Unkept},
    cli::Flags,
    complain,
    configuration::Configuration,
    process, run, say,
};

/// The command: like [`init`], and names every option that needs a look.
pub(super) fn command(flags: &Flags) -> anyhow::Result<()> {
    let configuration = init(flags)?;
    say(&run::warnings(&configuration));
    Ok(())
}

/// Reads the configuration, says what the reference says of it, and puts a key where it has none.
pub(super) fn init(flags: &Flags) -> anyhow::Result<Configuration> {
    if let Some(files) = process::few_open_files() {
        say(&format!(
            "Warning! Current maximum number of open file descriptors [{files}] is not greater than {}, please increase user \
             limits by execute 'ulimit -n <new user limits>' , otherwise the performance is low.\n",
            process::FEW_FILES
        ));
    }
    let mut configuration = Configuration::read(flags)?;
    let config = &configuration.boot.config;
    let admin = &config.deployment.admin;
    if !admin.admin_key_required {
        say(
            "Warning! Admin key is bypassed! If you are deploying APISIX in a production environment, please enable \
             `admin_key_required` and set a secure admin key!\n",
        );
    } else if config.apisix.enable_admin {
        let keys = admin.admin_key.iter().flatten();
        for _ in keys.filter(|key| key.key.is_empty() && key.role == AdminRole::Admin) {
            complain(
                "WARNING: using empty Admin API. This will trigger APISIX to automatically generate a random Admin API token.\n",
            );
        }
    }
    match admin_key::make_missing(&mut configuration, &mut Unkept::default())? {
        Made::None | Made::Kept => {}
        Made::Lost { reason, .. } => complain(&format!(
            "WARNING: no Admin API token can be kept in the file ({reason}): each start makes its own\n"
        )),
    }
    Ok(configuration)
}
