//! A persistent map from byte strings that finds every key a text begins with: a radix tree.
//!
//! A clone shares everything; an edit copies the nodes from the root to the key it changes, unless nobody else holds them.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::limits::{LABEL_INLINE, PREFIXES_INLINE};

/// The map.
pub(crate) struct PrefixTree<V> {
    root: Option<Arc<Node<V>>>,
}

#[derive(Clone)]
struct Node<V> {
    /// The bytes between the parent's key and this node's. Empty at the root only.
    label: Bytes,
    value: Option<V>,
    /// First bytes of the children's labels, sorted; here so that the wrong children are not touched.
    firsts: Bytes,
    /// In the order of `firsts`.
    children: Vec<Arc<Node<V>>>,
}

type Bytes = SmallVec<[u8; LABEL_INLINE]>;

/// The values found on the way, the shortest key first.
pub(crate) type Found<'r, V> = SmallVec<[&'r V; PREFIXES_INLINE]>;

impl<V> Default for PrefixTree<V> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<V> Clone for PrefixTree<V> {
    fn clone(&self) -> Self {
        Self {
            root: self.root.clone(),
        }
    }
}

impl<V> Node<V> {
    fn new(label: &[u8], value: Option<V>) -> Self {
        Self {
            label: label.into(),
            value,
            firsts: Bytes::new(),
            children: Vec::new(),
        }
    }

    /// Where the child with this first byte is, or would be.
    fn child_position(&self, first: u8) -> Result<usize, usize> {
        // Nodes of paths have few children, mostly digits or letters: a plain search wins over halving.
        match self.firsts.iter().position(|known| *known >= first) {
            Some(position) if self.firsts.get(position) == Some(&first) => Ok(position),
            Some(position) => Err(position),
            None => Err(self.firsts.len()),
        }
    }

    fn child(&self, first: u8) -> Option<&Self> {
        self.children
            .get(self.child_position(first).ok()?)
            .map(|child| &**child)
    }
}

impl<V> PrefixTree<V> {
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Shows every value, in no order that means anything.
    pub(crate) fn for_each<'r>(&'r self, visit: &mut impl FnMut(&'r V)) {
        let mut nodes: Vec<&Node<V>> = self.root.as_deref().into_iter().collect();
        while let Some(node) = nodes.pop() {
            if let Some(value) = &node.value {
                visit(value);
            }
            nodes.extend(node.children.iter().map(|child| &**child));
        }
    }

    /// The values of all keys that `text` begins with, the shortest first.
    pub(crate) fn prefixes_of(&self, text: &[u8]) -> Found<'_, V> {
        let mut found = Found::new();
        let mut rest = text;
        let mut node = self.root.as_deref();
        while let Some(current) = node {
            let Some(behind) = rest.strip_prefix(&*current.label) else {
                break;
            };
            found.extend(&current.value);
            rest = behind;
            node = rest.first().and_then(|first| current.child(*first));
        }
        found
    }

    fn get(&self, key: &[u8]) -> Option<&V> {
        let mut rest = key;
        let mut node = self.root.as_deref()?;
        loop {
            rest = rest.strip_prefix(&*node.label)?;
            let Some(first) = rest.first() else {
                return node.value.as_ref();
            };
            node = node.child(*first)?;
        }
    }
}

