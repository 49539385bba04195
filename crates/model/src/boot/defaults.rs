//! What holds where `config.yaml` says nothing.

use super::tree::Node;

/// The values of `apisix/cli/config.lua`.
pub(super) fn built_in() -> Node {
    parse(include_str!("defaults.yaml"))
}

/// What differs where there is no `config.yaml` at all.
pub(super) fn without_file() -> Node {
    parse(include_str!("without_file.yaml"))
}

fn parse(text: &str) -> Node {
    let tree = Node::parse(text).map_err(|error| error.reason);
    let mut tree = tree.expect("invariant: the built-in files are YAML, as a test shows");
    tree.forget_places();
    tree
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_can_be_read_and_point_at_no_file() {
        assert_eq!(built_in().place_of("apisix.ssl.listen[0].port").line, 0);
        assert!(
            without_file()
                .at("deployment.admin.admin_listen.ip")
                .is_some()
        );
    }
}