impl<V: Clone> PrefixTree<V> {
    /// The value of a key, to be edited.
    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        // Without this, a miss would copy nodes.
        self.get(key)?;
        let mut rest = key;
        let mut node = Arc::make_mut(self.root.as_mut()?);
        loop {
            rest = rest.strip_prefix(&*node.label)?;
            let Some(first) = rest.first() else {
                return node.value.as_mut();
            };
            let position = node.child_position(*first).ok()?;
            node = Arc::make_mut(node.children.get_mut(position)?);
        }
    }

    /// Sets the value of a key.
    pub(crate) fn insert(&mut self, key: &[u8], value: V) {
        let root = self
            .root
            .get_or_insert_with(|| Arc::new(Node::new(&[], None)));
        let mut node = Arc::make_mut(root);
        let mut rest = key;
        // Invariant: `node`'s whole key is matched, `rest` is what is left of `key`.
        loop {
            let Some(&first) = rest.first() else {
                node.value = Some(value);
                return;
            };
            match node.child_position(first) {
                Err(position) => {
                    node.firsts.insert(position, first);
                    node.children
                        .insert(position, Arc::new(Node::new(rest, Some(value))));
                    return;
                }
                Ok(position) => {
                    let Some(child) = node.children.get_mut(position) else {
                        return;
                    };
                    node = Arc::make_mut(child);
                    let common = node
                        .label
                        .iter()
                        .zip(rest)
                        .take_while(|(left, right)| left == right)
                        .count();
                    if common < node.label.len() {
                        split(node, common);
                    }
                    rest = rest.get(common..).unwrap_or_default();
                }
            }
        }
    }

    /// Takes a key out, if it is there.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        if self.get(key).is_none() {
            return;
        }
        if let Some(root) = &mut self.root {
            let node = Arc::make_mut(root);
            remove_from(node, key);
            if node.value.is_none() && node.children.is_empty() {
                self.root = None;
            }
        }
    }
}

/// Cuts a node in two: it keeps the first bytes of its label, and a new child gets everything else.
fn split<V>(node: &mut Node<V>, at: usize) {
    let tail: Bytes = node.label.drain(at..).collect();
    let Some(&first) = tail.first() else { return };
    let lower = Node {
        label: tail,
        value: node.value.take(),
        firsts: std::mem::take(&mut node.firsts),
        children: std::mem::take(&mut node.children),
    };
    node.firsts.push(first);
    node.children.push(Arc::new(lower));
}

/// Removes a key that is there from below `node`, whose own label is already matched, and joins nodes that need not be two.
fn remove_from<V: Clone>(node: &mut Node<V>, rest: &[u8]) {
    let Some(&first) = rest.first() else {
        node.value = None;
        return;
    };
    let Ok(position) = node.child_position(first) else {
        return;
    };
    let Some(child) = node.children.get_mut(position) else {
        return;
    };
    let below = Arc::make_mut(child);
    let behind = rest.get(below.label.len()..).unwrap_or_default();
    remove_from(below, behind);
    if below.value.is_some() {
        return;
    }
    match &*below.children {
        [] => {
            node.firsts.remove(position);
            node.children.remove(position);
        }
        [only] => {
            let mut joined = (**only).clone();
            joined.label.insert_from_slice(0, &below.label);
            *below = joined;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn nodes<V>(node: &Node<V>) -> usize {
        1 + node
            .children
            .iter()
            .map(|child| nodes(child))
            .sum::<usize>()
    }

    proptest! {
        #[test]
        fn finds_all_prefixes_and_old_versions_stay(
            edits in prop::collection::vec(("[abc]{0,5}", prop::option::weighted(0.6, any::<u32>())), 0..60),
            texts in prop::collection::vec("[abc]{0,7}", 1..10),
        ) {
            let mut tree = PrefixTree::<u32>::default();
            let mut model = BTreeMap::new();
            let mut old = None;
            for (step, (key, value)) in edits.iter().enumerate() {
                if step == edits.len() / 2 {
                    old = Some((tree.clone(), model.clone()));
                }
                if let Some(value) = value {
                    match tree.get_mut(key.as_bytes()) {
                        Some(known) => *known = *value,
                        None => tree.insert(key.as_bytes(), *value),
                    }
                    model.insert(key.clone(), *value);
                } else {
                    tree.remove(key.as_bytes());
                    model.remove(key);
                }
            }
            for (tree, model) in old.into_iter().chain([(tree, model)]) {
                for text in &texts {
                    let found: Vec<u32> = tree.prefixes_of(text.as_bytes()).into_iter().copied().collect();
                    let expected: Vec<u32> = (0..=text.len()).filter_map(|end| model.get(&text[..end])).copied().collect();
                    prop_assert_eq!(found, expected);
                }
                // Joined as far as it can be: every inner node branches or holds a value.
                let count = tree.root.as_ref().map_or(0, |root| nodes(root));
                prop_assert!(count <= 2 * model.len() + 1);
                prop_assert_eq!(tree.is_empty(), model.is_empty());
            }
        }
    }
}
